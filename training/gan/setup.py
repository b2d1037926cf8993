"""Resolves what a GAN's config leaves open, and builds networks and optimizers from a resolved config."""

from typing import Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.config import with_values
from training.devices import Precision, resolve_precision
from training.errors import ConfigError
from training.gan.architectures.registry import GANS
from training.gan.augment import AUGMENTATIONS, FEW_IMAGES
from training.gan.classes import ClassGenerator
from training.gan.config import GanConfig

RESOLVED = ("channels", "precision", "evaluation.network", "features.layers", "augment")
"""The values that a run resolves itself if its config leaves them open."""

SomeModule = TypeVar("SomeModule", bound=nn.Module)
Tensors = tuple[Tensor, ...] | list[Tensor]


def build_generator(config: GanConfig) -> nn.Module:
    """The untrained generator of a resolved config.

    Raises:
        ConfigError: the architecture cannot make images of this size.
    """
    build = GANS[config.architecture].generator
    generator = build(config.image_size, channels_of(config), config.latent_size, config.generator)
    return ClassGenerator(generator, config.latent_size, config.classes.count) if config.classes.count else generator


def build_discriminator(config: GanConfig) -> nn.Module:
    """The untrained discriminator of a resolved config. Raises as `build_generator`."""
    build = GANS[config.architecture].discriminator
    return build(config.image_size, channels_of(config) * config.pack, 1 + config.classes.count, config.discriminator)


def channels_of(config: GanConfig) -> Literal[1, 3, 4]:
    """The channels of a resolved config.

    Raises:
        ConfigError: they are not resolved.
    """
    if config.channels is None:
        raise ConfigError("channels must be resolved before a network is built. Set channels to 1, 3 or 4.")
    return config.channels


def precision_of(config: GanConfig) -> Precision:
    """The precision of a resolved config.

    Raises:
        ConfigError: it is not resolved.
    """
    if config.precision == "auto":
        raise ConfigError("precision must be resolved before training. Set precision to float32 or bfloat16.")
    return config.precision


def require_even_batch(config: GanConfig, processes: int) -> None:
    """Refuse a batch size that the processes cannot share evenly.

    Raises:
        ConfigError: names the sizes that they can share.
    """
    multiple = config.pack * processes
    if config.batch_size % multiple:
        packs = f" in packs of {config.pack}" if config.pack > 1 else ""
        raise ConfigError(
            f"batch_size {config.batch_size} cannot be shared by {processes} processes{packs}. Choose a multiple of {multiple}."
        )


def resolve_gan(config: GanConfig, images: int, grey: bool, device: torch.device, *, transparent: bool = False) -> GanConfig:
    """Resolve what a config leaves open; values that it sets are kept.

    Args:
        config: as read.
        images: number of training images.
        grey: whether all of them are grey.
        device: where to train.
        transparent: whether most of them have transparency.
    """
    few = images < FEW_IMAGES
    return with_values(config, {
        "channels": config.channels or (4 if transparent else 1 if grey else 3),
        "augment": (tuple(AUGMENTATIONS) if few else ()) if config.augment is None else config.augment,
        "precision": resolve_precision(config.precision, device),
    })  # fmt: skip


def place(network: SomeModule, device: torch.device) -> SomeModule:
    """Move a network to the device, in the memory format that its convolutions are fastest in."""
    return network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def adam(config: GanConfig, network: nn.Module) -> torch.optim.Adam:
    """The optimizer of a placed network. The trainer sets its learning rate before each step."""
    fused = next(network.parameters()).device.type in {"cpu", "cuda"}
    return torch.optim.Adam(network.parameters(), betas=(config.optimizer.beta1, config.optimizer.beta2), fused=fused)


def moving_average(config: GanConfig, network: nn.Module) -> AveragedModel:
    """An exponential moving average (EMA) of a network. Its decay grows to `ema_decay` during the first steps.

    With the full decay from the start, the first samples would be those of the untrained network.
    """

    def update(averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
        decay = min(config.ema_decay, (1 + int(count)) / (10 + int(count)))
        get_ema_multi_avg_fn(decay)(averaged, current, count)

    return AveragedModel(network, multi_avg_fn=update, use_buffers=True)

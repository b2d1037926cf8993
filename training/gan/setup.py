"""What a GAN's config leaves open, decided; and what is built from one that is decided."""

from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.devices import Precision, resolve_precision
from training.errors import ConfigError
from training.gan.architectures.registry import GANS
from training.gan.augment import AUGMENTATIONS, FEW_PICTURES
from training.gan.classes import ClassGenerator
from training.gan.config import GanConfig

SomeModule = TypeVar("SomeModule", bound=nn.Module)
Tensors = tuple[Tensor, ...] | list[Tensor]


def build_generator(config: GanConfig) -> nn.Module:
    """The generator of a resolved config, untrained.

    Raises:
        ConfigError: the architecture cannot make images of this size.
    """
    build = GANS[config.architecture].generator
    generator = build(config.image_size, channels_of(config), config.latent_size, config.generator)
    return ClassGenerator(generator, config.latent_size, config.classes.count) if config.classes.count else generator


def build_discriminator(config: GanConfig) -> nn.Module:
    """The discriminator of a resolved config, untrained. Raises as `build_generator`."""
    build = GANS[config.architecture].discriminator
    return build(config.image_size, channels_of(config) * config.pack, 1 + config.classes.count, config.discriminator)


def channels_of(config: GanConfig) -> Literal[1, 3]:
    """The channels of a config in which they are resolved, 1 or 3.

    Raises:
        ConfigError: they are not.
    """
    if config.channels is None:
        raise ConfigError("channels must be resolved before a network is built: set channels to 1 or 3.")
    return config.channels


def precision_of(config: GanConfig) -> Precision:
    """The precision of a config in which it is resolved.

    Raises:
        ConfigError: it is not.
    """
    if config.precision == "auto":
        raise ConfigError("precision must be resolved before a training: set precision to float32 or bfloat16.")
    return config.precision


def refuse_uneven(config: GanConfig, processes: int) -> None:
    """Refuse a batch that so many processes cannot share.

    Raises:
        ConfigError: says which sizes they can.
    """
    least = config.pack * processes
    if config.batch_size % least:
        packs = f" in packs of {config.pack}" if config.pack > 1 else ""
        raise ConfigError(
            f"batch_size {config.batch_size} cannot be shared by {processes} processes{packs}. Choose a multiple of {least}."
        )


def resolve_gan(config: GanConfig, pictures: int, grey: bool, device: torch.device) -> GanConfig:
    """Decide what a config leaves open, from the pictures and the device; what it says is kept.

    Args:
        config: as it was read.
        pictures: how many there are.
        grey: whether all of them are.
        device: where to train.
    """
    few = pictures < FEW_PICTURES
    return config.model_copy(
        update={
            "channels": config.channels or (1 if grey else 3),
            "augment": (tuple(AUGMENTATIONS) if few else ()) if config.augment is None else config.augment,
            "precision": resolve_precision(config.precision, device),
        }
    )


def place(network: SomeModule, device: torch.device) -> SomeModule:
    """On the device, its convolutions' weights in the order of memory that they are fastest in."""
    return network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def adam(config: GanConfig, network: nn.Module) -> torch.optim.Adam:
    """The optimizer of a network that has been placed; its rate is set before each step."""
    fused = next(network.parameters()).device.type in {"cpu", "cuda"}
    return torch.optim.Adam(network.parameters(), betas=(config.optimizer.beta1, config.optimizer.beta2), fused=fused)


def moving_average(config: GanConfig, network: nn.Module) -> AveragedModel:
    """An exponential moving average (EMA) of a network, whose memory grows with the run up to `ema_decay`.

    So the first samples are not those of the untrained network.
    """

    def update(averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
        now = min(config.ema_decay, (1 + int(count)) / (10 + int(count)))
        get_ema_multi_avg_fn(now)(averaged, current, count)

    return AveragedModel(network, multi_avg_fn=update, use_buffers=True)


def draw_latents(config: GanConfig, place: tuple[int, ...], count: int) -> Tensor:
    """Float [count, latent_size] from N(0, 1), a function of the config's seed and the place they are for."""
    rng = np.random.default_rng((config.seed, *place))
    return torch.from_numpy(rng.standard_normal((count, config.latent_size), dtype=np.float32))

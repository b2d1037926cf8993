"""What an architecture brings: its two networks, the options that each takes, and what the trainer must know of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from training.config import Table


class Options(Table):
    """The options of one network: the fields of a subclass are the keys of `[generator]` or `[discriminator]` in a config."""


class DiscriminatorOptions(Options):
    """The options of a discriminator."""

    @property
    def per_sample(self) -> bool:
        """Whether an image's logit depends on that image alone, not on the rest of the batch.

        Batch normalisation and minibatch standard deviation make a logit depend on the batch. Override this only if a logit
        never does: the trainer then saves one backward pass in each step. The tests check the value of every architecture.
        """
        return False


@runtime_checkable
class TakesProgress(Protocol):
    """A network, or a module of one, that changes with the progress of the run, for instance by fading layers in.

    Keep the value in a buffer: then checkpoints, the moving average and exported models have it.
    """

    def set_progress(self, fraction: float) -> None:
        """Called before each step with the fraction of the run that is done, 0..1."""
        ...


def modules_with_progress(network: nn.Module) -> list[TakesProgress]:
    """The modules of a network, or the network itself, that take the progress of the run."""
    return [module for module in network.modules() if isinstance(module, TakesProgress)]


@runtime_checkable
class MakesInputs(Protocol):
    """A generator that decides what the discriminators see of fake and real images.

    Their inputs are float [n, k * channels, image_size, image_size] in -1..1, k images in a row. The first is the image as it
    is exported. The others may be, for instance, the same image at lower resolutions. All of them are augmented alike.
    """

    def fake_inputs(self, latents: Tensor) -> Tensor:
        """Latents, float [n, latent_size] -> images for the discriminators, in training."""
        ...

    def real_inputs(self, images: Tensor) -> Tensor:
        """Real images, float [n, channels, image_size, image_size] -> images for the discriminators, comparable with fakes."""
        ...


def fake_inputs(generator: nn.Module, latents: Tensor) -> Tensor:
    """Fake images for the discriminators; see `MakesInputs`."""
    images: Tensor = generator.fake_inputs(latents) if isinstance(generator, MakesInputs) else generator(latents)
    return images


def real_inputs(generator: nn.Module, images: Tensor) -> Tensor:
    """Real images for the discriminators; see `MakesInputs`."""
    return generator.real_inputs(images) if isinstance(generator, MakesInputs) else images


@dataclass(frozen=True)
class GanArchitecture:
    """The two networks of a GAN. Each raises ConfigError when it is built for an image_size that it does not support.

    Attributes:
        generator: called with image_size, channels, latent_size and its options; makes latents float [n, latent_size] into
            images float [n, channels, image_size, image_size] in -1..1.
        generator_options: checks `[generator]` of a config.
        discriminator: called with image_size, channels, outputs and its options; makes such images into logits float [n], or
            [n, outputs] if there are several outputs. `channels` counts those of all images that are judged together. If the
            generator is one that `MakesInputs`, it takes these as well.
        discriminator_options: checks `[discriminator]` of a config.
        truncates: whether the generator takes a second input, the truncation of each row, float [n] in 0..1. Others are
            truncated by multiplying the latents.
        shared_options: options of the generator that the discriminator has as well. A config sets them for the generator alone.
    """

    generator: Callable[[int, int, int, Any], nn.Module]
    generator_options: type[Options]
    discriminator: Callable[[int, int, int, Any], nn.Module]
    discriminator_options: type[DiscriminatorOptions]
    truncates: bool = False
    shared_options: tuple[str, ...] = ()

"""The architectures that a config can name. A new GAN: one file beside this one, and one line here."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from training.gan.architectures import dcgan, dcgan_nearest, dcgan_residual, mlp


@dataclass(frozen=True)
class GanArchitecture:
    """The two networks of a GAN.

    Attributes:
        generator: called with image_size, channels, latent_size, width.
        discriminator: called with image_size, channels, width, norm, outputs.
    """

    generator: Callable[[int, int, int, int], nn.Module]
    discriminator: Callable[[int, int, int, bool, int], nn.Module]


GANS: dict[str, GanArchitecture] = {
    "dcgan": GanArchitecture(dcgan.Generator, dcgan.Discriminator),
    "dcgan-nearest": GanArchitecture(dcgan_nearest.Generator, dcgan.Discriminator),
    "dcgan-residual": GanArchitecture(dcgan_nearest.Generator, dcgan_residual.Discriminator),
    "mlp": GanArchitecture(mlp.Generator, mlp.Discriminator),
}

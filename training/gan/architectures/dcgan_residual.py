"""DCGAN's discriminator with residual blocks (He et al. 2016) at its smallest resolution, and the generator of dcgan-nearest.

DCGAN judges its smallest features, 4x4 to 7x7, with one linear layer, which cannot relate distant features. So at 28 pixels the
strokes are good but do not form a digit. The blocks before that layer see all of the smallest features at once.
"""

from torch import Tensor, nn

from training.gan.architectures import dcgan, dcgan_nearest
from training.gan.architectures.base import GanArchitecture
from training.gan.architectures.dcgan import DiscriminatorOptions, halvings, initialise


class Discriminator(dcgan.Discriminator):
    """Images -> logits; arguments as in `dcgan.Discriminator`."""

    def __init__(self, image_size: int, channels: int, outputs: int, options: DiscriminatorOptions) -> None:
        super().__init__(image_size, channels, outputs, options)
        start, halvings_ = halvings(image_size)
        features = options.width * 2 ** (halvings_ - 1)
        *rest, last = self.layers
        blocks = [ResidualBlock(features, options.norm) for _ in range(blocks_across(start))]
        self.layers = nn.Sequential(*rest, *blocks, nn.LeakyReLU(0.2), last)


class ResidualBlock(nn.Module):
    """Features plus a change that two 3x3 convolutions make.

    Args:
        features: channels.
        norm: batch normalisation before each activation.
    """

    def __init__(self, features: int, norm: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [nn.BatchNorm2d(features)] if norm else []
            layers += [nn.LeakyReLU(0.2), nn.Conv2d(features, features, 3, padding=1, bias=not norm)]
        self.layers = nn.Sequential(*layers)
        self.apply(initialise)

    def forward(self, features: Tensor) -> Tensor:
        """Float [n, features, h, w] -> the same."""
        changed: Tensor = features + self.layers(features)
        return changed


def blocks_across(side: int) -> int:
    """How many blocks the middle pixel needs to see `side` pixels: each block sees two pixels further to every side."""
    return -(-(side - 1) // 4)


DCGAN_RESIDUAL = GanArchitecture(dcgan_nearest.Generator, dcgan.GeneratorOptions, Discriminator, DiscriminatorOptions)

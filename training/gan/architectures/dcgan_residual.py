"""DCGAN's discriminator with residual blocks (He et al. 2016) where a picture is smallest.

DCGAN judges its smallest features, 4x4 to 7x7, by one linear layer: at 28 pixels strokes come out well and do not add up to a
digit, since no layer sees them together. Blocks before that layer see all of the smallest features at once.
"""

from torch import Tensor, nn

from training.gan.architectures import dcgan
from training.gan.architectures.dcgan import halvings, initialise


class Discriminator(dcgan.Discriminator):
    """Pictures -> logits: above 0 says real; arguments as of `dcgan.Discriminator`."""

    def __init__(self, image_size: int, channels: int, width: int, norm: bool, outputs: int = 1) -> None:
        super().__init__(image_size, channels, width, norm, outputs)
        start, halvings_ = halvings(image_size)
        features = width * 2 ** (halvings_ - 1)
        *rest, last = self.layers
        blocks = [ResidualBlock(features, norm) for _ in range(blocks_across(start))]
        self.layers = nn.Sequential(*rest, *blocks, nn.LeakyReLU(0.2), last)


class ResidualBlock(nn.Module):
    """Features plus what two 3x3 convolutions change of them.

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
    """How many blocks it takes until the middle of so many pixels sees all of them: each sees two further to every side."""
    return -(-(side - 1) // 4)

"""DCGAN: Radford, Metz and Chintala 2016, "Unsupervised Representation Learning with Deep Convolutional GANs".

Strided convolutions replace pooling. Both networks use batch normalisation, except in the generator's output and the
discriminator's input layer. The generator uses ReLU and tanh, the discriminator leaky ReLU. Weights start from N(0, 0.02).
The paper's networks start from 4x4. Here the start is the size that is left after halving the image to at most 7x7, so 28
(7x7) and 96 (6x6) pixels work as well as 32, 64 and 128 (4x4).
"""

from pydantic import Field
from torch import Tensor, nn

from training.errors import ConfigError
from training.gan.architectures import base
from training.gan.architectures.base import GanArchitecture, Options

_LARGEST_START = 7


class GeneratorOptions(Options):
    """The options of DCGAN's generator."""

    width: int = Field(default=64, ge=4, le=512)  # channels of the layer before the image; doubles with each halving


class DiscriminatorOptions(base.DiscriminatorOptions):
    """The options of DCGAN's discriminator."""

    width: int = Field(default=64, ge=4, le=512)  # channels of the first layer; doubles with each halving
    norm: bool = False  # batch normalisation, as in the paper; gradient penalties assume that there is none

    @property
    def per_sample(self) -> bool:
        """See the base class."""
        return not self.norm


class Generator(nn.Module):
    """Latents -> images.

    Args:
        image_size: height and width in pixels: 4 to 7 times a power of two, at least 16.
        channels: 1 for grey, 3 for RGB, 4 for RGB and alpha.
        latent_size: length d of a row of latents.
        options: its width.
    """

    def __init__(self, image_size: int, channels: int, latent_size: int, options: GeneratorOptions) -> None:
        super().__init__()
        start, doublings = halvings(image_size)
        features = options.width * 2 ** (doublings - 1)
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent_size, features, start, bias=False)]
        for _ in range(doublings - 1):
            layers += [nn.BatchNorm2d(features), nn.ReLU(inplace=True)]
            layers += [nn.ConvTranspose2d(features, features // 2, 4, stride=2, padding=1, bias=False)]
            features //= 2
        layers += [nn.BatchNorm2d(features), nn.ReLU(inplace=True)]
        layers += [nn.ConvTranspose2d(features, channels, 4, stride=2, padding=1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(initialise)

    def forward(self, latents: Tensor) -> Tensor:
        """Float [n, latent_size] -> float [n, channels, image_size, image_size] in -1..1."""
        images: Tensor = self.layers(latents[:, :, None, None])
        return images


class Discriminator(nn.Module):
    """Images -> logits; a logit above 0 means "real".

    Args:
        image_size: as in `Generator`.
        channels: as in `Generator`, times the number of images that are judged together.
        outputs: logits per image: 1 plus the number of classes.
        options: its width and normalisation.
    """

    def __init__(self, image_size: int, channels: int, outputs: int, options: DiscriminatorOptions) -> None:
        super().__init__()
        start, halvings_ = halvings(image_size)
        features = options.width
        layers: list[nn.Module] = [
            nn.Conv2d(channels, features, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        for _ in range(halvings_ - 1):
            layers += [nn.Conv2d(features, features * 2, 4, stride=2, padding=1, bias=not options.norm)]
            features *= 2
            layers += [nn.BatchNorm2d(features)] if options.norm else []
            layers += [nn.LeakyReLU(0.2, inplace=True)]
        layers += [nn.Conv2d(features, outputs, start)]
        self.layers = nn.Sequential(*layers)
        self.apply(initialise)

    def forward(self, images: Tensor) -> Tensor:
        """Float [n, channels, image_size, image_size] in -1..1 -> logits float [n], or [n, outputs]."""
        logits: Tensor = self.layers(images)
        return logits.flatten(1).squeeze(1)


DCGAN = GanArchitecture(Generator, GeneratorOptions, Discriminator, DiscriminatorOptions)


def halvings(image_size: int) -> tuple[int, int]:
    """Split an image size into (start, doublings): image_size = start * 2 ** doublings, with start in 4..7.

    Raises:
        ConfigError: the size has no such split with at least two doublings.
    """
    start, doublings = image_size, 0
    while start > _LARGEST_START and start % 2 == 0:
        start, doublings = start // 2, doublings + 1
    if not 4 <= start <= _LARGEST_START or doublings < 2:
        raise ConfigError(
            f"image_size {image_size} cannot be reached by doubling 4, 5, 6 or 7 at least twice. "
            "Choose for instance 28, 32, 48, 64, 96 or 128."
        )
    return start, doublings


def initialise(module: nn.Module) -> None:
    """Initialise as in the paper: weights from N(0, 0.02), scales of batch normalisation from N(1, 0.02)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)

"""DCGAN: Radford, Metz and Chintala 2016, "Unsupervised Representation Learning with Deep Convolutional GANs".

Strided convolutions in place of pooling, batch normalisation in both networks (not in the generator's output nor the
discriminator's input layer), ReLU and tanh in the generator, leaky ReLU in the discriminator, weights from N(0, 0.02).
The paper's networks start from 4x4; here the start is whatever is left after halving the picture to at most 7x7, so that
28 (7x7) and 96 (6x6) pixels work as well as 32, 64 and 128 (4x4).
"""

from torch import Tensor, nn

from training.errors import ConfigError

_LARGEST_START = 7


class Generator(nn.Module):
    """Latents -> pictures.

    Args:
        image_size: height and width in pixels: 4 to 7 times a power of two, at least 16.
        channels: 1 for grey, 3 for RGB.
        latent_size: length d of a row of latents.
        width: channels of the layer before the picture; doubled at each halving of the resolution.
    """

    def __init__(self, image_size: int, channels: int, latent_size: int, width: int) -> None:
        super().__init__()
        start, doublings = halvings(image_size)
        features = width * 2 ** (doublings - 1)
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
        pictures: Tensor = self.layers(latents[:, :, None, None])
        return pictures


class Discriminator(nn.Module):
    """Pictures -> logits: above 0 says real.

    Args:
        image_size: as of `Generator`.
        channels: as of `Generator`, times the pictures that are judged together.
        width: channels of the first layer; doubled at each halving of the resolution.
        norm: batch normalisation, as the paper has it. Without it a picture is judged apart from its batch, as gradient
            penalties assume.
        outputs: logits of a picture: one, or one more for each class.
    """

    def __init__(self, image_size: int, channels: int, width: int, norm: bool, outputs: int = 1) -> None:
        super().__init__()
        start, halvings_ = halvings(image_size)
        features = width
        layers: list[nn.Module] = [
            nn.Conv2d(channels, features, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        for _ in range(halvings_ - 1):
            layers += [nn.Conv2d(features, features * 2, 4, stride=2, padding=1, bias=not norm)]
            features *= 2
            layers += [nn.BatchNorm2d(features)] if norm else []
            layers += [nn.LeakyReLU(0.2, inplace=True)]
        layers += [nn.Conv2d(features, outputs, start)]
        self.layers = nn.Sequential(*layers)
        self.apply(initialise)

    def forward(self, pictures: Tensor) -> Tensor:
        """Float [n, channels, image_size, image_size] in -1..1 -> logits float [n], or [n, outputs]."""
        logits: Tensor = self.layers(pictures)
        return logits.flatten(1).squeeze(1)


def halvings(image_size: int) -> tuple[int, int]:
    """How an image size comes about: (start, doublings) with image_size = start * 2 ** doublings and start in 4..7.

    Raises:
        ConfigError: the size is none that strided convolutions can double their way up to.
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
    """As the paper starts: weights from N(0, 0.02), batch normalisation's scales from N(1, 0.02)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)

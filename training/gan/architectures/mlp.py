"""The fully connected GAN: Goodfellow et al. 2014, "Generative Adversarial Nets", in its now classical sizes.

Generator: latents -> 256 -> 512 -> 1024 -> picture, with batch normalisation, leaky ReLU and tanh. Discriminator: picture ->
512 -> 256 -> logit. It knows nothing of neighbouring pixels: good for digits and for learning how GANs work, not for photos.
The sizes are those of width 64.
"""

import math

from torch import Tensor, nn

_SLOPE = 0.2


class Generator(nn.Module):
    """Latents -> pictures. Arguments as of `dcgan.Generator`; the hidden layers have 4, 8 and 16 widths."""

    def __init__(self, image_size: int, channels: int, latent_size: int, width: int) -> None:
        super().__init__()
        self.shape = (channels, image_size, image_size)
        layers: list[nn.Module] = []
        features = latent_size
        for hidden in (4 * width, 8 * width, 16 * width):
            layers += [nn.Linear(features, hidden), nn.BatchNorm1d(hidden), nn.LeakyReLU(_SLOPE)]
            features = hidden
        self.layers = nn.Sequential(*layers, nn.Linear(features, math.prod(self.shape)), nn.Tanh())

    def forward(self, latents: Tensor) -> Tensor:
        """Float [n, latent_size] -> float [n, channels, image_size, image_size] in -1..1."""
        pictures: Tensor = self.layers(latents)
        return pictures.unflatten(1, self.shape)


class Discriminator(nn.Module):
    """Pictures -> logits: above 0 says real. Arguments as of `dcgan.Discriminator`; 8 and 4 widths."""

    def __init__(self, image_size: int, channels: int, width: int, norm: bool, outputs: int = 1) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(channels * image_size**2, 8 * width),
            nn.LeakyReLU(_SLOPE),
            nn.Linear(8 * width, 4 * width),
            nn.BatchNorm1d(4 * width) if norm else nn.Identity(),
            nn.LeakyReLU(_SLOPE),
            nn.Linear(4 * width, outputs),
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """Float [n, channels, image_size, image_size] in -1..1 -> logits float [n], or [n, outputs]."""
        logits: Tensor = self.layers(pictures.flatten(1))
        return logits.squeeze(1)

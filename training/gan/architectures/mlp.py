"""The fully connected GAN: Goodfellow et al. 2014, "Generative Adversarial Nets", in its now classical sizes.

Generator: latents -> 256 -> 512 -> 1024 -> image, with batch normalisation, leaky ReLU and tanh. Discriminator: image -> 512 ->
256 -> logit. These sizes are those of width 64. The networks do not know which pixels are neighbours: they are good for digits
and for learning how GANs work, not for photos.
"""

import math

from torch import Tensor, nn

from training.gan.architectures.base import GanArchitecture
from training.gan.architectures.dcgan import DiscriminatorOptions, GeneratorOptions

_SLOPE = 0.2


class Generator(nn.Module):
    """Latents -> images; arguments as in `dcgan.Generator`. The hidden layers are 4, 8 and 16 times `width` wide."""

    def __init__(self, image_size: int, channels: int, latent_size: int, options: GeneratorOptions) -> None:
        super().__init__()
        self.shape = (channels, image_size, image_size)
        layers: list[nn.Module] = []
        features = latent_size
        for hidden in (4 * options.width, 8 * options.width, 16 * options.width):
            layers += [nn.Linear(features, hidden), nn.BatchNorm1d(hidden), nn.LeakyReLU(_SLOPE)]
            features = hidden
        self.layers = nn.Sequential(*layers, nn.Linear(features, math.prod(self.shape)), nn.Tanh())

    def forward(self, latents: Tensor) -> Tensor:
        """Float [n, latent_size] -> float [n, channels, image_size, image_size] in -1..1."""
        images: Tensor = self.layers(latents)
        return images.unflatten(1, self.shape)


class Discriminator(nn.Module):
    """Images -> logits; arguments as in `dcgan.Discriminator`. The hidden layers are 8 and 4 times `width` wide."""

    def __init__(self, image_size: int, channels: int, outputs: int, options: DiscriminatorOptions) -> None:
        super().__init__()
        width = options.width
        self.layers = nn.Sequential(
            nn.Linear(channels * image_size**2, 8 * width),
            nn.LeakyReLU(_SLOPE),
            nn.Linear(8 * width, 4 * width),
            nn.BatchNorm1d(4 * width) if options.norm else nn.Identity(),
            nn.LeakyReLU(_SLOPE),
            nn.Linear(4 * width, outputs),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Float [n, channels, image_size, image_size] in -1..1 -> logits float [n], or [n, outputs]."""
        logits: Tensor = self.layers(images.flatten(1))
        return logits.squeeze(1)


MLP = GanArchitecture(Generator, GeneratorOptions, Discriminator, DiscriminatorOptions)

"""Multi-scale gradients: Karnewar and Wang 2020, "MSG-GAN: Multi-Scale Gradients for Generative Adversarial Networks".

Nothing grows. The generator makes an image at each of its resolutions, and the discriminator sees all of them: each is joined
to its features of that resolution. So the first layers of the generator get gradients from the first step that do not have to
pass through all others. The networks are those of `progressive`. An exported model makes only the largest image.

In training, images of all resolutions are in one tensor, each enlarged to the full size by nearest neighbour. So augmentation,
noise, packing and gradient penalties treat them as any other images. A real image is joined to shrunk copies of itself.
"""

import itertools

import torch
from torch import Tensor, nn

from training.gan.architectures.base import GanArchitecture
from training.gan.architectures.dcgan import halvings
from training.gan.architectures.progan_blocks import (
    DiscriminatorOptions,
    DownBlock,
    FirstBlock,
    FromImage,
    GeneratorOptions,
    LastBlock,
    ToImage,
    UpBlock,
    enlarge,
    shrink,
    widths_of,
)  # fmt: skip


class Generator(nn.Module):
    """Latents -> images; arguments as in `dcgan.Generator`."""

    def __init__(self, image_size: int, channels: int, latent_size: int, options: GeneratorOptions) -> None:
        super().__init__()
        start, doublings = halvings(image_size)
        widths = widths_of(options.width, options.max_width, doublings + 1)
        self.first = FirstBlock(latent_size, widths[0], start)
        self.blocks = nn.ModuleList(UpBlock(*pair) for pair in itertools.pairwise(widths))
        self.images = nn.ModuleList(ToImage(width, channels) for width in widths)

    def forward(self, latents: Tensor) -> Tensor:
        """Float [n, latent_size] -> float [n, channels, image_size, image_size] in -1..1."""
        images: Tensor = self.images[-1](self._features(latents)[-1])
        return images

    def fake_inputs(self, latents: Tensor) -> Tensor:
        """See `training.gan.architectures.base.MakesInputs`: the images of all resolutions, the largest first.

        Returns:
            float [n, levels * channels, image_size, image_size] in -1..1.
        """
        by_level = [image(features) for image, features in zip(self.images, self._features(latents), strict=True)]
        return torch.cat([enlarge(images, times) for times, images in enumerate(reversed(by_level))], dim=1)

    def real_inputs(self, images: Tensor) -> Tensor:
        """See `training.gan.architectures.base.MakesInputs`: real images at all resolutions, as `fake_inputs`."""
        return torch.cat([enlarge(shrink(images, times), times) for times in range(len(self.images))], dim=1)

    def _features(self, latents: Tensor) -> list[Tensor]:
        """The features of each resolution, the smallest first."""
        return list(itertools.accumulate(self.blocks, lambda features, block: block(features), initial=self.first(latents)))


class Discriminator(nn.Module):
    """Images -> logits; arguments as in `dcgan.Discriminator`."""

    def __init__(self, image_size: int, channels: int, outputs: int, options: DiscriminatorOptions) -> None:
        super().__init__()
        start, doublings = halvings(image_size)
        self.channels, self.levels = channels, doublings + 1
        widths = widths_of(options.width, options.max_width, self.levels)
        self.image = FromImage(channels, widths[-1])
        joined = [*(width + channels for width in widths[:-1]), widths[-1]]
        self.blocks = nn.ModuleList(
            DownBlock(inputs, narrow, wide)
            for inputs, (wide, narrow) in zip(joined[1:], itertools.pairwise(widths), strict=True)
        )
        self.last = LastBlock(joined[0], widths[0], start, outputs, deviation=options.minibatch_stddev)

    def forward(self, images: Tensor) -> Tensor:
        """Judge images with their smaller versions.

        Args:
            images: float [n, levels * channels, image_size, image_size] in -1..1, as `Generator.fake_inputs` makes them, or
                float [n, channels, image_size, image_size], which stand for shrunk copies of themselves too.

        Returns:
            logits, float [n], or [n, outputs].
        """
        by_level = images.split(self.channels, dim=1)
        if len(by_level) == 1:
            by_level = by_level * self.levels
        features = self.image(by_level[0])
        for times, (block, level) in enumerate(zip(reversed(self.blocks), by_level[1:], strict=True), 1):
            features = torch.cat([block(features), shrink(level, times)], dim=1)
        logits: Tensor = self.last(features)
        return logits


MSG = GanArchitecture(Generator, GeneratorOptions, Discriminator, DiscriminatorOptions)

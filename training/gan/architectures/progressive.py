"""Progressive growing: Karras et al. 2018, "Progressive Growing of GANs for Improved Quality, Stability, and Variation".

A run begins with images of 4 to 7 pixels a side. Layers of twice the resolution fade in, one after the other, until the
networks work at the image's own size. A step at a low resolution takes a small part of the time, because the other layers do
not run. As in the paper: equalised weights, pixel norm, leaky ReLU, upsampling by nearest neighbour, means of 2x2 pixels for
halving, and minibatch standard deviation.

Images always have the full size at the interface. The generator enlarges what it makes, and the discriminator shrinks what it
sees. Real images are blended as the generator's are. The gradient penalties are with respect to images of the full size: at
half the resolution, they are a quarter as strong with respect to the pixels there.

Unlike the paper, the images end with tanh, the optimizer keeps its state when the networks grow, and the batch stays the same.
"""

import itertools
import math

import torch
from pydantic import Field
from torch import Tensor, nn

from training.gan.architectures import progan_blocks
from training.gan.architectures.base import GanArchitecture
from training.gan.architectures.dcgan import halvings
from training.gan.architectures.progan_blocks import (
    DownBlock,
    FirstBlock,
    FromImage,
    LastBlock,
    ToImage,
    UpBlock,
    enlarge,
    shrink,
    widths_of,
)  # fmt: skip


class GeneratorOptions(progan_blocks.GeneratorOptions):
    """The options of the generator, and of the schedule of both networks."""

    growth: float = Field(default=0.5, gt=0, lt=1)  # fraction of the run after which the image's own resolution has faded in
    fade: float = Field(default=0.5, gt=0, le=1)  # share of each resolution's time in which the next one fades in


class DiscriminatorOptions(progan_blocks.DiscriminatorOptions):
    """The options of the discriminator."""

    growth: float = Field(default=0.5, gt=0, lt=1, exclude=True)  # those of the generator
    fade: float = Field(default=0.5, gt=0, le=1, exclude=True)


def position(fraction: float, levels: int, growth: float, fade: float) -> float:
    """Where the networks are between the smallest resolution, 0, and the image's own, levels - 1.

    All resolutions but the last take the same time. First the resolution is held, then the next one fades in.

    Args:
        fraction: of the run that is done, 0..1.
        levels: number of resolutions, at least 2.
        growth: fraction of the run after which the last one has faded in.
        fade: share of a resolution's time in which the next one fades in.

    Returns:
        A level if the networks hold it. Between two levels, the part behind the point is the share of the larger one.
    """
    time = fraction / growth * (levels - 1)
    level = min(math.floor(time), levels - 1)
    return min(level + max(0.0, (time - level - (1 - fade)) / fade), levels - 1)


class Growing(nn.Module):
    """A network that grows with the progress of the run.

    Args:
        image_size: the largest side in pixels.
        growth: see `position`.
        fade: see `position`.

    Attributes:
        fraction: float scalar, the progress of the run. Only checkpoints read it.
        start: side of the smallest resolution in pixels.
        levels: number of resolutions.
        level: the largest resolution in use, 0..levels - 1; its side is start * 2 ** level.
        share: of this resolution in an image, above 0 and up to 1; the one before has the rest.
    """

    fraction: Tensor
    level: int
    share: float

    def __init__(self, image_size: int, growth: float, fade: float) -> None:
        super().__init__()
        self.start, doublings = halvings(image_size)
        self.levels, self.growth, self.fade = doublings + 1, growth, fade
        self.register_buffer("fraction", torch.zeros(()))
        self.register_load_state_dict_post_hook(_grow_as_loaded)
        self.set_progress(0.0)

    def set_progress(self, fraction: float) -> None:
        """See `training.gan.architectures.base.TakesProgress`."""
        rounded = torch.tensor(fraction, dtype=torch.float32)  # as the buffer, so that a loaded network is the same
        self.fraction.copy_(rounded)
        self._grow(float(rounded))

    def _grow(self, fraction: float) -> None:
        # Python numbers: an exported graph then has no branch, and no work of layers that are not in use.
        place = position(fraction, self.levels, self.growth, self.fade)
        self.level = math.ceil(place)
        self.share = place - self.level + 1

    def shrink(self, images: Tensor) -> Tensor:
        """Images of the full size -> images of the largest resolution in use."""
        return shrink(images, self.levels - 1 - self.level)

    def enlarge(self, images: Tensor) -> Tensor:
        """The reverse of `shrink`, by nearest neighbour."""
        return enlarge(images, self.levels - 1 - self.level)


def _grow_as_loaded(network: Growing, _: object) -> None:
    network._grow(float(network.fraction))


class Generator(Growing):
    """Latents -> images; arguments as in `dcgan.Generator`."""

    def __init__(self, image_size: int, channels: int, latent_size: int, options: GeneratorOptions) -> None:
        super().__init__(image_size, options.growth, options.fade)
        widths = widths_of(options.width, options.max_width, self.levels)
        self.first = FirstBlock(latent_size, widths[0], self.start)
        self.blocks = nn.ModuleList(UpBlock(*pair) for pair in itertools.pairwise(widths))
        self.images = nn.ModuleList(ToImage(width, channels) for width in widths)

    def forward(self, latents: Tensor) -> Tensor:
        """Float [n, latent_size] -> float [n, channels, image_size, image_size] in -1..1."""
        features = before = self.first(latents)
        for block in itertools.islice(self.blocks, self.level):
            before, features = features, block(features)
        images: Tensor = self.images[self.level](features)
        if self.share < 1:
            images = torch.lerp(enlarge(self.images[self.level - 1](before)), images, self.share)
        return self.enlarge(images)

    def fake_inputs(self, latents: Tensor) -> Tensor:
        """See `training.gan.architectures.base.MakesInputs`: the images themselves."""
        images: Tensor = self(latents)
        return images

    def real_inputs(self, images: Tensor) -> Tensor:
        """See `training.gan.architectures.base.MakesInputs`: real images at the resolution in use, blended as the fakes."""
        if self.level == self.levels - 1 and self.share == 1:
            return images
        images = self.shrink(images)
        if self.share < 1:
            images = torch.lerp(enlarge(shrink(images)), images, self.share)
        return self.enlarge(images)


class Discriminator(Growing):
    """Images -> logits; arguments as in `dcgan.Discriminator`."""

    def __init__(self, image_size: int, channels: int, outputs: int, options: DiscriminatorOptions) -> None:
        super().__init__(image_size, options.growth, options.fade)
        widths = widths_of(options.width, options.max_width, self.levels)
        self.images = nn.ModuleList(FromImage(channels, width) for width in widths)
        self.blocks = nn.ModuleList(DownBlock(narrow, narrow, wide) for wide, narrow in itertools.pairwise(widths))
        self.last = LastBlock(widths[0], widths[0], self.start, outputs, deviation=options.minibatch_stddev)

    def forward(self, images: Tensor) -> Tensor:
        """Float [n, channels, image_size, image_size] in -1..1 -> logits float [n], or [n, outputs]."""
        images = self.shrink(images)
        features = self.images[self.level](images)
        for level in reversed(range(self.level)):
            features = self.blocks[level](features)
            if level == self.level - 1 and self.share < 1:
                features = torch.lerp(self.images[level](shrink(images)), features, self.share)
        logits: Tensor = self.last(features)
        return logits


PROGRESSIVE = GanArchitecture(
    Generator, GeneratorOptions, Discriminator, DiscriminatorOptions, shared_options=("growth", "fade")
)

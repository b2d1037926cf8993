"""The blocks of ProGAN (Karras et al. 2018) and their options, which `progressive` and `msg` share."""

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from training.gan.architectures import base
from training.gan.architectures.layers import SLOPE, EqualConv, EqualLinear, MinibatchDeviation, latent_norm, pixel_norm


class GeneratorOptions(base.Options):
    """The options of the generator."""

    width: int = Field(default=24, ge=4, le=512)  # channels at the image's resolution; doubles with each halving ...
    max_width: int = Field(default=256, ge=4, le=1024)  # ... up to this


class DiscriminatorOptions(base.DiscriminatorOptions):
    """The options of the discriminator."""

    width: int = Field(default=24, ge=4, le=512)  # as in the generator
    max_width: int = Field(default=256, ge=4, le=1024)
    minibatch_stddev: bool = True  # adds a feature that says how much the images of a batch differ

    @property
    def per_sample(self) -> bool:
        """See the base class."""
        return not self.minibatch_stddev


def widths_of(width: int, max_width: int, levels: int) -> list[int]:
    """Channels at each resolution, the smallest resolution first: at most `max_width`, and `width` at the largest."""
    return [min(max_width, width * 2**level) for level in reversed(range(levels))]


def enlarge(images: Tensor, times: int = 1) -> Tensor:
    """Double the sides some times, by nearest neighbour: float [n, c, h, w] -> float [n, c, h * 2 ** times, w * 2 ** times]."""
    return F.interpolate(images, scale_factor=float(2**times), mode="nearest") if times else images


def shrink(images: Tensor, times: int = 1) -> Tensor:
    """Halve the sides some times, by the means of pixels: the reverse of `enlarge`."""
    return F.avg_pool2d(images, 2**times) if times else images


class FirstBlock(nn.Module):
    """Latents -> features of the smallest resolution."""

    def __init__(self, latent_size: int, width: int, side: int) -> None:
        super().__init__()
        self.shape = (width, side, side)
        self.linear = EqualLinear(latent_size, width * side**2)
        self.conv = EqualConv(width, width)

    def forward(self, latents: Tensor) -> Tensor:
        """Float [n, latent_size] -> float [n, width, side, side]."""
        features = self.linear(latent_norm(latents)).unflatten(1, self.shape)
        features = pixel_norm(F.leaky_relu(features.contiguous(memory_format=torch.channels_last), SLOPE))
        return pixel_norm(F.leaky_relu(self.conv(features), SLOPE))


class UpBlock(nn.Module):
    """Features -> features of twice the resolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.up = EqualConv(inputs, outputs, resample="up")
        self.same = EqualConv(outputs, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Float [n, inputs, h, w] -> float [n, outputs, 2h, 2w]."""
        features = pixel_norm(F.leaky_relu(self.up(features), SLOPE))
        return pixel_norm(F.leaky_relu(self.same(features), SLOPE))


class ToImage(nn.Module):
    """Features -> image of the same resolution: a 1x1 convolution and tanh."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.conv = EqualConv(inputs, channels, side=1, gain=1.0)

    def forward(self, features: Tensor) -> Tensor:
        """Float [n, inputs, h, w] -> float [n, channels, h, w] in -1..1."""
        return torch.tanh(self.conv(features))


class FromImage(nn.Module):
    """Image -> features of the same resolution: a 1x1 convolution."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.conv = EqualConv(channels, outputs, side=1)

    def forward(self, images: Tensor) -> Tensor:
        """Float [n, channels, h, w] in -1..1 -> float [n, outputs, h, w]."""
        return F.leaky_relu(self.conv(images), SLOPE)


class DownBlock(nn.Module):
    """Features -> features of half the resolution.

    Args:
        inputs: channels.
        width: channels at the full resolution.
        outputs: channels.
    """

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.same = EqualConv(inputs, width)
        self.down = EqualConv(width, outputs, resample="down")

    def forward(self, features: Tensor) -> Tensor:
        """Float [n, inputs, h, w] -> float [n, outputs, h / 2, w / 2]."""
        return F.leaky_relu(self.down(F.leaky_relu(self.same(features), SLOPE)), SLOPE)


class LastBlock(nn.Module):
    """Features of the smallest resolution -> logits.

    Args:
        inputs: channels.
        width: channels of the features between.
        side: of the features in pixels.
        outputs: logits per image.
        deviation: add minibatch standard deviation first.
    """

    def __init__(self, inputs: int, width: int, side: int, outputs: int, *, deviation: bool) -> None:
        super().__init__()
        self.deviation = MinibatchDeviation() if deviation else nn.Identity()
        self.same = EqualConv(inputs + deviation, width)
        self.whole = EqualConv(width, width, side, padding=0)
        self.logits = EqualLinear(width, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Float [n, inputs, side, side] -> logits float [n], or [n, outputs]."""
        features = F.leaky_relu(self.same(self.deviation(features)), SLOPE)
        features = F.leaky_relu(self.whole(features), SLOPE)
        logits: Tensor = self.logits(features.flatten(1))
        return logits.squeeze(1)

"""Layers that several architectures share: equalised weights, pixel norm, and the deviation of a batch."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2
"""Of leaky ReLU."""

GAIN = 2**0.5
"""Keeps the variance after a leaky ReLU."""

_GROUP = 4  # images whose deviation is taken together


class EqualLinear(nn.Module):
    """A linear layer with equalised weights: N(0, 1), scaled when they are used (Karras et al. 2018).

    Args:
        inputs: features.
        outputs: features.
        rate: of learning, as a fraction of that of the other layers.
        bias: at the start.
    """

    def __init__(self, inputs: int, outputs: int, rate: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.rate, self.scale = rate, rate / inputs**0.5
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))

    def forward(self, features: Tensor) -> Tensor:
        """Float [n, inputs] -> float [n, outputs]."""
        return F.linear(features, self.weight * self.scale, self.bias * self.rate)


class EqualConv(nn.Module):
    """A convolution with equalised weights and a bias; see `EqualLinear`.

    Args:
        inputs: channels.
        outputs: channels.
        side: of the weights in pixels; 3 with `resample`.
        resample: "up" makes the image twice as large by nearest neighbour before the convolution, and "down" takes the means of
            2x2 pixels after it. Each is computed as one convolution with 4x4 weights; see `spread`.
        gain: of the weights. `GAIN` keeps the variance through leaky ReLU.
        padding: pixels of 0 at each edge; None: the image keeps its sides.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        side: int = 3,
        resample: Literal["up", "down"] | None = None,
        gain: float = GAIN,
        padding: int | None = None,
    ) -> None:
        super().__init__()
        self.resample, self.scale = resample, gain / (side**2 * inputs) ** 0.5
        self.padding = side // 2 if padding is None else padding
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, features: Tensor) -> Tensor:
        """Float [n, inputs, h, w] -> float [n, outputs, h, w], or with twice or half the sides."""
        weight = self.weight * self.scale
        if self.resample == "up":
            weight = 4 * spread(weight.flip(2, 3).transpose(0, 1))
            return F.conv_transpose2d(features, weight, self.bias, stride=2, padding=1)
        if self.resample == "down":
            return F.conv2d(features, spread(weight), self.bias, stride=2, padding=1)
        return F.conv2d(features, weight, self.bias, padding=self.padding)


def spread(weight: Tensor) -> Tensor:
    """The mean of 3x3 weights at the four places that they have in 4x4: float [a, b, 3, 3] -> float [a, b, 4, 4].

    With these weights, a convolution of stride 2 equals one with the 3x3 weights, followed by the means of 2x2 pixels. A
    transposed convolution with four times these weights equals upsampling by nearest neighbour, followed by a convolution.
    """
    # A product with a constant: pooling 65,536 filters takes ten times as long.
    along = weight.new_tensor([[1, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 1]]) / 2
    return (weight.flatten(2) @ torch.kron(along, along).T).unflatten(2, (4, 4))


def pixel_norm(features: Tensor) -> Tensor:
    """Divide each pixel by the root mean square of its channels (Karras et al. 2018): float [n, c, h, w] -> the same.

    A convolution takes the mean, which is several times as fast as a sum over the channels with two cores and bfloat16.
    """
    channels = features.shape[1]
    mean = F.conv2d(features.square(), features.new_full((1, channels, 1, 1), 1 / channels))
    return features * torch.rsqrt(mean + 1e-8)


def latent_norm(latents: Tensor) -> Tensor:
    """Divide each row by its root mean square: float [n, d] -> the same."""
    return latents * torch.rsqrt(latents.square().mean(dim=1, keepdim=True) + 1e-8)


class MinibatchDeviation(nn.Module):
    """One more channel: how much the features of a few images differ. Without diversity it is 0, which gives fakes away."""

    def forward(self, features: Tensor) -> Tensor:
        """Float [n, c, h, w] -> float [n, c + 1, h, w]."""
        n, _, height, width = features.shape
        group = next(size for size in range(min(_GROUP, n), 0, -1) if n % size == 0)
        grouped = features.float().reshape(group, n // group, -1)
        deviation = (grouped.var(dim=0, correction=0) + 1e-8).sqrt().mean(dim=1)
        return torch.cat([features, deviation.repeat(group)[:, None, None, None].expand(n, 1, height, width).to(features)], 1)

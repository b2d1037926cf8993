"""Losses of neural style transfer, each a pure function that returns one value for each image.

Gatys, Ecker and Bethge 2016, "Image Style Transfer Using Convolutional Neural Networks" (content, Gram matrix, style);
Johnson, Alahi and Fei-Fei 2016, "Perceptual Losses for Real-Time Style Transfer" (normalised Gram matrix, total variation).
"""

from typing import Any

import torch
from torch import Tensor


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of two feature maps: float [n, c, h, w] twice -> float [n]."""
    return (features - target).square().mean(dim=(1, 2, 3))


def gram_matrix(features: Tensor) -> Tensor:
    """Which features occur together, regardless of their positions: F F^T / (c h w).

    Args:
        features: [n, c, h, w], float32 or bfloat16.

    Returns:
        float32 [n, c, c].
    """
    gram: Tensor = _Gram.apply(features)
    return gram / (features.shape[1] * features.shape[2] * features.shape[3])


class _Gram(torch.autograd.Function):
    """F F^T. The factors are the same, so one product suffices for the gradient; autograd would take two.

    Features are taken in channels-last order, and so is the gradient: adding it to that of the next layer then copies nothing.
    bfloat16 features are multiplied as they are, which is up to ten times as fast: the hardware adds in float32, and rounding
    the sums changes the matrix by 0.2%.
    """

    @staticmethod
    def forward(features: Tensor) -> Tensor:
        flat = features.permute(0, 2, 3, 1).flatten(1, 2)
        return torch.bmm(flat.transpose(1, 2), flat).float()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (features,) = ctx.saved_tensors
        flat = features.permute(0, 2, 3, 1).flatten(1, 2)
        product = torch.bmm(flat, (gradient + gradient.transpose(1, 2)).to(flat.dtype))
        return product.unflatten(1, features.shape[2:]).permute(0, 3, 1, 2)


def style_loss(gram: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of two Gram matrices: float [n, c, c] twice -> float [n]."""
    return (gram - target).square().mean(dim=(1, 2))


def total_variation(images: Tensor) -> Tensor:
    """Mean squared difference between neighbours below and to the right: float [n, c, h, w] -> float [n]."""
    below = (images[:, :, 1:] - images[:, :, :-1]).square().mean(dim=(1, 2, 3))
    right = (images[:, :, :, 1:] - images[:, :, :, :-1]).square().mean(dim=(1, 2, 3))
    return below + right


def lattice_loss(images: Tensor, period: int = 8) -> Tensor:
    """How strongly images repeat every `period` pixels: the variance of the means of pixels by position modulo the period.

    Args:
        images: float [n, c, h, w] in grey levels.
        period: pixels; sees patterns of its divisors too.

    Returns:
        float [n], 1 for a standard deviation of 4 grey levels. The content of an image adds a little.
    """
    height, width = (side // period * period for side in images.shape[2:])
    cells = images[:, :, :height, :width].unflatten(3, (-1, period)).unflatten(2, (-1, period))
    return (cells.mean(dim=(2, 4)) / 4).var(dim=(2, 3), correction=0).mean(dim=1)

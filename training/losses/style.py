"""Losses of neural style transfer, each a pure function that returns one value a picture.

Gatys, Ecker and Bethge 2016, "Image Style Transfer Using Convolutional Neural Networks" (content, Gram matrix, style);
Johnson, Alahi and Fei-Fei 2016, "Perceptual Losses for Real-Time Style Transfer" (normalised Gram matrix, total variation).
"""

import torch
from torch import Tensor


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of two feature maps: float [n, c, h, w] twice -> float [n]."""
    return (features - target).square().mean(dim=(1, 2, 3))


def gram_matrix(features: Tensor) -> Tensor:
    """Which features come together, wherever they are: F F^T / (c h w).

    Args:
        features: float [n, c, h, w].

    Returns:
        float [n, c, c].
    """
    n, c, h, w = features.shape
    flat = features.reshape(n, c, h * w)
    return torch.bmm(flat, flat.transpose(1, 2)) / (c * h * w)


def style_loss(gram: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of two Gram matrices: float [n, c, c] twice -> float [n]."""
    return (gram - target).square().mean(dim=(1, 2))


def total_variation(images: Tensor) -> Tensor:
    """Mean squared difference between neighbours below and to the right: float [n, c, h, w] -> float [n]."""
    below = (images[:, :, 1:] - images[:, :, :-1]).square().mean(dim=(1, 2, 3))
    right = (images[:, :, :, 1:] - images[:, :, :, :-1]).square().mean(dim=(1, 2, 3))
    return below + right

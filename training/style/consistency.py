"""Keeps a style network steady: a photo that changed a little must give a painting that changed as little.

A shift by a few pixels, noise, JPEG compression and a change of brightness hardly change what a photo shows. A network whose
strokes hang on the noise of a camera, or on the places of its pixels, changes its painting with each of them. Penalising that
steadies it, and video flickers less. It costs a second pass of the network, which is little beside VGG-16.
"""

import numpy as np
import torch
from torch import Tensor

from training.data.jpeg import through_jpeg
from training.random import Stream, numpy_rng

_UNIT = 60.0
"""Grey levels of difference that count as 1, so that the loss is as large as the relative ones."""

_SHIFT = 3  # pixels, at most
_NOISE = 4.0  # standard deviation in grey levels, at most
_BRIGHTNESS = 8.0  # grey levels, at most
_QUALITY = (50, 95)  # of the JPEG
_SCALE = (1.0, 2.0)  # at which it is compressed


class Disturbance:
    """A small change of photos, a function of (seed, step)."""

    def __init__(self, seed: int, step: int) -> None:
        self._rng = numpy_rng(seed, Stream.CONSISTENCY, step)
        self._down, self._right = (int(each) for each in self._rng.integers(-_SHIFT, _SHIFT + 1, 2))

    def disturb(self, photos: Tensor) -> Tensor:
        """Shift, brighten, add noise, and compress.

        Args:
            photos: uint8 [n, 3, h, w] on the CPU.

        Returns:
            Float [n, 3, h, w] in 0..255.
        """
        shifted = photos.roll((self._down, self._right), (2, 3)).permute(0, 2, 3, 1).numpy().astype(np.float32)
        sigma, brighter = self._rng.uniform(0, _NOISE), self._rng.uniform(-_BRIGHTNESS, _BRIGHTNESS)
        noisy = shifted + brighter + sigma * self._rng.standard_normal(shifted.shape, np.float32)
        quality, scale = int(self._rng.integers(*_QUALITY)), self._rng.uniform(*_SCALE)
        compressed = [through_jpeg(photo, quality, scale) for photo in noisy]
        return torch.from_numpy(np.stack(compressed)).permute(0, 3, 1, 2).float()

    def loss(self, painted: Tensor, disturbed: Tensor) -> Tensor:
        """Mean squared difference between two paintings, one of which is shifted back.

        Args:
            painted: float [n, 3, h, w], of the photos.
            disturbed: the same, of what `disturb` made of them.

        Returns:
            Float [n], where `_UNIT` grey levels are 1.
        """
        back = disturbed.roll((-self._down, -self._right), (2, 3))
        inside = slice(_SHIFT, -_SHIFT)  # what `roll` moved over an edge is not compared
        difference = (painted - back)[:, :, inside, inside] / _UNIT
        return difference.square().mean(dim=(1, 2, 3))

"""Smooth skies among the photos that a style network learns from.

Photos seldom have large smooth areas, but where they have one it is the first thing that people look at. A network that rarely
sees one fills it with a fine texture. So some crops are replaced by gradients with the noise of a camera, as JPEG.
"""

import numpy as np
import torch
from torch import Tensor

from training.data.jpeg import through_jpeg
from training.random import Stream, numpy_rng

_BLUE_SHARE = 0.6
_NOISE = (0.5, 3.0)  # standard deviation in grey levels
_QUALITY = (75, 96)  # of the JPEG
_SCALE = (1.0, 2.0)  # at which it is compressed


def with_skies(photos: Tensor, share: float, seed: int, step: int) -> tuple[Tensor, Tensor]:
    """Replace some photos by skies, as a function of (seed, step).

    Args:
        photos: uint8 [n, 3, h, w] on the CPU.
        share: the probability of each photo to be replaced.
        seed: of the run.
        step: of the run.

    Returns:
        Photos and skies, uint8 [n, 3, h, w], and which are skies, bool [n].
    """
    rng = numpy_rng(seed, Stream.SKIES, step)
    is_sky = torch.from_numpy(rng.random(len(photos)) < share)
    mixed = photos.clone()
    for i in is_sky.nonzero().flatten().tolist():
        mixed[i] = torch.from_numpy(_sky(photos.shape[2], photos.shape[3], rng).copy()).permute(2, 0, 1)
    return mixed, is_sky


def _sky(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """A gradient from one color to another, mostly downwards: uint8 [height, width, 3]."""
    down, across = np.mgrid[:height, :width] / max(height, width)
    angle = rng.normal(np.pi / 2, 0.5)
    along = down * np.sin(angle) + across * np.cos(angle)
    along = (along - along.min()) / (along.max() - along.min())
    if rng.random() < _BLUE_SHARE:
        first = rng.uniform((40, 90, 150), (140, 180, 240))
    else:
        first = rng.uniform(30, 230) + rng.normal(0, 25, 3)
    second = first + rng.uniform(-70, 90) + rng.normal(0, 15, 3)
    sky = first + along[..., None] * (second - first) + rng.normal(0, rng.uniform(*_NOISE), (height, width, 3))
    return through_jpeg(sky, int(rng.integers(*_QUALITY)), rng.uniform(*_SCALE))

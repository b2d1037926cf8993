"""Numbers that see what a painting's brushwork looks like: strokes, patterns, steadiness.

The objective of a style network sees neither a regular pattern in a smooth sky nor strokes that are too small everywhere: a
fine texture in all of the picture can have a low loss. Each function here measures one thing, on one image.
"""

import numpy as np
import numpy.typing as npt
from torch import Tensor

from training.data.jpeg import through_jpeg

SKY_SIDE = 512  # pixels
_BORDER = 32  # pixels, outside of which a lattice is measured
_MIDDLE = 256  # pixels, the side of the square that `coarse` sees
_COARSE_PERIOD = 16  # pixels


def relative_error(found: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference, divided by the mean square of the target: 0 if they are equal, 1 if `found` is 0.

    Args:
        found: float [n, ...], Gram matrices or features.
        target: float, of the same shape or [1, ...].

    Returns:
        Float [n].
    """
    others = tuple(range(1, found.ndim))
    return (found - target).square().mean(dim=others) / target.square().mean(dim=others)


def smooth_sky(seed: int = 0) -> npt.NDArray[np.uint8]:
    """A photo of a smooth sky: a gradient of two blues with the noise of a camera, compressed as JPEG.

    Returns:
        uint8 [512, 512, 3]. Nothing in it has a period, so every pattern in its painting is the network's.
    """
    down = np.linspace(0, 1, SKY_SIDE)[:, None, None]
    gradient = (1 - down) * np.array([70.0, 120, 190]) + down * np.array([170.0, 205, 235])
    noise = np.random.default_rng(seed).normal(0, 1.5, (SKY_SIDE, SKY_SIDE, 3))
    return through_jpeg(gradient + noise, 85)


def lattice(image: npt.NDArray[np.uint8], period: int) -> float:
    """How strong a pattern is that repeats every `period` pixels, in grey levels: 0 if there is none.

    The spread, as the difference of the largest and the smallest, of the means of the pixels by position modulo the period. A
    plane is taken off first, and the outer 32 pixels are left out.

    Args:
        image: uint8 [h, w, 3], the painting of a smooth photo.
        period: pixels.
    """
    grey = _without_plane(image)[_BORDER:-_BORDER, _BORDER:-_BORDER]
    height, width = (side // period * period for side in grey.shape)
    cells = grey[:height, :width].reshape(height // period, period, width // period, period)
    means = cells.mean(axis=(0, 2))
    return float(means.max() - means.min())


def coarse(image: npt.NDArray[np.uint8]) -> float:
    """Share of the spectrum at periods over 16 pixels: near 1 for broad strokes, near 0 for a fine texture.

    Of the central square, of at most 256 pixels, under a Hann window, after a plane is taken off.

    Args:
        image: uint8 [h, w, 3], the painting of a smooth photo, or a painting to compare it with.
    """
    grey = _without_plane(image)
    side = min(_MIDDLE, *grey.shape)
    top, left = ((length - side) // 2 for length in grey.shape)
    middle = grey[top : top + side, left : left + side]
    window = np.hanning(side)
    power = np.abs(np.fft.fft2((middle - middle.mean()) * window[:, None] * window[None])) ** 2
    frequencies = np.fft.fftfreq(side)
    radius = np.hypot(frequencies[:, None], frequencies[None])
    power[0, 0] = 0
    return float(power[radius < 1 / _COARSE_PERIOD].sum() / power.sum())


def _without_plane(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """The grey levels of an image without their mean and their gradient from side to side: float [h, w]."""
    grey = image.astype(np.float64).mean(axis=2)
    down, across = np.mgrid[: grey.shape[0], : grey.shape[1]]
    plane = np.stack([np.ones(grey.size), down.ravel(), across.ravel()], axis=1)
    fitted = plane @ np.linalg.lstsq(plane, grey.ravel(), rcond=None)[0]
    return grey - fitted.reshape(grey.shape)

"""Splits images into those that a GAN learns from and those that it is measured against."""

import numpy as np

from training.random import Stream, numpy_rng

HELD_OUT = 0.1
"""Fraction of the images that the networks never see; the metrics compare with these."""

LEAST_TO_HOLD_OUT = 1000
"""With fewer images, none is held out, because each is needed to learn from. The metrics then compare with half of them."""


def split(count: int, most: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Choose the images to learn from and those to measure against.

    Args:
        count: number of images.
        most: largest number to measure against.
        seed: of the choice.

    Returns:
        Two sorted arrays of indices. They are disjoint if images are held out.
    """
    order = numpy_rng(seed, Stream.SPLIT).permutation(count)
    if count < LEAST_TO_HOLD_OUT:
        return np.arange(count), np.sort(order[: min(count // 2, most)])
    held = min(int(count * HELD_OUT), most)
    return np.sort(order[held:]), np.sort(order[:held])


def others(learned: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Choose other real images to take the place of samples: the same number as `measured`, spread evenly over the rest.

    Args:
        learned: int [N], the images to learn from.
        measured: int [M], the images to measure against; at most half of all.
    """
    rest = np.setdiff1d(learned, measured)
    return rest[np.linspace(0, len(rest) - 1, len(measured)).astype(int)]

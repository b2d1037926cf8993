"""Splits images into those that a GAN learns from and those that it is measured against."""

import numpy as np

from training.random import Stream, numpy_rng

HELD_OUT = 0.1
"""Fraction of the images that the networks never see; the metrics compare with these."""

LEAST_TO_HOLD_OUT = 1000
"""With fewer images, none is held out, because each is needed to learn from. The metrics then compare with all images."""


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
        return np.arange(count), np.sort(order[:most])
    held = min(int(count * HELD_OUT), most)
    return np.sort(order[held:]), np.sort(order[:held])

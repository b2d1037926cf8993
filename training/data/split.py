"""Which pictures a GAN learns from, and which it is measured against."""

import numpy as np

HELD_OUT = 0.1
"""Part of the pictures that the networks never see: what the metrics compare with."""

LEAST_TO_HOLD_OUT = 1000
"""With fewer pictures none is held out: each is worth more to learn from, and the metrics compare with all of them."""

_STREAM = 5


def split(count: int, most: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Choose the pictures to learn from and those to measure against, by the seed.

    Args:
        count: how many pictures there are.
        most: how many to measure against at most.
        seed: of the choice.

    Returns:
        Two sorted arrays of indices; they are disjoint where any are held out.
    """
    order = np.random.default_rng((seed, _STREAM)).permutation(count)
    if count < LEAST_TO_HOLD_OUT:
        return np.arange(count), np.sort(order[:most])
    held = min(int(count * HELD_OUT), most)
    return np.sort(order[held:]), np.sort(order[:held])

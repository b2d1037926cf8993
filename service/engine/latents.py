"""Latents from seeds, the same on every machine and in every version.

numpy's policy (NEP 19) freezes only the stream of `RandomState`. The stream of `Generator` may change between versions.
"""

import secrets
import threading
from collections.abc import Sequence

import numpy as np

from ganvas.api import SEED_LIMIT
from service.engine.arrays import Floats


class _Drawing(threading.local):
    """A stream for each thread. Seeding a stream again takes a tenth of the time of making one."""

    def __init__(self) -> None:
        self.stream = np.random.RandomState(0)


_drawing = _Drawing()


def random_seed() -> int:
    """A seed from the operating system's random source."""
    return secrets.randbelow(SEED_LIMIT)


def latents_of_seed(seed: int, n: int, size: int) -> Floats:
    """Draw latents from the standard normal distribution.

    Row i depends only on the seed and i, so the first images of a seed are the same for any n.

    Args:
        seed: 0 to 2**32 - 1.
        n: how many rows.
        size: the length of a row.

    Returns:
        float32 [n, size].
    """
    _drawing.stream.seed(seed)
    return _drawing.stream.standard_normal((n, size)).astype(np.float32)


def first_of_each(seeds: Sequence[int], size: int) -> Floats:
    """Draw the first row of each seed: float32 [len(seeds), size]."""
    return np.concatenate([latents_of_seed(seed, 1, size) for seed in seeds])

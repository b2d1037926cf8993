"""From a seed to latents: the same seed gives the same pictures, on every machine and in every version.

numpy's policy (NEP 19) freezes the stream of `RandomState`, and only that: `Generator` may change between versions.
"""

import secrets
import threading

import numpy as np
import numpy.typing as npt

SEED_LIMIT = 2**32
"""Seeds are 0 up to, not including, this: what `RandomState` takes."""


class _Drawing(threading.local):
    """A stream for each thread: to seed one again takes a tenth of the time of making one."""

    def __init__(self) -> None:
        self.stream = np.random.RandomState(0)


_drawing = _Drawing()


def random_seed() -> int:
    """A seed that nobody chose."""
    return secrets.randbelow(SEED_LIMIT)


def latents_of_seed(seed: int, n: int, size: int) -> npt.NDArray[np.float32]:
    """Draw latents from the standard normal distribution.

    Row i depends on the seed and i alone, so the first pictures of a seed are the same for any n.

    Args:
        seed: 0 to 2**32 - 1.
        n: how many rows.
        size: the length of a row.

    Returns:
        float32 [n, size].
    """
    _drawing.stream.seed(seed)
    return _drawing.stream.standard_normal((n, size)).astype(np.float32)

"""Latents from seeds, the same on every machine and in every version; and interpolation between latents.

numpy's policy (NEP 19) freezes only the stream of `RandomState`. The stream of `Generator` may change between versions.
"""

import itertools
import secrets
import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ganvas.api import SEED_LIMIT
from service.engine.arrays import Floats

SMALLEST_SINE = 1e-6
"""The smallest sine of the angle between two latents. Below it, no single great circle connects the latents."""


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


def frame_count(keys: int, steps: int, *, loop: bool) -> int:
    """The number of rows that `interpolate` returns."""
    return keys * steps if loop else (keys - 1) * steps + 1


def interpolate(keys: Floats, steps: int, *, loop: bool) -> Floats:
    """Interpolate from key to key on great circles (White 2016, "Sampling Generative Networks").

    Row `i * steps` is exactly key i. A straight line would pass nearer to the origin than any latents of the training.

    Args:
        keys: float32 [k, size].
        steps: rows from one key to the next.
        loop: whether the walk returns to the first key. Its row is not repeated, so the animation repeats evenly.

    Returns:
        float32 [k * steps, size] with a loop, else [(k - 1) * steps + 1, size].
    """
    fractions = np.arange(steps) / steps
    legs = [_slerp(start, end, fractions) for start, end in itertools.pairwise([*keys, keys[0]] if loop else keys)]
    return np.concatenate(legs if loop else [*legs, keys[-1:]])


def _slerp(start: Floats, end: Floats, fractions: npt.NDArray[np.float64]) -> Floats:
    """Latents at fractions [t] of the great circle from start to end: float32 [t, size]."""
    low, high = start.astype(np.float64), end.astype(np.float64)
    lengths = np.linalg.norm(low) * np.linalg.norm(high)
    angle = np.arccos(np.clip(low @ high / lengths, -1, 1)) if lengths else 0.0
    sine, t = np.sin(angle), fractions[:, None]
    if sine < SMALLEST_SINE:
        walked = (1 - t) * low + t * high
    else:
        walked = np.sin((1 - t) * angle) / sine * low + np.sin(t * angle) / sine * high
    return walked.astype(np.float32)

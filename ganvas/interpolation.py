"""Interpolation between latents. Needs numpy.

Latents from a normal distribution lie near a sphere. A straight line between two of them passes nearer to the origin than any
latents of the training, so the way follows the great circle (White 2016, "Sampling Generative Networks").
"""

import itertools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

SMALLEST_SINE = 1e-6
"""The smallest sine of the angle between two latents. Below it, no single great circle connects the latents."""


def frame_count(keys: int, steps: int, *, loop: bool) -> int:
    """The number of rows that `interpolate` returns."""
    return keys * steps if loop else (keys - 1) * steps + 1


def interpolate(keys: "Floats", steps: int, *, loop: bool) -> "Floats":
    """Interpolate from key to key on great circles.

    Row `i * steps` is exactly key i.

    Args:
        keys: float32 [k, size].
        steps: rows from one key to the next.
        loop: whether the walk returns to the first key. Its row is not repeated, so the animation repeats evenly.

    Returns:
        float32 [k * steps, size] with a loop, else [(k - 1) * steps + 1, size].
    """
    fractions = np.arange(steps) / steps
    legs = [slerp(start, end, fractions) for start, end in itertools.pairwise([*keys, keys[0]] if loop else keys)]
    return np.concatenate(legs if loop else [*legs, keys[-1:]])


def slerp(start: "Floats", end: "Floats", fractions: "npt.NDArray[np.float64]") -> "Floats":
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

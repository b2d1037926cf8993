"""Random numbers as a function of a seed, a purpose and a place, such as the step. So a resumed run draws the same numbers.

Nothing about them is saved. Each purpose has a stream of its own, so no two purposes share random numbers.
"""

from enum import IntEnum, unique

import numpy as np
import torch
from torch import Tensor


@unique
class Stream(IntEnum):
    """What random numbers are for, and the places of each purpose. Runs depend on the values: never change or reuse one."""

    ORDER = 1  # of training images: epoch
    LATENTS = 2  # of a GAN's step: step, turn within the step
    FLIPS = 3  # of a GAN's real images: number of the batch
    PREPROCESSING = 4  # augmentation and noise in a GAN: number of the batch, process
    SAMPLE_GRID = 5  # latents
    SPLIT = 6  # into images to learn from and images to measure against
    EVALUATION = 7  # latents of the evaluations while a GAN trains
    WALK = 8  # latents
    CROPS = 9  # of photos: step
    EVALUATE_LATENTS = 10  # of `python -m training evaluate`
    EVALUATE_IMAGES = 11  # which real images `python -m training evaluate` takes
    SAMPLE_LATENTS = 12  # of `python -m training sample`
    PAINT_NOISE = 13  # that a painting starts from
    STYLES = 14  # order of the styles that a style network paints: epoch
    HELD_OUT = 15  # which photos a style network does not learn from
    CONSISTENCY = 16  # small changes of photos: step
    SKIES = 17  # that replace crops of photos: step
    NETWORKS = 18  # that draw numbers themselves, such as style mixing: step, process


def numpy_rng(seed: int, stream: Stream, *place: int) -> np.random.Generator:
    """A generator of NumPy.

    Args:
        seed: below 2**32.
        stream: what the numbers are for.
        place: integers of at least 0 and below 2**32; `Stream` says which integers each stream takes.
    """
    return np.random.default_rng((seed, stream, *place))


def torch_rng(seed: int, stream: Stream, *place: int) -> torch.Generator:
    """A generator of torch, on the CPU, so every device draws the same; arguments as in `numpy_rng`."""
    state = np.random.SeedSequence((seed, stream, *place)).generate_state(1)
    return torch.Generator().manual_seed(int(state[0]))


def draw_latents(seed: int, stream: Stream, *place: int, count: int, size: int) -> Tensor:
    """Latents from N(0, 1): float32 [count, size] on the CPU; other arguments as in `numpy_rng`."""
    return torch.from_numpy(numpy_rng(seed, stream, *place).standard_normal((count, size), dtype=np.float32))

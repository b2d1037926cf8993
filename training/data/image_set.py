"""Images that need not be in memory: what indexes them, a choice of them, and their mirror images.

A tensor uint8 [N, c, h, w] is one as well. So are the images that `image_cache` keeps in a file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


class Images(Protocol):
    """Images by index."""

    def __len__(self) -> int:
        """Number of images."""
        ...

    def __getitem__(self, indices: np.ndarray, /) -> Tensor:
        """A copy of the images at int [n]: uint8 [n, c, h, w] on the CPU."""
        ...


@dataclass(frozen=True)
class Chosen:
    """Some images of others.

    Attributes:
        images: to choose from.
        indices: int [M], which.
    """

    images: Images
    indices: np.ndarray

    def __len__(self) -> int:
        """Number of chosen images."""
        return len(self.indices)

    def __getitem__(self, indices: np.ndarray, /) -> Tensor:
        """See `Images`."""
        return self.images[self.indices[indices]]


@dataclass(frozen=True)
class WithMirrored:
    """Images, and after them the mirror image of each.

    Attributes:
        images: to mirror.
    """

    images: Images

    def __len__(self) -> int:
        """Twice the number of images."""
        return 2 * len(self.images)

    def __getitem__(self, indices: np.ndarray, /) -> Tensor:
        """See `Images`."""
        found = self.images[indices % len(self.images)]
        mirrored = torch.from_numpy(indices >= len(self.images))
        found[mirrored] = found[mirrored].flip(3)
        return found


def batches(images: Images, size: int) -> Iterator[Tensor]:
    """All images in order, `size` at a time: uint8 [n, c, h, w]."""
    for start in range(0, len(images), size):
        yield images[np.arange(start, min(start + size, len(images)))]

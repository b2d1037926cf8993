"""Random crops of photos at several scales, to train a style network on."""

import logging

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from training.data.image_folder import UNREADABLE, ImageFolder, nothing_decoded, reason
from training.data.sampler import batch_indices
from training.random import Stream, numpy_rng

logger = logging.getLogger(__name__)

_LARGEST_SCALE = 3.0
"""A photo is shrunk until its shorter side is 1 to 3 times the side of a crop: crops show details and wide views."""


class Crops:
    """Batches of random crops. A batch depends on (seed, step) alone, so a resumed run sees the same crops.

    Args:
        photos: no side is under `size`.
        size: side of a crop in pixels.
        batch_size: crops a batch.
        seed: of the order and of the crops.
    """

    def __init__(self, photos: ImageFolder, size: int, batch_size: int, seed: int) -> None:
        self.photos, self.size, self.batch_size, self.seed = photos, size, batch_size, seed
        self.broken: dict[str, str] = {}

    def first(self, count: int) -> Tensor:
        """The first crops, from step 0 on: uint8 [count, 3, size, size]."""
        return torch.cat([self.batch(step) for step in range(-(-count // self.batch_size))])[:count]

    def batch(self, step: int) -> Tensor:
        """The crops of one step: uint8 [batch_size, 3, size, size].

        Raises:
            DataError: no photo can be decoded.
        """
        rng = numpy_rng(self.seed, Stream.CROPS, step)
        names = self.photos.names
        crops = [self._crop(names, int(i), rng) for i in batch_indices(len(names), self.batch_size, step, self.seed)]
        return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)

    def _crop(self, names: list[str], index: int, rng: np.random.Generator) -> np.ndarray:
        """A crop of this photo or, if its data is broken, of the next photo."""
        for name in names[index:] + names[:index]:
            width, height = self.photos.sizes[name]
            largest = min(min(width, height) / self.size, _LARGEST_SCALE)
            scale = self.size * np.exp(rng.uniform(0, np.log(largest))) / min(width, height)
            shrunk = max(self.size, round(width * scale)), max(self.size, round(height * scale))
            left, top = (int(rng.integers(0, side - self.size + 1)) for side in shrunk)
            mirror = rng.random() < 0.5
            try:
                photo = self.photos.open(name, "RGB", min_size=shrunk)
            except UNREADABLE as error:
                if name not in self.broken:
                    self.broken[name] = reason(error)
                    logger.warning("%s cannot be decoded (%s). The next photo is used instead.", name, reason(error))
                continue
            across, down = photo.width / shrunk[0], photo.height / shrunk[1]
            box = left * across, top * down, (left + self.size) * across, (top + self.size) * down
            photo = photo.resize((self.size, self.size), Image.Resampling.BILINEAR, box, reducing_gap=2.0)
            return np.asarray(ImageOps.mirror(photo) if mirror else photo)
        raise nothing_decoded(self.photos, "photo", self.broken)

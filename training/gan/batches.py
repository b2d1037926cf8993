"""The batches of a GAN's training: real images, latents and classes, each a function of the seed and the step."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from training.data.image_set import Images
from training.data.sampler import batch_indices
from training.gan.classes import Labels, with_class
from training.gan.config import GanConfig
from training.gan.schedules import class_share
from training.images import from_uint8
from training.progress import Progress
from training.random import Stream, draw_latents, numpy_rng, torch_rng

Rows = TypeVar("Rows", Tensor, np.ndarray)


@dataclass(frozen=True)
class Batch:
    """This process's share of a batch.

    Attributes:
        real: float [n, c, h, w] in -1..1, on the device.
        latents: float [n, latent_size], on the device; they choose the classes of `labels`.
        labels: the classes of the real images and of the fake images that they are paired with, if the config has classes.
        rng: of the preprocessing; on the CPU.
    """

    real: Tensor
    latents: Tensor
    labels: Labels | None
    rng: torch.Generator


class BatchSource:
    """Draws the batches of a run.

    Args:
        config: of the run.
        fabric: launched; each of its processes gets its share of every batch.
        images: the real images.
        classes: int64 [N], the classes of the real images, if the config has classes.
    """

    def __init__(self, config: GanConfig, fabric: Fabric, images: Images, classes: Tensor | None) -> None:
        self.config, self.fabric, self.images, self.classes = config, fabric, images, classes

    def draw(self, progress: Progress, turn: int = 0) -> Batch:
        """The batch of one turn of the discriminator in a step; the first turn is 0."""
        number = (progress.step - 1) * self.config.d_steps + turn
        labels = self._labels(number, progress)
        return Batch(self.real(number), self.latents(progress.step, turn, labels), labels, self._preprocessing(number))

    def real(self, number: int) -> Tensor:
        """The real images of a batch, float [n, c, h, w] in -1..1 on the device; the first batch is number 0."""
        config = self.config
        real = self.load(self._indices(number))
        if config.flip:
            draws = numpy_rng(config.seed, Stream.FLIPS, number).random(config.batch_size)
            flips = torch.from_numpy(self._share(draws) < 0.5)
            real[flips] = real[flips].flip(3)
        return real

    def latents(self, step: int, turn: int, labels: Labels | None) -> Tensor:
        """Latents of one turn of a step, float [n, latent_size] on the device, that choose the classes of the labels."""
        config = self.config
        every = draw_latents(config.seed, Stream.LATENTS, step, turn, count=config.batch_size, size=config.latent_size)
        latents = self._share(every).to(self.fabric.device)
        return latents if labels is None else with_class(latents, labels.classes, config.classes.count)

    def load(self, indices: np.ndarray) -> Tensor:
        """Real images by index: float [n, c, h, w] in -1..1, on the device."""
        return from_uint8(self.images[indices]).to(self.fabric.device, memory_format=torch.channels_last)

    def _labels(self, number: int, progress: Progress) -> Labels | None:
        if self.classes is None:
            return None
        share = class_share(self.config.classes, progress.fraction)
        return Labels(self.classes[self._indices(number)].to(self.fabric.device), share)

    def _indices(self, number: int) -> np.ndarray:
        return self._share(batch_indices(len(self.images), self.config.batch_size, number, self.config.seed))

    def _preprocessing(self, number: int) -> torch.Generator:
        return torch_rng(self.config.seed, Stream.PREPROCESSING, number, self.fabric.global_rank)

    def _share(self, batch: Rows) -> Rows:
        """The rows of this process."""
        size = self.config.batch_size // self.fabric.world_size
        return batch[self.fabric.global_rank * size : (self.fabric.global_rank + 1) * size]

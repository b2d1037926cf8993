"""Measures a generator while it trains: samples against real images, in a feature network."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from training.data.image_set import Chosen, Images, WithMirrored, batches
from training.gan.config import GanConfig
from training.gan.images import images_of, rows_of_pass
from training.gan.report.neighbours import neighbours_sheet, novelty, write_neighbours
from training.gan.report.reference import Reference
from training.metrics.features import FeatureNetwork, extract
from training.metrics.fidelity import Fidelity, measure
from training.random import Stream, draw_latents

Watch = Callable[[Iterable[Tensor]], Iterator[Tensor]]

_SHOWN = 10  # samples beside their neighbours
_MAX_NEIGHBOURS = 5000  # training images that samples are compared with


class Evaluator:
    """Keeps the features of the real images after the first evaluation: later ones compute only those of the samples.

    Args:
        config: of the run.
        real: the images to measure against.
        network: network that the metrics are measured in.
        device: where to compute.
    """

    def __init__(self, config: GanConfig, real: Images, network: FeatureNetwork, device: torch.device) -> None:
        self.config, self.device = config, device
        self.network = network
        self._real_images = real
        self._real: Tensor | None = None

    def measure(self, generator: nn.Module, watched: Watch = iter) -> Fidelity:
        """Measure one sample per real image. The latents are the same every time, so evaluations can be compared.

        Args:
            generator: in any mode.
            watched: passes on the batches that the network sees, which may take minutes. It may raise to end the evaluation.
        """
        real = self._real_features(watched)
        samples = draw_samples(generator, self.config, len(self._real_images), self.device)
        return measure(real.to(self.device), self._features(samples, watched).to(self.device))

    def measure_real(self, others: Images) -> Reference:
        """Measure other real images in place of samples.

        Args:
            others: the same number as the images to measure against, and none of them.
        """
        fidelity = measure(self._real_features(iter).to(self.device), self._features(others).to(self.device))
        return Reference(network=self.network.name, count=len(others), fidelity=fidelity)

    def _real_features(self, watched: Watch) -> Tensor:
        if self._real is None:
            self._real = self._features(self._real_images, watched)
        return self._real

    def _features(self, images: Images, watched: Watch = iter) -> Tensor:
        rows = rows_of_pass(self.config.image_size)
        return extract(self.network, watched(batches(images, rows)), device=self.device)

    def write_neighbours(self, path: Path, generator: nn.Module, learned: Images) -> None:
        """Write a sheet of samples beside their nearest training images in the feature network: inventions or copies?

        Args:
            path: PNG to write.
            generator: in any mode.
            learned: the training images.
        """
        learned = Chosen(learned, np.arange(min(_MAX_NEIGHBOURS, len(learned))))
        if self.config.flip:
            learned = WithMirrored(learned)
        samples = draw_samples(generator, self.config, _SHOWN * 10, self.device)
        features, theirs = self._features(samples), self._features(learned)
        sheet = neighbours_sheet(samples[:_SHOWN], features[:_SHOWN], learned, theirs)
        write_neighbours(path, sheet, novelty(features, theirs))


def draw_samples(generator: nn.Module, config: GanConfig, count: int, device: torch.device) -> Tensor:
    """Samples, uint8 [count, c, h, w] on the device: a function of the generator and the config's seed."""
    latents = draw_latents(config.seed, Stream.EVALUATION, count=count, size=config.latent_size)
    return images_of(generator, latents, device).permute(0, 3, 1, 2)

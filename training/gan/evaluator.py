"""Measures a generator: fresh samples against real pictures, in a feature network."""

from pathlib import Path

import torch
from torch import Tensor, nn

from training.gan.config import GanConfig
from training.gan.report.neighbours import neighbours_sheet, novelty, write_neighbours
from training.gan.setup import draw_latents
from training.images import to_uint8
from training.metrics.features import FeatureNetwork, extract
from training.metrics.fidelity import Fidelity, measure

_FRESH, _SHOWN = 6, 10
_BATCH = 100
_MOST_NEIGHBOURS = 5000  # training pictures that samples are compared with


class Evaluator:
    """Holds the features of the real pictures, so that each evaluation costs only that of the samples.

    Args:
        config: of the run.
        real: uint8 [N, c, h, w], the pictures to measure against.
        network: what the metrics are measured in.
        device: where to compute.
    """

    def __init__(self, config: GanConfig, real: Tensor, network: FeatureNetwork, device: torch.device) -> None:
        self.config, self.device = config, device
        self.network = network
        self.samples = len(real)
        self.real = extract(self.network, real, device=device)

    def measure(self, generator: nn.Module) -> Fidelity:
        """As many samples as there are real pictures, from the same latents every time, so that evaluations can be compared."""
        fresh = extract(self.network, draw_samples(generator, self.config, self.samples, self.device), device=self.device)
        return measure(self.real.to(self.device), fresh.to(self.device))

    def write_neighbours(self, path: Path, generator: nn.Module, learned: Tensor) -> None:
        """Samples beside the training pictures nearest to them, in the feature network: inventions, or copies?

        Args:
            path: PNG to write.
            generator: in any mode.
            learned: uint8 [N, c, h, w], the training pictures.
        """
        learned = learned[:_MOST_NEIGHBOURS]
        if self.config.flip:
            learned = torch.cat([learned, learned.flip(3)])
        samples = draw_samples(generator, self.config, _SHOWN * 10, self.device)
        features, theirs = (extract(self.network, pictures, device=self.device) for pictures in (samples, learned))
        sheet = neighbours_sheet(samples[:_SHOWN], features[:_SHOWN], learned, theirs)
        write_neighbours(path, sheet, novelty(features, theirs))


@torch.no_grad()
def draw_samples(generator: nn.Module, config: GanConfig, count: int, device: torch.device) -> Tensor:
    """Fresh pictures, uint8 [count, c, h, w], a function of the config's seed."""
    training = generator.training
    generator.eval()
    latents = draw_latents(config, (0, _FRESH), count)
    pictures = torch.cat([to_uint8(generator(batch.to(device))).permute(0, 3, 1, 2) for batch in latents.split(_BATCH)])
    generator.train(training)
    return pictures

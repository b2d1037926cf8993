"""How close generated pictures are to real ones, and how varied: six numbers from two sets of features.

Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule" (Frechet distance); Kynkaanniemi et al. 2019, "Improved
Precision and Recall Metric for Assessing Generative Models"; Naeem et al. 2020, "Reliable Fidelity and Diversity Metrics for
Generative Models" (density, coverage). The last four call the neighbourhood of a picture the ball around its features that
reaches to the k-th nearest other one of its set.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import training.torchvision_models  # noqa: F401  through it torchvision, which torchmetrics imports, can be imported

# isort: split
from torchmetrics.image.fid import FrechetInceptionDistance

from training.errors import DataError, WeightsError

_BLOCK = 1000  # rows of a matrix of distances that are in memory at once


@dataclass(frozen=True)
class Fidelity:
    """The metrics of one generator. All depend on the features and on how many pictures they were measured with.

    Attributes:
        frechet: distance between the two sets, each taken as a Gaussian, in squared units of the features; 0 is best.
        precision: part of the generated pictures that lie in the neighbourhood of a real one; 0..1.
        recall: part of the real pictures that lie in the neighbourhood of a generated one; 0..1.
        density: in how many neighbourhoods of real pictures a generated one lies, over k; 1 for real pictures, more where
            the generated ones crowd in the likeliest places.
        coverage: part of the real pictures with a generated one in their neighbourhood; 0..1, and with as many real ones
            in place of the generated ones 1 - 2^-k.
        diversity: mean distance of two generated pictures over that of two real ones; 0 where all are the same, 1 where
            they are as varied.
    """

    frechet: float
    precision: float
    recall: float
    density: float
    coverage: float
    diversity: float


METRICS = {
    "frechet": ("Frechet distance", "of all samples from all real pictures; lower is better, 0 is the same"),
    "precision": ("Precision", "share of the samples that could be real"),
    "recall": ("Recall", "share of the real pictures that the generator could have made"),
    "density": ("Density", "how closely samples keep to real pictures; 1 is as real ones do, above is safer"),
    "coverage": ("Coverage", "share of the real pictures that have a sample nearby; low where variety is lost"),
    "diversity": ("Diversity", "how much samples differ from each other; 1 is as real pictures do, near 0 is collapse"),
}
"""Field of `Fidelity` -> name and how to read it, in the order in which they are shown."""


def measure(real: Tensor, fake: Tensor, k: int = 5) -> Fidelity:
    """Compare the features of generated pictures with those of real ones.

    Args:
        real: float32 [N, d].
        fake: float32 [M, d], on the same device; M = N lets the numbers be compared with the papers'.
        k: neighbours that a neighbourhood reaches to.

    Raises:
        DataError: fewer than k + 1 of either, or the real ones are all the same.
        WeightsError: a feature is not finite.
    """
    if min(len(real), len(fake)) <= k:
        raise DataError(
            f"Metrics with {k} neighbours take at least {k + 1} real and {k + 1} generated pictures; these are {len(real)} and "
            f"{len(fake)}. Take more."
        )
    if not (real.isfinite().all() and fake.isfinite().all()):
        raise WeightsError("Features of pictures are not finite numbers: the weights they were made with are broken.")
    centre = real.mean(dim=0)  # distances stay as they are, and lose fewer digits near the origin
    real, fake = real - centre, fake - centre
    real_radii, real_spread = _neighbourhoods(real, k)
    fake_radii, fake_spread = _neighbourhoods(fake, k)
    if real_spread == 0:
        raise DataError("The real pictures are all the same: there is nothing to compare with. Take others.")

    precise = torch.zeros(len(fake), dtype=torch.bool, device=fake.device)
    recalled, covered, inside = 0, 0, 0
    for rows, distances in _blocks(real, fake):
        in_real = distances <= real_radii[rows, None]  # [real pictures of this block, M]
        precise |= in_real.any(dim=0)
        covered += int(in_real.any(dim=1).sum())
        inside += int(in_real.sum())
        recalled += int((distances <= fake_radii).any(dim=1).sum())
    return Fidelity(
        frechet=frechet_distance(real, fake),
        precision=int(precise.sum()) / len(fake),
        recall=recalled / len(real),
        density=inside / (k * len(fake)),
        coverage=covered / len(real),
        diversity=fake_spread / real_spread,
    )


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 sqrt(C1 C2)), of the means m and covariances C of features float [N, d] and [M, d]."""
    # On the CPU, as not every device has float64; of this process alone, as the others of a run have no samples.
    metric = FrechetInceptionDistance(_AsTheyAre(real.shape[1]), sync_on_compute=False)
    metric.update(real.cpu().double(), real=True)
    metric.update(fake.cpu().double(), real=False)
    return max(0.0, float(metric.compute()))  # of equal sets, rounding makes it a little less than 0


class _AsTheyAre(nn.Identity):
    """What torchmetrics takes for a feature network where the features are there already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features


def _neighbourhoods(features: Tensor, k: int) -> tuple[Tensor, float]:
    """Distance of each row of [n, d] to its k-th nearest other row, [n]; and the mean distance of two different rows."""
    radii, total = [], 0.0
    for rows, distances in _blocks(features, features):
        distances[torch.arange(len(distances)), torch.arange(rows.start, rows.stop)] = 0.0  # to itself, up to rounding
        total += float(distances.sum(dtype=torch.float64))
        radii.append(distances.kthvalue(k + 1, dim=1).values)  # the nearest is the row itself
    return torch.cat(radii), total / (len(features) * (len(features) - 1))


def _blocks(these: Tensor, those: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Euclidean distances of every row of [n, d] to every row of [m, d], by blocks of rows: which rows, float [rows, m]."""
    for start in range(0, len(these), _BLOCK):
        rows = slice(start, min(start + _BLOCK, len(these)))
        yield rows, torch.cdist(these[rows], those)

"""How close generated images are to real images, and how varied: six metrics from two sets of features.

Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule" (Frechet distance); Kynkaanniemi et al. 2019, "Improved
Precision and Recall Metric for Assessing Generative Models"; Naeem et al. 2020, "Reliable Fidelity and Diversity Metrics for
Generative Models" (density, coverage). For the last four, the neighbourhood of an image is the ball around its features that
reaches to the k-th nearest other image of its set.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from training.errors import DataError, WeightsError

_BLOCK = 1000  # rows of a distance matrix in memory at once


@dataclass(frozen=True)
class Fidelity:
    """The metrics of one generator. All depend on the features and on the number of images.

    Attributes:
        frechet: distance between the two sets, each as a Gaussian, in squared units of the features; 0 is best.
        precision: fraction of the generated images that lie in the neighbourhood of a real image; 0..1.
        recall: fraction of the real images that lie in the neighbourhood of a generated image; 0..1.
        density: mean number of neighbourhoods of real images that a generated image lies in, divided by k. Real images score
            about 1. The score is higher if the generated images crowd in the likeliest places.
        coverage: fraction of the real images with a generated image in their neighbourhood; 0..1. Another set of real images
            of the same size scores about 1 - 2^-k.
        diversity: mean distance of two generated images, divided by that of two real images. 0 if all generated images are the
            same, 1 if they are as varied as real ones.
    """

    frechet: float
    precision: float
    recall: float
    density: float
    coverage: float
    diversity: float


METRICS = {
    "frechet": ("Frechet distance", "of all samples from all real images; lower is better, 0 means no difference"),
    "precision": ("Precision", "fraction of the samples that could be real"),
    "recall": ("Recall", "fraction of the real images that the generator could have made"),
    "density": (
        "Density",
        "how close samples are to real images; 1 for real images, above 1 if samples crowd at typical ones",
    ),
    "coverage": ("Coverage", "fraction of the real images with a sample nearby; low if variety is lost"),
    "diversity": ("Diversity", "how much samples differ from one another; 1 for real images, near 0 after a collapse"),
}
"""Field of `Fidelity` -> name and how to read it, in the order of tables."""


def measure(real: Tensor, fake: Tensor, k: int = 5) -> Fidelity:
    """Compare the features of generated images with those of real images.

    Args:
        real: float32 [N, d].
        fake: float32 [M, d], on the same device. For comparison with papers, M must equal N.
        k: rank of the neighbour that a neighbourhood reaches to.

    Raises:
        DataError: there are fewer than k + 1 real or generated images, or all real images are the same.
        WeightsError: a feature is not finite.
    """
    if min(len(real), len(fake)) <= k:
        raise DataError(
            f"Metrics with {k} neighbours need at least {k + 1} real and {k + 1} generated images; there are {len(real)} and "
            f"{len(fake)}. Take more."
        )
    if not (real.isfinite().all() and fake.isfinite().all()):
        raise WeightsError("The features are NaN or infinite: the weights of the feature network are broken.")
    centre = real.mean(dim=0)  # distances do not change, and lose fewer digits near the origin
    real, fake = real - centre, fake - centre
    real_radii, real_spread = _neighbourhoods(real, k)
    fake_radii, fake_spread = _neighbourhoods(fake, k)
    if real_spread == 0:
        raise DataError("All real images are the same, so nothing can be compared. Take other images.")

    precise = torch.zeros(len(fake), dtype=torch.bool, device=fake.device)
    recalled, covered, inside = 0, 0, 0
    for rows, distances in _blocks(real, fake):
        in_real = distances <= real_radii[rows, None]  # [real images of this block, M]
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
    real, fake = real.cpu().double(), fake.cpu().double()  # not every device has float64
    a, b = _factor(real), _factor(fake)  # C1 = a' a and C2 = b' b
    # The eigenvalues of C1 C2 are the squares of the singular values of a b'. These are fewer and lose no digits to a root.
    root_trace = torch.linalg.svdvals(a @ b.T).sum()
    apart = (real.mean(dim=0) - fake.mean(dim=0)).square().sum()
    return max(0.0, float(apart + a.square().sum() + b.square().sum() - 2 * root_trace))  # rounding may make it negative


def _factor(features: Tensor) -> Tensor:
    """A factor f [min(n, d), d] of the covariance f' f of features [n, d]."""
    rows = (features - features.mean(dim=0)) / math.sqrt(len(features) - 1)
    return torch.linalg.qr(rows, mode="r").R if rows.shape[0] > rows.shape[1] else rows


def _neighbourhoods(features: Tensor, k: int) -> tuple[Tensor, float]:
    """Distance of each row of [n, d] to its k-th nearest other row, float [n]; and the mean distance of two different rows."""
    radii, total = [], 0.0
    for rows, distances in _blocks(features, features):
        distances[torch.arange(len(distances)), torch.arange(rows.start, rows.stop)] = 0.0  # to itself; was rounded
        total += float(distances.sum(dtype=torch.float64))
        radii.append(distances.kthvalue(k + 1, dim=1).values)  # the nearest row is the row itself
    return torch.cat(radii), total / (len(features) * (len(features) - 1))


def _blocks(these: Tensor, those: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Euclidean distances of every row of [n, d] to every row of [m, d]. Yields blocks: their rows, and float [rows, m]."""
    for start in range(0, len(these), _BLOCK):
        rows = slice(start, min(start + _BLOCK, len(these)))
        yield rows, torch.cdist(these[rows], those)

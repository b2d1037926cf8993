"""Inventions or copies? Each sample beside its nearest training images.

How to read the sheet: a row is a sample and, after a gap, its nearest training images. If they are of the same kind but differ
in shape, colour and detail, the generator invents. If one of them is the same image, the generator copies.

How to read the number (`novelty`): the distance of samples from the training images, divided by the distance of training images
from each other. About 1 or more: a sample is as new as another image of the folder would be. Near 0: copies. Much above 1: the
samples are unlike the training images; bad images are unlike them too, so look at the samples.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from ganvas.files import write_whole
from training.data.image_set import Images
from training.images import grid

_QUERIES = 1000  # training images whose own neighbours are searched: enough for a median, and fast
_BLOCK = 2**24  # distances at a time
_SPARE = 16  # additional candidates
_NOVELTY = "novelty"  # where neighbours.png keeps the number


def nearest_distances(queries: Tensor, features: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    """The k nearest of `features` to each query by Euclidean distance, nearest first.

    Args:
        queries: float [n, d].
        features: float [N, d], N at least k.
        k: number of neighbours.

    Returns:
        Distances float [n, k] and indices int64 [n, k]. Equal rows have distance 0 exactly.
    """
    centre = features.mean(0)
    queries, features = queries - centre, features - centre  # shorter rows lose less to rounding
    distances, indices = [], []
    for block in queries.split(max(1, _BLOCK // len(features))):
        # Matrix products find candidates fast but lose small distances to rounding. The distances of the candidates are exact.
        candidates = torch.cdist(block, features).topk(min(k + _SPARE, len(features)), largest=False).indices
        exact, order = (block[:, None] - features[candidates]).norm(dim=2).sort(dim=1)
        distances.append(exact[:, :k])
        indices.append(candidates.gather(1, order[:, :k]))
    return torch.cat(distances), torch.cat(indices)


def novelty(sample_features: Tensor, training_features: Tensor) -> float:
    """A number that separates copies from inventions; the docstring of this file explains it.

    It is the median distance from a sample to the nearest training image, divided by the median distance from a training image
    to the nearest other training image (of at most 1,000, evenly spread). If training mirrors images, pass mirrored images as
    well. Otherwise a copy of a mirrored image is not detected.

    Args:
        sample_features: float [n, d].
        training_features: float [N, d], N at least 2, in the same feature space.

    Returns:
        0 or more; infinite if more than half of the training images have an exact double but the samples have none.
    """
    ours = nearest_distances(sample_features, training_features)[0].median().item()
    spread = torch.linspace(0, len(training_features) - 1, min(_QUERIES, len(training_features))).long()
    # The nearest image to a training image is itself, at distance 0; the second is the nearest other image.
    theirs = nearest_distances(training_features[spread], training_features, 2)[0][:, 1].median().item()
    if theirs == 0:
        return 0.0 if ours == 0 else float("inf")
    return ours / theirs


def neighbours_sheet(
    samples: Tensor, sample_features: Tensor, training: Images, training_features: Tensor, k: int = 3
) -> Image.Image:
    """One row per sample: the sample, a gap, its k nearest training images. Samples with the nearest neighbours come first.

    Args:
        samples: uint8 [n, c, h, w].
        sample_features: float [n, d].
        training: N images.
        training_features: float [N, d], in the same feature space.
        k: neighbours per row.
    """
    distances, indices = nearest_distances(sample_features, training_features, k)
    order = distances[:, 0].argsort()
    left = grid(_rows(samples[order.to(samples.device)]), columns=1)
    right = grid(_rows(training[indices[order].flatten().cpu().numpy()]), columns=k)
    gap = samples.shape[3] // 3
    sheet = Image.new(left.mode, (left.width + gap + right.width, left.height), "white")
    sheet.paste(left, (0, 0))
    sheet.paste(right, (left.width + gap, 0))
    return sheet


def write_neighbours(path: Path, sheet: Image.Image, number: float) -> None:
    """Write the sheet as PNG, with the `novelty` inside, where `read_novelty` finds it."""
    info = PngInfo()
    info.add_text(_NOVELTY, repr(number))
    write_whole(path, lambda partial: sheet.save(partial, format="PNG", pnginfo=info))


def read_novelty(path: Path) -> float | None:
    """The number inside a PNG of `write_neighbours`; None if there is none."""
    with Image.open(path) as sheet:
        try:
            return float(sheet.info[_NOVELTY])
        except (KeyError, ValueError):
            return None


def _rows(images: Tensor) -> npt.NDArray[np.uint8]:
    return images.permute(0, 2, 3, 1).cpu().numpy()

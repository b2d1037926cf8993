"""What `--config auto` must know of a folder of images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from training.data.duplicates import Look, duplicates
from training.data.image_folder import ImageFolder, nothing_decoded
from training.data.survey import survey

_MOST_SEEN = 1000  # images that are decoded, evenly spread over the folder
_MOST_PAIRS = 400  # images whose thumbnails are all compared


@dataclass(frozen=True)
class FolderFacts:
    """The facts of a folder, some of them estimated from at most 1,000 images.

    Attributes:
        images: how many there are.
        distinct: how many look different from all others.
        smallest: the shortest side in pixels. No image may be smaller than the training size.
        usual: the shorter side that nine of ten images reach.
        enlarged: fraction of the images that have no detail at `detail` pixels.
        detail: the size that `enlarged` was measured at.
        colourless: whether all pixels are grey.
        transparent: whether most images are partly transparent.
        spread: how much images differ: the root mean square difference of two thumbnails in levels.
        mirror: how far mirror images are from the nearest image, divided by how far images are from the nearest other image.
            About 1 if a mirrored image could be in the folder.
        classes: folder -> number of images, if there are several.
    """

    images: int
    distinct: int
    smallest: int
    usual: int
    enlarged: float
    detail: int
    colourless: bool
    transparent: bool
    spread: float
    mirror: float
    classes: dict[str, int]


def look_at_folder(folder: ImageFolder, detail: int) -> FolderFacts:
    """Decode at most 1,000 images, and find the facts.

    Args:
        folder: at least two images.
        detail: size to look for detail at, in pixels; at most that of the smallest image.

    Raises:
        DataError: no image can be decoded.
    """
    names = folder.names
    chosen = [names[index] for index in np.unique(np.linspace(0, len(names) - 1, _MOST_SEEN).astype(int))]
    whole = survey(replace(folder, sizes={name: folder.sizes[name] for name in chosen}), detail)
    facts = list(whole.images.values())
    if not facts:
        raise nothing_decoded(folder, "image", whole.left_out)
    looks = {name: each.look for name, each in whole.images.items()}
    doubles = sum(len(group.names) - 1 for group in duplicates(looks))
    thumbnails = _thumbnails(list(looks.values()))
    sides = sorted(map(min, folder.sizes.values()))
    return FolderFacts(
        images=len(names),
        distinct=round(len(names) * (1 - doubles / len(facts))),
        smallest=sides[0],
        usual=sides[len(sides) // 10],
        enlarged=float(np.mean([each.enlarged for each in facts])),
        detail=detail,
        colourless=all(each.colourless for each in facts),
        transparent=whole.transparency.is_common,
        spread=float(np.sqrt(np.mean(_squared_distances(thumbnails, thumbnails)))),
        mirror=_mirror(thumbnails),
        classes=_classes(names),
    )


def _thumbnails(looks: Sequence[Look]) -> npt.NDArray[np.float32]:
    """Float32 [n, 16, 16, 3] of at most 400 looks, evenly spread."""
    chosen = np.unique(np.linspace(0, len(looks) - 1, _MOST_PAIRS).astype(int))
    return np.stack([looks[index].thumbnail for index in chosen]).astype(np.float32)


def _mirror(thumbnails: npt.NDArray[np.float32]) -> float:
    """See `FolderFacts.mirror`. An image is not compared with its own mirror image, because many are symmetric."""
    among = _squared_distances(thumbnails, thumbnails)
    mirrored = _squared_distances(thumbnails[:, :, ::-1], thumbnails)
    for distances in (among, mirrored):
        np.fill_diagonal(distances, np.inf)
    nearest, other = (float(np.median(np.sqrt(distances.min(axis=1)))) for distances in (mirrored, among))
    return nearest / other if other else 1.0 if nearest == 0 else np.inf


def _squared_distances(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Mean squared difference of each of [n, ...] and each of [m, ...]: float64 [n, m]."""
    rows, others = (each.reshape(len(each), -1).astype(np.float64) for each in (a, b))
    squares = (rows**2).mean(1)[:, None] + (others**2).mean(1)[None] - 2 * rows @ others.T / rows.shape[1]
    return np.maximum(squares, 0)


def _classes(names: Sequence[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        folder = name.rpartition("/")[0]
        counts[folder] = counts.get(folder, 0) + 1
    return dict(sorted(counts.items())) if len(counts) > 1 else {}

"""Finds identical files and images that look the same.

Two images look the same if their difference hashes (dHash: which of two neighbouring pixels is brighter, at 9 x 8) differ in
few of 64 bits, and their thumbnails differ by few levels. The hash finds candidates fast. The thumbnails separate simple
images, such as digits, whose hashes are often alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageOps

from ganvas.contact_sheet import contact_sheet
from ganvas.transparency import on_checkerboard
from training.data.image_folder import ImageFolder

MOST_BITS = 6
"""Bits of 64 in which the hashes of two images that look the same may differ."""

MOST_LEVELS = 6.0
"""Root mean square difference in levels (0 to 255) of their thumbnails."""

_THUMBNAIL = 16
_SHOWN = 96  # pixels of an image on the sheet
_LABEL = 14  # pixels of its name
_MOST_SHOWN = 8  # images of a group on the sheet
_MOST_GROUPS = 100  # on the sheet


@dataclass(frozen=True)
class Look:
    """What images are compared by.

    Attributes:
        content: SHA-256 of the file, in hex.
        bits: the difference hash, 64 bits.
        thumbnail: uint8 [16, 16, 3].
    """

    content: str
    bits: int
    thumbnail: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Group:
    """Images that are alike.

    Attributes:
        names: at least two, in the order of names.
        exact: whether the files are identical.
    """

    names: tuple[str, ...]
    exact: bool


def look_of(image: Image.Image, content: str) -> Look:
    """What an RGB image is compared by.

    Args:
        image: the whole image.
        content: SHA-256 of its file, in hex.
    """
    grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX, reducing_gap=2.0), np.int16)
    bits = np.packbits(grey[:, 1:] > grey[:, :-1])
    thumbnail = image.resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX, reducing_gap=2.0)
    return Look(content, int.from_bytes(bits.tobytes(), "big"), np.asarray(thumbnail))


def duplicates(looks: Mapping[str, Look]) -> list[Group]:
    """The groups of images that look the same: all of a group look like its first image.

    Args:
        looks: name -> look of each image.
    """
    names = list(looks)
    bits = np.array([look.bits for look in looks.values()], np.uint64)
    thumbnails = np.array([look.thumbnail for look in looks.values()], np.uint8).reshape(len(names), 3 * _THUMBNAIL**2)
    free = np.ones(len(names), bool)
    groups = []
    for first, name in enumerate(names):
        if not free[first]:
            continue
        rest = slice(first + 1, None)
        candidates = first + 1 + np.flatnonzero(free[rest] & (np.bitwise_count(bits[rest] ^ bits[first]) <= MOST_BITS))
        if not len(candidates):
            continue
        differences = thumbnails[candidates].astype(np.float32) - thumbnails[first]
        alike = candidates[np.sqrt(np.mean(differences**2, axis=1)) <= MOST_LEVELS]
        if len(alike):
            free[alike] = False
            members = (name, *(names[index] for index in alike))
            groups.append(Group(members, exact=len({looks[member].content for member in members}) == 1))
    return groups


def duplicates_sheet(folder: ImageFolder, groups: Sequence[Group]) -> Image.Image:
    """One row for each of the first 100 groups: their first images with the ends of their names.

    Args:
        folder: holds the images.
        groups: at least one.
    """
    rows = [[_tile(folder, name) for name in group.names[:_MOST_SHOWN]] for group in groups[:_MOST_GROUPS]]
    blank = Image.new("RGB", (_SHOWN, _SHOWN + _LABEL), "white")
    columns = max(map(len, rows))
    return contact_sheet([tile for row in rows for tile in (*row, *[blank] * (columns - len(row)))], columns)


def _tile(folder: ImageFolder, name: str) -> Image.Image:
    tile = Image.new("RGB", (_SHOWN, _SHOWN + _LABEL), "white")
    image = ImageOps.pad(folder.open(name, "RGBA", min_size=(_SHOWN, _SHOWN)), (_SHOWN, _SHOWN), color="white")
    tile.paste(on_checkerboard(image))
    ImageDraw.Draw(tile).text((1, _SHOWN + 1), name.encode("ascii", "replace").decode()[-15:], fill="black")
    return tile

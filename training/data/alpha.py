"""Transparency in a folder of images: how common it is, and how images with it are decoded."""

from typing import NamedTuple

import numpy as np
from PIL import Image

from ganvas.transparency import HIDDEN
from training.data.image_folder import UNREADABLE, ImageFolder

_MOST_LOOKED_AT = 100
_MIDDLE = 128  # of alpha; below, a pixel counts as transparent


class Transparency(NamedTuple):
    """How common transparency is in a folder.

    Attributes:
        looked_at: number of images that were decoded: at most 100, spread evenly over those whose header states transparency.
        transparent: number of these that are partly transparent and partly opaque.
        stated: number of images whose header states transparency. Many programs store alpha that is 255 everywhere.
        images: number of all images.
    """

    looked_at: int
    transparent: int
    stated: int
    images: int

    @property
    def is_common(self) -> bool:
        """Whether more than half of all images have transparency, as far as those that were looked at tell."""
        return 2 * self.transparent * self.stated > self.looked_at * self.images


NO_TRANSPARENCY = Transparency(0, 0, 0, 0)


def transparency_of(folder: ImageFolder) -> Transparency:
    """Look for transparency. Images are decoded only if most headers state it."""
    stated = [name for name in folder.names if name in folder.transparent]
    if 2 * len(stated) <= len(folder.names):
        return Transparency(0, 0, len(stated), len(folder.names))
    spread = np.linspace(0, len(stated) - 1, min(len(stated), _MOST_LOOKED_AT)).astype(int)
    found = [_is_transparent(folder, stated[index]) for index in spread]
    return Transparency(len(found), sum(found), len(stated), len(folder.names))


def without_hidden_colours(image: Image.Image) -> np.ndarray:
    """Set the colours of transparent pixels to one colour: RGBA -> uint8 [h, w, 4].

    Programs leave anything there, often the whole photo that was cut out. Nobody sees it, so nothing should learn it.
    """
    levels = np.array(image)
    levels[levels[..., 3] == 0, :3] = HIDDEN
    return levels


def _is_transparent(folder: ImageFolder, name: str) -> bool:
    try:
        least, most = folder.open(name, "RGBA").getchannel("A").getextrema()
    except UNREADABLE:
        return False
    return bool(least < _MIDDLE <= most)  # type: ignore[operator]  # one band has two numbers

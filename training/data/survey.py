"""Looks at every image of a folder before a long training: what is there, what is left out and why.

found = survey(open_image_folder(Path("photos")), size=64)
found.images, found.left_out           # name -> facts, and name -> reason

Each image is decoded once, as training decodes it. Only a few numbers and a thumbnail of each are kept.
"""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, ImageOps
from rich.console import Console
from rich.progress import track

from ganvas import images
from ganvas.transparency import on_grey
from training.data.alpha import NO_TRANSPARENCY, Transparency, transparency_of
from training.data.duplicates import Look, look_of
from training.data.image_folder import UNREADABLE, ImageFolder, reason

_LEAST_COLOUR = 8  # levels between the channels of a pixel; JPEG makes grey pixels differ by less
_LEAST_CONTRAST = 4.0  # standard deviation in levels; a flatter image says nothing about its detail
_LEAST_DETAIL = 0.03  # of the contrast; enlarged images lose less when they are halved and doubled


@dataclass(frozen=True)
class Facts:
    """What one image is.

    Attributes:
        format: Pillow's name.
        width: of the upright image in pixels.
        height: of the upright image in pixels.
        grey: whether the file stores grey. Training makes a grey model if all files do.
        colourless: whether all pixels are grey, even if the file stores colour.
        transparent: whether the file stores transparency.
        enlarged: whether the image has no detail at the size of the training, as after an enlargement.
        look: to find duplicates.
    """

    format: str
    width: int
    height: int
    grey: bool
    colourless: bool
    transparent: bool
    enlarged: bool
    look: Look

    @property
    def cropped(self) -> float:
        """Fraction of the area that the central square leaves out."""
        return 1 - min(self.width, self.height) / max(self.width, self.height)


@dataclass(frozen=True)
class Survey:
    """What a folder or zip holds.

    Attributes:
        path: of the folder or zip.
        size: side of the training images in pixels.
        images: name -> facts of each image that can be used, sorted by name.
        left_out: name -> reason for each other file, sorted by name.
        transparency: how common transparency is.
    """

    path: Path
    size: int
    images: dict[str, Facts]
    left_out: dict[str, str]
    transparency: Transparency = NO_TRANSPARENCY

    @property
    def classes(self) -> dict[str, int]:
        """Folder -> number of usable images in it, sorted. As training reads them: each folder that holds images is a class."""
        counts: dict[str, int] = {}
        for name in self.images:
            folder = PurePosixPath(name).parent.as_posix()
            counts[folder] = counts.get(folder, 0) + 1
        return dict(sorted(counts.items()))


def survey(folder: ImageFolder, size: int) -> Survey:
    """Decode every image of a folder. Shows progress on stderr.

    Args:
        folder: the images.
        size: side of the training images in pixels; images with a smaller side are left out.
    """
    left_out = folder.left_out | folder.unreadable
    names = []
    for name, (width, height) in folder.sizes.items():
        if min(width, height) < size:
            left_out[name] = f"a side under {size} pixels"
        else:
            names.append(name)
    transparency = transparency_of(folder)
    found: dict[str, Facts] = {}

    def look_at(name: str) -> Facts | str:
        try:
            return _facts(folder, name, size, keep_alpha=transparency.is_common)
        except UNREADABLE as error:
            return reason(error)

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        each = track(
            pool.map(look_at, names), "Checking images", total=len(names), transient=True, console=Console(stderr=True)
        )  # fmt: skip
        for name, facts in zip(names, each, strict=True):
            if isinstance(facts, str):
                left_out[name] = facts
            else:
                found[name] = facts
    return Survey(folder.path, size, found, dict(sorted(left_out.items())), transparency)


def _facts(folder: ImageFolder, name: str, size: int, *, keep_alpha: bool) -> Facts:
    width, height = folder.sizes[name]
    content = folder.read(name)
    header = images.read_header(content)
    scale = size / min(width, height)
    image = images.read_image(content, min_size=(round(width * scale), round(height * scale)), keep_alpha=keep_alpha)
    if keep_alpha:
        image = on_grey(image)  # on white, white emblems would look like nothing
    square = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
    levels = np.asarray(square, np.int16)
    return Facts(
        format=header.format,
        width=width,
        height=height,
        grey=header.is_grey,
        colourless=int(np.ptp(levels, axis=2).max()) < _LEAST_COLOUR,
        transparent=header.transparent,
        enlarged=_is_enlarged(square),
        look=look_of(image, hashlib.sha256(content).hexdigest()),
    )


def _is_enlarged(square: Image.Image) -> bool:
    """Whether an image is nearly the same after it is halved and doubled: then its finest details are coarser than pixels."""
    grey = square.convert("L")
    half = grey.resize((max(1, grey.width // 2), max(1, grey.height // 2)), Image.Resampling.BICUBIC)
    levels, again = (np.asarray(each, np.float32) for each in (grey, half.resize(grey.size, Image.Resampling.BICUBIC)))
    contrast = float(levels.std())
    return contrast >= _LEAST_CONTRAST and float(np.sqrt(np.mean((levels - again) ** 2))) < _LEAST_DETAIL * contrast

"""Square images for a GAN, as `image_cache` prepares them and as evaluations take them into memory."""

import os
from collections.abc import Generator
from contextlib import closing
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from rich.progress import track
from torch import Tensor

from training.data.alpha import without_hidden_colours
from training.data.image_folder import UNREADABLE, ImageFolder, Mode, nothing_decoded, reason
from training.data.prefetch import prefetch


class ImageDataset(NamedTuple):
    """Decoded images, all in memory.

    Attributes:
        images: uint8 [N, channels, size, size]; a fourth channel is straight alpha, see `training.images`.
        unreadable: name -> why the image could not be decoded.
    """

    images: Tensor
    unreadable: dict[str, str]


def load_images(folder: ImageFolder, size: int, channels: int) -> ImageDataset:
    """Decode every image, shrink it and crop the square in its middle.

    Pillow shrinks colours multiplied by alpha, so the hidden colours of transparent pixels do not bleed into their neighbours.

    Args:
        folder: no image has a side under `size`.
        size: side of the squares in pixels.
        channels: 1 for grey, 3 for RGB, with transparency on white, 4 for RGB and alpha.

    Raises:
        DataError: no image could be decoded.
    """
    names = folder.names
    squares = np.empty((len(names), channels, size, size), np.uint8)
    unreadable: dict[str, str] = {}
    count = 0
    with closing(decoded(folder, size, channels)) as found:
        for name, square in zip(names, track(found, "Decoding", total=len(names), transient=True), strict=True):
            if isinstance(square, str):
                unreadable[name] = square
            else:
                squares[count] = square
                count += 1
    if not count:
        raise nothing_decoded(folder, "image", unreadable)
    return ImageDataset(torch.from_numpy(squares[:count]), unreadable)


def decoded(folder: ImageFolder, size: int, channels: int) -> Generator[np.ndarray | str, None, None]:
    """Decode every image of a folder, in the order of names. Only a few are in memory at the same time.

    Args:
        folder: no image has a side under `size`.
        size: side of the squares in pixels.
        channels: 1 for grey, 3 for RGB, with transparency on white, 4 for RGB and alpha.

    Yields:
        uint8 [channels, size, size], or why the image cannot be decoded.
    """
    names = folder.names
    modes: dict[int, Mode] = {1: "L", 3: "RGB", 4: "RGBA"}
    mode = modes[channels]

    def decode(index: int) -> np.ndarray | str:
        width, height = folder.sizes[names[index]]
        scale = size / min(width, height)
        try:
            image = folder.open(names[index], mode, min_size=(round(width * scale), round(height * scale)))
        except UNREADABLE as error:
            return reason(error)
        # At edges Lanczos overshoots. Alpha is cut at 255 but colours are not, so edges would shine.
        resampling = Image.Resampling.HAMMING if mode == "RGBA" else Image.Resampling.LANCZOS
        square = ImageOps.fit(image, (size, size), resampling)
        levels = without_hidden_colours(square) if mode == "RGBA" else np.asarray(square)
        return levels.reshape(size, size, channels).transpose(2, 0, 1)

    return prefetch(decode, range(len(names)), min(32, (os.cpu_count() or 1) + 4))

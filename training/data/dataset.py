"""Square images for a GAN, all in memory."""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from rich.progress import track
from torch import Tensor

from training.data.image_folder import UNREADABLE, ImageFolder, Mode, nothing_decoded, reason


class ImageDataset(NamedTuple):
    """Decoded images.

    Attributes:
        images: uint8 [N, channels, size, size].
        unreadable: name -> why the image could not be decoded.
    """

    images: Tensor
    unreadable: dict[str, str]


def load_images(folder: ImageFolder, size: int, channels: int) -> ImageDataset:
    """Decode every image, shrink it and crop the square in its middle.

    Args:
        folder: no image has a side under `size`.
        size: side of the squares in pixels.
        channels: 1 for grey, 3 for RGB.

    Raises:
        DataError: no image could be decoded.
    """
    mode: Mode = "L" if channels == 1 else "RGB"
    unreadable: dict[str, str] = {}

    def decode(name: str) -> np.ndarray | None:
        width, height = folder.sizes[name]
        scale = size / min(width, height)
        try:
            image = folder.open(name, mode, min_size=(round(width * scale), round(height * scale)))
        except UNREADABLE as error:
            unreadable[name] = reason(error)
            return None
        square = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
        return np.asarray(square).reshape(size, size, channels).transpose(2, 0, 1)

    with ThreadPoolExecutor() as pool:
        decoded = track(pool.map(decode, folder.names), "Decoding", total=len(folder.names), transient=True)
        squares = [square for square in decoded if square is not None]
    if not squares:
        raise nothing_decoded(folder, "image", unreadable)
    return ImageDataset(torch.from_numpy(np.stack(squares)), unreadable)

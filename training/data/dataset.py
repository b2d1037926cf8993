"""Square pictures for a GAN, all in memory."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image, ImageOps
from rich.progress import track
from torch import Tensor

from training.data.images import UNREADABLE, Mode, Pictures, reason
from training.errors import DataError


def load_squares(pictures: Pictures, size: int, channels: int) -> tuple[Tensor, dict[str, str]]:
    """Decode every picture, shrink it and cut out its middle square.

    Returns:
        uint8 [N, channels, size, size], and name -> reason for those whose data turned out to be broken.

    Raises:
        DataError: not one could be decoded.
    """
    mode: Mode = "L" if channels == 1 else "RGB"
    broken: dict[str, str] = {}

    def decode(name: str) -> np.ndarray | None:
        width, height = pictures.sizes[name]
        scale = size / min(width, height)
        try:
            picture = pictures.open(name, mode, at_least=(round(width * scale), round(height * scale)))
        except UNREADABLE as error:
            broken[name] = reason(error)
            return None
        square = ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS)
        return np.asarray(square).reshape(size, size, channels).transpose(2, 0, 1)

    with ThreadPoolExecutor() as pool:
        decoded = track(pool.map(decode, pictures.names), "Decoding", total=len(pictures.names), transient=True)
        squares = [square for square in decoded if square is not None]
    if not squares:
        raise DataError(f"Not one picture in {pictures.path} could be decoded, such as {next(iter(broken))}.")
    return torch.from_numpy(np.stack(squares)), broken

"""From network output to pictures that a person can look at."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganvas.contact_sheet import contact_sheet


def to_uint8(pictures: Tensor) -> Tensor:
    """Float [n, c, h, w] in -1..1 -> uint8 [n, h, w, c]."""
    return (pictures * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def grid(pictures: np.ndarray, columns: int) -> Image.Image:
    """Put images side by side on white.

    Args:
        pictures: uint8 [n, h, w, c], c 1 or 3.
        columns: images in a row.
    """
    is_grey = pictures.shape[3] == 1
    return contact_sheet([Image.fromarray(picture[..., 0] if is_grey else picture) for picture in pictures], columns)

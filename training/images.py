"""From network output to pictures that a person can look at."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def to_uint8(pictures: Tensor) -> Tensor:
    """Float [n, c, h, w] in -1..1 -> uint8 [n, h, w, c]."""
    return (pictures * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def grid(pictures: np.ndarray, columns: int, gap: int = 2) -> Image.Image:
    """Put pictures side by side on white.

    Args:
        pictures: uint8 [n, h, w, c], c 1 or 3.
        columns: pictures a row.
        gap: pixels between them.
    """
    n, height, width, channels = pictures.shape
    rows = -(-n // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), 255, np.uint8)
    for index, picture in enumerate(pictures):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return Image.fromarray(sheet.squeeze(2) if channels == 1 else sheet)

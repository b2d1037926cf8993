"""Turns network output into images that a person can look at."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganvas.api import IMAGE_FORMATS, formats_by_suffix
from ganvas.contact_sheet import contact_sheet
from training.errors import ConfigError

FORMATS = {suffix: name.upper() for suffix, name in formats_by_suffix(IMAGE_FORMATS).items()}
"""Ending of a file -> Pillow's name of the format."""


def format_of(out: Path) -> str:
    """Pillow's name of the format that the ending of an image file names.

    Raises:
        ConfigError: the ending is not in `FORMATS`.
    """
    try:
        return FORMATS[out.suffix.lower()]
    except KeyError:
        raise ConfigError(f"{out} is not an image file that can be written. Let --out end in {', '.join(FORMATS)}.") from None


def to_uint8(images: Tensor) -> Tensor:
    """Float [n, c, h, w] in -1..1 -> uint8 [n, h, w, c]."""
    return (images * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def grid(images: np.ndarray, columns: int) -> Image.Image:
    """Put images side by side on white.

    Args:
        images: uint8 [n, h, w, c], c 1 or 3.
        columns: images in a row.
    """
    is_grey = images.shape[3] == 1
    return contact_sheet([Image.fromarray(image[..., 0] if is_grey else image) for image in images], columns)

"""Images as networks see them, and as people and files have them.

Networks see float [n, c, h, w] in -1..1. Files, metrics and people have uint8. With four channels, they differ in one more way:

- uint8 is RGB and straight alpha, as in a PNG. Fully transparent pixels are white (`ganvas.transparency.HIDDEN`).
- float is RGB multiplied by alpha, and alpha. So a colour counts as much as it is visible, and what is transparent costs
  neither network anything: it is -1 in all channels. With straight colours, the networks would have to learn an invisible
  colour, and a jump between two colours at each edge.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganvas.api import IMAGE_FORMATS, formats_by_suffix
from ganvas.contact_sheet import contact_sheet
from ganvas.transparency import HIDDEN, on_checkerboard
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


ALPHA = 3
"""The index of alpha among four channels."""


def to_uint8(images: Tensor) -> Tensor:
    """Float [n, c, h, w] in -1..1 -> uint8 [n, h, w, c]."""
    levels = (images * 127.5 + 127.5).clamp(0, 255)
    if images.shape[1] == ALPHA + 1:
        # Divide by the rounded alpha: the image on any background then differs from the network's by rounding alone.
        alpha = levels[:, ALPHA:].round()
        straight = torch.where(alpha > 0, levels[:, :ALPHA] * 255 / alpha.clamp_min(1), HIDDEN)
        levels = torch.cat([straight.clamp(0, 255), alpha], dim=1)
    return levels.round().to(torch.uint8).permute(0, 2, 3, 1)


def from_uint8(images: Tensor) -> Tensor:
    """Uint8 [n, c, h, w] -> float [n, c, h, w] in -1..1."""
    signed = images.float() / 127.5 - 1
    if images.shape[1] != ALPHA + 1:
        return signed
    alpha = images[:, ALPHA:].float() / 255
    return torch.cat([(signed[:, :ALPHA] + 1) * alpha - 1, signed[:, ALPHA:]], dim=1)


def grid(images: np.ndarray, columns: int) -> Image.Image:
    """Put images side by side on white, each on a checkerboard if it has transparency.

    Args:
        images: uint8 [n, h, w, c], c 1, 3 or 4.
        columns: images in a row.
    """
    is_grey = images.shape[3] == 1
    tiles = [Image.fromarray(image[..., 0] if is_grey else image) for image in images]
    return contact_sheet([on_checkerboard(tile) if tile.mode == "RGBA" else tile for tile in tiles], columns)

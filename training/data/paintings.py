"""The paintings that a style network learns to imitate."""

import base64
import io

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from training.data.image_folder import UNREADABLE, ImageFolder, nothing_decoded, reason
from training.errors import DataError
from training.text import name_from

_THUMBNAIL = 128  # pixels


def load_paintings(paintings: ImageFolder, size: int) -> tuple[dict[str, Tensor], dict[str, str], dict[str, str]]:
    """Decode every painting and shrink it, but never enlarge it, to `size` pixels on its shorter side.

    Returns:
        Style name -> float [1, 3, h, w] RGB in 0..255, sorted by name; style name -> thumbnail, a base64 JPEG of 128 x 128
        pixels; and file name -> reason for each painting that cannot be decoded.

    Raises:
        DataError: two files give the same style name, or no painting can be decoded.
    """
    tensors: dict[str, Tensor] = {}
    thumbnails: dict[str, str] = {}
    broken: dict[str, str] = {}
    origins: dict[str, str] = {}
    for file in paintings.names:
        name = style_name(file)
        if name in tensors:
            raise DataError(f"{origins[name]} and {file} would both be the style {name}. Rename one of them.")
        try:
            painting = paintings.open(file, "RGB")
        except UNREADABLE as error:
            broken[file] = reason(error)
            continue
        origins[name] = file
        scale = min(1.0, size / min(painting.size))
        shrunk = painting.resize((round(painting.width * scale), round(painting.height * scale)), Image.Resampling.LANCZOS)
        tensors[name] = torch.from_numpy(np.array(shrunk)).permute(2, 0, 1)[None].float()
        thumbnails[name] = _thumbnail(painting)
    if not tensors:
        raise nothing_decoded(paintings, "painting", broken)
    order = sorted(tensors)
    return {name: tensors[name] for name in order}, {name: thumbnails[name] for name in order}, broken


def style_name(file: str) -> str:
    """The style name of a file: `van Gogh/Starry Night.jpg` -> `starry-night`, `Köpfe.jpg` -> `kopfe`.

    Raises:
        DataError: the file's name has no letter and no digit.
    """
    name = name_from(file.rsplit("/", 1)[-1].rsplit(".", 1)[0])
    if not name:
        raise DataError(f"{file} gives no style name. Rename it with letters a-z, digits or hyphens: starry-night.jpg.")
    return name


def _thumbnail(painting: Image.Image) -> str:
    square = ImageOps.fit(painting, (_THUMBNAIL, _THUMBNAIL), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    square.save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode()

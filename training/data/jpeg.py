"""JPEG compression, whose blocks and rings a style network must not turn into strokes."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image


def through_jpeg(image: npt.NDArray[np.floating], quality: int, scale: float = 1.0) -> npt.NDArray[np.uint8]:
    """What is left of an image after JPEG compression.

    Args:
        image: [h, w, 3] RGB in about 0..255; is rounded and clipped.
        quality: 1 to 95, as Pillow counts it.
        scale: the image is enlarged by this before it is compressed, and shrunk afterwards, like most photos. Then a block of
            the JPEG has 8 / scale pixels.

    Returns:
        uint8 [h, w, 3].
    """
    whole = Image.fromarray(image.round().clip(0, 255).astype(np.uint8))
    size = whole.size
    buffer = io.BytesIO()
    if scale != 1:
        whole = whole.resize((round(size[0] * scale), round(size[1] * scale)), Image.Resampling.BICUBIC)
    whole.save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).resize(size, Image.Resampling.BICUBIC))

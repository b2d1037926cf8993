"""JPEG compression, whose blocks and rings a style network must not turn into strokes."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image


def through_jpeg(image: npt.NDArray[np.floating], quality: int) -> npt.NDArray[np.uint8]:
    """What is left of an image after JPEG compression.

    Args:
        image: [h, w, 3] RGB in about 0..255; is rounded and clipped.
        quality: 1 to 95, as Pillow counts it.

    Returns:
        uint8 [h, w, 3].
    """
    buffer = io.BytesIO()
    Image.fromarray(image.round().clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))

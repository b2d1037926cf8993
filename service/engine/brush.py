"""Brush sizes: a stylizer paints at another size than the photo's, and the painting is brought to the size of the photo.

A network has strokes of a fixed number of pixels. On a smaller copy of the photo, they are larger in proportion. Stretching
the painting alone would blur every edge. So it is enlarged with a guided filter: at the size at which the network painted, each
channel of the painting is written as a x luminance of the photo + c, with the slope a of a small window. Slope and rest are
smooth and are enlarged; the luminance is that of the whole photo, so its edges stay as sharp as the photo's.

He, Sun and Tang, "Guided Image Filtering" (ECCV 2010); He and Sun, "Fast Guided Filter" (2015).

All functions block, so call them in a thread and not in the event loop.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

from service.engine.arrays import Floats, Pixels

RADIUS = 2  # pixels of the painting: a window has 5 x 5
EPSILON = 1500.0  # grey levels squared: the variance of luminance below which a window counts as flat
STRIP = 2**16  # pixels that are brought to the size of the photo at a time

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as in the graph of a stylizer

PAINTING_BYTES = 72  # per pixel of the painting: slopes and rests in float32, and the windows that they come from
STRIP_BYTES = 96  # per pixel of a strip


def working_size(height: int, width: int, *, brush: float, stroke_side: int, min_side: int, max_side: int) -> tuple[int, int]:
    """The height and width in pixels at which a photo is painted.

    Args:
        height: of the photo in pixels.
        width: likewise.
        brush: size of the strokes: 1 as trained, 2 twice as large.
        stroke_side: the longer side up to which a photo is painted at its own size with brush 1. In a larger photo, strokes
            grow with the photo.
        min_side: the photo is not shrunk until its shorter side is smaller than this.
        max_side: the photo is not enlarged until its longer side is larger than this.
    """
    longer, shorter = max(height, width), min(height, width)
    scale = min(longer, stroke_side) / (brush * longer)
    scale = min(max(scale, min(1.0, min_side / shorter)), max(1.0, max_side / longer))
    return max(1, round(height * scale)), max(1, round(width * scale))


def resize(image: Pixels, size: tuple[int, int]) -> Pixels:
    """Shrink or enlarge an image, uint8 [h, w, 3], to a height and width, without aliasing."""
    height, width = size
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def resize_bytes(size: tuple[int, int], to: tuple[int, int]) -> int:
    """The memory in bytes that `resize` takes at its peak, its result included: Pillow's images have 4 bytes per pixel.

    Args:
        size: height and width of the image.
        to: height and width of the result.
    """
    return 4 * size[0] * (size[1] + to[1]) + (4 + 3 + 3) * to[0] * to[1]


def finish_bytes(size: tuple[int, int], working: tuple[int, int]) -> int:
    """The memory in bytes that `finish` takes at its peak, besides its arguments.

    Args:
        size: height and width of the photo.
        working: height and width of the painting.
    """
    photo, painting = size[0] * size[1], working[0] * working[1]
    made = PAINTING_BYTES * painting if painting < photo else resize_bytes(working, size)
    return made + STRIP_BYTES * min(photo, max(STRIP, size[1]))


def finish(photo: Pixels, small: Pixels, painting: Pixels, strength: float, keep_color: float) -> None:
    """Turn a photo into its painting, in place.

    Args:
        photo: uint8 [h, w, 3]; overwritten.
        small: the photo at the size of the painting, uint8 [h', w', 3].
        painting: of `small`, with strength 1 and keep_color 0, uint8 [h', w', 3].
        strength: 0 to 1; 0 leaves the photo as it is.
        keep_color: 0 to 1; 1 keeps the colours of the photo.
    """
    height, width = photo.shape[:2]
    enlarges = painting.shape[0] * painting.shape[1] < height * width
    painted_strip = _guided(small, painting, height, width) if enlarges else _plain(resize(painting, (height, width)))
    of_change = np.float32(strength) * (1 - np.float32(keep_color))
    of_brightness = np.float32(strength) * np.float32(keep_color)
    rows = max(1, STRIP // width)
    for top in range(0, height, rows):
        strip = photo[top : top + rows].astype(np.float32)
        change = painted_strip(top, strip) - strip
        # The same formula as in the graph of a stylizer, which mixes at the size at which it paints.
        mixed = strip + change * of_change
        if of_brightness:
            mixed += (change @ LUMA * of_brightness)[:, :, None]
        photo[top : top + rows] = np.clip(np.rint(mixed, out=mixed), 0, 255, out=mixed)


PaintedStrip = Callable[[int, Floats], Floats]
"""From the first row of a strip and the photo's strip, float32 [rows, w, 3], to that of the painting, 0 to 255."""


def _plain(painting: Pixels) -> PaintedStrip:
    return lambda top, strip: painting[top : top + len(strip)].astype(np.float32)


def _guided(small: Pixels, painting: Pixels, height: int, width: int) -> PaintedStrip:
    """Enlarge a painting to a height and width with a guided filter."""
    slopes, rests = _model(small, painting)
    rows_per_row = painting.shape[0] / height

    def enlarged(plane: Image.Image, top: int, rows: int) -> Floats:
        box = (0, top * rows_per_row, plane.width, min((top + rows) * rows_per_row, plane.height))
        return np.asarray(plane.resize((width, rows), Image.Resampling.BICUBIC, box=box))

    def painted_strip(top: int, strip: Floats) -> Floats:
        luma = strip @ LUMA
        painted = np.empty_like(strip)
        for channel in range(3):
            plane = enlarged(slopes[channel], top, len(strip)) * luma
            np.add(plane, enlarged(rests[channel], top, len(strip)), out=painted[:, :, channel])
        return np.clip(painted, 0, 255, out=painted)

    return painted_strip


def _model(small: Pixels, painting: Pixels) -> tuple[list[Image.Image], list[Image.Image]]:
    """Write each channel of a painting as slope x luminance + rest. Returns the slopes and the rests of the channels."""
    luma = small.astype(np.float32) @ LUMA
    mean = _window_mean(luma)
    variance = _window_mean(luma * luma) - mean * mean + np.float32(EPSILON)
    slopes, rests = [], []
    for channel in range(3):
        painted = painting[:, :, channel].astype(np.float32)
        slope = (_window_mean(luma * painted) - mean * _window_mean(painted)) / variance
        slopes.append(Image.fromarray(slope))
        rests.append(Image.fromarray(painted - slope * luma))
    return slopes, rests


def _window_mean(plane: Floats) -> Floats:
    """The mean of the window around each pixel, float32 [h, w]. Outside the image, its edge is repeated."""
    for axis in (0, 1):
        length = plane.shape[axis]
        padded = np.pad(plane, [(RADIUS, RADIUS) if one == axis else (0, 0) for one in (0, 1)], "edge")
        # Sums of shifted planes: differences of running sums would lose the digits that a variance needs.
        total = padded.take(range(length), axis)
        for shift in range(1, 2 * RADIUS + 1):
            total += padded.take(range(shift, shift + length), axis)
        plane = total / np.float32(2 * RADIUS + 1)
    return plane

"""Images in and out: uploaded bytes to uint8 arrays; arrays to PNG, JPEG, WebP, contact sheets, animations, zip and npy.

All of this is blocking code, which the caller runs in a thread, off the event loop. `ganvas.images` reads the uploads; their
metadata (EXIF, colour profile, comments) is never copied into a response.
"""

import contextlib
import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from ganvas import contact_sheet as sheets
from ganvas import images
from service.engine.arrays import Images, Pixels
from service.engine.errors import ImageTooLargeError, UnreadableImageError

SAVE_OPTIONS: dict[str, dict[str, object]] = {
    "png": {"compress_level": 4},
    # Full colour resolution: halved chroma is visible at painted edges.
    "jpeg": {"quality": 92, "subsampling": 0},
    "webp": {"quality": 90},
}
"""Every image format that is written, and Pillow's options for it."""

GIF_TICK = 10  # milliseconds: the unit of time in a GIF
GIF_SHORTEST = 20  # milliseconds; browsers show shorter frames for a tenth of a second


class Header(NamedTuple):
    """What an upload states before it is decoded.

    Attributes:
        pixels: width times height as stored, which is what decoding costs.
        height: of what `decode` returns.
        width: of what `decode` returns.
    """

    pixels: int
    height: int
    width: int


def header_of(data: bytes, *, name: str, max_pixels: int, max_side: int) -> Header:
    """Read an upload's header alone. The errors are those of `decode`."""
    with _refused(name):
        header = images.read_header(data, max_pixels=max_pixels)
    width, height = images.shrunk((header.width, header.height), max_side)
    return Header(header.pixels, height, width)


def decode(data: bytes, *, name: str, max_pixels: int, max_side: int) -> Pixels:
    """Read one uploaded image as `ganvas.images` does.

    Args:
        data: the file.
        name: what an error calls it.
        max_pixels: limit of width times height that the header states.
        max_side: a larger image is shrunk until its longer side has this length in pixels.

    Returns:
        uint8 [h, w, 3].

    Raises:
        ImageTooLargeError: the header states more pixels. Nothing was decoded.
        UnreadableImageError: not a JPEG, PNG or WebP image, or a broken one.
    """
    with _refused(name):
        return np.array(images.read_image(data, max_pixels=max_pixels, max_side=max_side))


@contextlib.contextmanager
def _refused(name: str) -> Iterator[None]:
    try:
        yield
    except images.ImageTooLargeError as error:
        raise ImageTooLargeError(f"{name} is {error.reason}") from None
    except images.UnreadableImageError as error:
        raise UnreadableImageError(f"{name} is {error.reason}") from None


def encode(pixels: Pixels, image_format: str) -> bytes:
    """Write one image, uint8 [h, w, c] with 1 or 3 channels, as png, jpeg or webp."""
    buffer = io.BytesIO()
    _image_of(pixels).save(buffer, image_format, **SAVE_OPTIONS[image_format])
    return buffer.getvalue()


def encode_animation(frames: Images, image_format: str, fps: float) -> bytes:
    """Write frames, uint8 [n, h, w, c] with 1 or 3 channels, as an animated webp or gif that repeats forever.

    Both formats show a frame for a whole number of ticks, so durations vary by one tick and the mean rate is exact.
    """
    tick, shortest = (GIF_TICK, GIF_SHORTEST) if image_format == "gif" else (1, 1)
    ends = np.round(np.arange(len(frames) + 1) * 1000 / fps / tick).astype(int) * tick
    durations = np.maximum(np.diff(ends), shortest).tolist()
    pages = [_image_of(frame) for frame in frames]
    if image_format == "gif":
        # An octree finds 256 colours 20 times as fast as Pillow's default.
        pages = [page if page.mode == "L" else page.quantize(method=Image.Quantize.FASTOCTREE) for page in pages]
    options = SAVE_OPTIONS.get(image_format, {})
    buffer = io.BytesIO()
    pages[0].save(buffer, image_format, save_all=True, append_images=pages[1:], duration=durations, loop=0, **options)
    return buffer.getvalue()


def _image_of(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def contact_sheet(tiles: Sequence[Pixels]) -> Pixels:
    """Lay images of one size out in rows, as square as possible. A single image stays as it is."""
    if len(tiles) == 1:
        return tiles[0]
    sheet = np.array(sheets.contact_sheet([_image_of(tile) for tile in tiles]))
    return sheet.reshape(*sheet.shape[:2], -1)


def archive(entries: Iterable[tuple[str, bytes]]) -> bytes:
    """Put files into a zip without compressing them again. The same files give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as zipped:
        for name, data in entries:
            zipped.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


def npy(images: Images) -> bytes:
    """Write images as a .npy file, which `numpy.load` reads."""
    buffer = io.BytesIO()
    np.save(buffer, images, allow_pickle=False)
    return buffer.getvalue()

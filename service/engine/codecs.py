"""Images in and out: uploaded bytes to uint8 arrays; arrays to PNG, JPEG, WebP, contact sheets, animations, zip and npy.

All functions block, so call them in a thread and not in the event loop. `ganvas.images` reads the uploads; their
metadata (EXIF, colour profile, comments) is never copied into a response. PNG, WebP and npy keep transparency. JPEG has none
and GIF only the whole of a pixel, so images are laid on white for these formats.
"""

import contextlib
import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from PIL import Image

from ganvas import contact_sheet as sheets
from ganvas import images
from ganvas.transparency import on_white
from service.engine.arrays import Images, Pixels
from service.engine.errors import ImageTooLargeError, UnreadableImageError

SAVE_OPTIONS: dict[str, dict[str, object]] = {
    "png": {"compress_level": 4},
    # Full colour resolution: halved chroma is visible at painted edges.
    "jpeg": {"quality": 92, "subsampling": 0},
    "webp": {"quality": 90},
}
"""Every image format that is written, and Pillow's options for it."""

ENCODE_BYTES = {"png": 8, "jpeg": 8, "webp": 32}
"""Memory in bytes per pixel that `encode` takes at its peak besides the image, for noise. The result is included."""

ALPHA_ENCODE_BYTES = {**ENCODE_BYTES, "webp": 48}
"""The same for images with alpha, which WebP compresses on its own."""

SET_BYTES = 12
"""Memory in bytes per pixel of images of one size and of what is made of them at its peak: a copy, or an animation, zip or npy.

For a contact sheet, add `ENCODE_BYTES` or `ALPHA_ENCODE_BYTES`.
"""

ARRAY_BYTES = 10  # per pixel: Pillow's image, its bytes and the array, which exist together when the image is decoded

_OPAQUE = ("jpeg", "gif")  # formats whose pixels are not transparent by degrees

GIF_TICK = 10  # milliseconds: the unit of time in a GIF
GIF_SHORTEST = 20  # milliseconds; browsers show shorter frames for 100 ms


class OpenUpload:
    """An uploaded image whose header has been read. Nothing is decoded before `decode`.

    Args:
        data: the file.
        name: what an error calls it.
        max_pixels: limit of width times height that the header states.
        max_side: a larger image is shrunk until its longer side has this length in pixels.

    Attributes:
        pixels: width times height as stored, which is what decoding costs in time.
        decode_bytes: upper bound of the memory in bytes that `decode` takes at its peak, its result included.
        height: of what `decode` returns, within a pixel: a large JPEG is decoded at a fraction of its size, which is rounded.
        width: likewise.

    Raises:
        ImageTooLargeError: the header states more pixels.
        UnreadableImageError: not an image of a format that is read.
    """

    def __init__(self, data: bytes, *, name: str, max_pixels: int, max_side: int) -> None:
        self._name = name
        self._max_side = max_side
        with _named_errors(name):
            self._image = images.OpenImage(data, max_pixels=max_pixels)
        header = self._image.header
        self.pixels = header.pixels
        self.width, self.height = images.shrunk((header.width, header.height), max_side)
        self.decode_bytes = max(self._image.decode_bytes(max_side), self.width * self.height * ARRAY_BYTES)

    def decode(self) -> Pixels:
        """Decode the image, once: uint8 [h, w, 3].

        Raises:
            UnreadableImageError: the image is broken.
        """
        with _named_errors(self._name):
            return np.array(self._image.decode(max_side=self._max_side))


def decode(data: bytes, *, name: str, max_pixels: int, max_side: int) -> Pixels:
    """Open and decode an uploaded image: uint8 [h, w, 3]. Arguments and errors are those of `OpenUpload`."""
    return OpenUpload(data, name=name, max_pixels=max_pixels, max_side=max_side).decode()


@contextlib.contextmanager
def _named_errors(name: str) -> Iterator[None]:
    try:
        yield
    except images.ImageTooLargeError as error:
        raise ImageTooLargeError(f"{name} is {error.reason}.") from None
    except images.UnreadableImageError as error:
        raise UnreadableImageError(f"{name} is {error.reason}.") from None


def encode(pixels: Pixels, image_format: str) -> bytes:
    """Write one image, uint8 [h, w, c] with 1, 3 or 4 channels, as png, jpeg or webp."""
    buffer = io.BytesIO()
    _image_for(pixels, image_format).save(buffer, image_format, **SAVE_OPTIONS[image_format])
    return buffer.getvalue()


def encode_animation(frames: Images, image_format: str, fps: float) -> bytes:
    """Write frames, uint8 [n, h, w, c] with 1, 3 or 4 channels, as an animated webp or gif that repeats forever.

    Both formats show a frame for a whole number of ticks, so durations vary by one tick and the mean rate is exact.
    """
    tick, shortest = (GIF_TICK, GIF_SHORTEST) if image_format == "gif" else (1, 1)
    ends = np.round(np.arange(len(frames) + 1) * 1000 / fps / tick).astype(int) * tick
    durations = np.maximum(np.diff(ends), shortest).tolist()
    pages = [_image_for(frame, image_format) for frame in frames]
    if image_format == "gif":
        # An octree finds 256 colours 20 times as fast as Pillow's default.
        pages = [page if page.mode == "L" else page.quantize(method=Image.Quantize.FASTOCTREE) for page in pages]
    options = SAVE_OPTIONS.get(image_format, {})
    buffer = io.BytesIO()
    pages[0].save(buffer, image_format, save_all=True, append_images=pages[1:], duration=durations, loop=0, **options)
    return buffer.getvalue()


def _image_of(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def _image_for(pixels: Pixels, image_format: str) -> Image.Image:
    """The image as this format can hold it."""
    image = _image_of(pixels)
    return on_white(image) if image.mode == "RGBA" and image_format in _OPAQUE else image


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

"""Read images: one way for training and for the service.

    header = read_header(data, max_pixels=50_000_000)     # nothing is decoded
    image = read_image(Path("photo.jpg"), max_side=1024)  # 8-bit RGB, ready for a model

    opened = OpenImage(data, max_pixels=50_000_000)       # both, with one look at the file
    if opened.decode_bytes(1024) < free:
        image = opened.decode(max_side=1024)

Reads the formats in `ganvas.api.UPLOAD_FORMATS`; the name of a file does not matter. The result is upright according to its
EXIF orientation, its colours are converted from the ICC profile to sRGB, and transparent parts are laid on white (unless alpha
is kept). Only the first picture of a file is read. `ganvas.formats` reads the structure of a file, and Pillow decodes its
picture.
"""

import contextlib
import io
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from PIL import Image

from ganvas import decoding
from ganvas.api import MAX_UPLOAD_SIDE, UPLOAD_FORMATS_TEXT
from ganvas.decoding import shrunk
from ganvas.formats.head import ORIENTATION, Head
from ganvas.formats.jpeg import JpegHead
from ganvas.formats.limits import ImageFileError, ImageTooLargeError, UnreadableImageError, truncated
from ganvas.formats.png import PngHead
from ganvas.formats.signatures import SIGNATURE_BYTES, format_of
from ganvas.formats.webp import WebpHead

__all__ = [
    "ORIENTATION",
    "Header",
    "ImageFileError",
    "ImageTooLargeError",
    "OpenImage",
    "UnreadableImageError",
    "limit_pillow",
    "read_header",
    "read_image",
    "shrunk",
]

_HEADS: dict[str, Callable[[BinaryIO], Head]] = {"JPEG": JpegHead, "PNG": PngHead, "WEBP": WebpHead}

ImageFile = bytes | str | os.PathLike[str]


class Header(NamedTuple):
    """What an image's header states.

    Attributes:
        pixels: width times height as stored, which is what decoding costs.
        width: of the upright image.
        height: of the upright image.
        is_grey: whether the stored image has no colour.
        transparent: whether the file states transparency.
        format: Pillow's name.
    """

    pixels: int
    width: int
    height: int
    is_grey: bool
    transparent: bool
    format: str


def limit_pillow(max_pixels: int) -> None:
    """Set Pillow's own pixel limit for the whole process, beside the `max_pixels` of each call.

    It also applies to images that are opened without `max_pixels`: an image with more than twice the limit is refused.
    """
    Image.MAX_IMAGE_PIXELS = max_pixels
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # raised up to twice the limit


class OpenImage:
    """An image file whose header has been read. The file stays open until `decode` or `close`. Until then it takes no memory.

    Args:
        file: its content, or its path.
        max_pixels: limit of width times height as stored. None leaves only Pillow's own limit.

    Attributes:
        header: what the header states.

    Raises:
        ImageTooLargeError: the image has more pixels than are allowed, or a side of more than `MAX_UPLOAD_SIDE`.
        UnreadableImageError: not an image of a format that is read, a broken one, or one that exceeds a bound of
            `ganvas.formats.limits`.
        OSError: the path cannot be read.
    """

    def __init__(self, file: ImageFile, *, max_pixels: int | None = None) -> None:
        self._in_memory = isinstance(file, bytes)
        with contextlib.ExitStack() as closing:
            opened: BinaryIO = io.BytesIO(file) if isinstance(file, bytes) else Path(file).open("rb")  # noqa: SIM115
            closing.callback(opened.close)
            self._file: BinaryIO | None = opened
            with self._translated_errors():
                head = self._head = _head_of(opened)
            allowed = 2 * (Image.MAX_IMAGE_PIXELS or 0) if max_pixels is None else max_pixels
            pixels = head.width * head.height
            if allowed and pixels > allowed:
                raise ImageTooLargeError(f"too large: {head.width} x {head.height} pixels; at most {allowed} are allowed")
            if max(head.width, head.height) > MAX_UPLOAD_SIDE:
                raise ImageTooLargeError(
                    f"too large: {head.width} x {head.height} pixels; a side may have at most {MAX_UPLOAD_SIDE}"
                )
            sides = (head.height, head.width) if head.orientation in decoding.SIDEWAYS else (head.width, head.height)
            self.header = Header(pixels, *sides, head.is_grey, head.transparent, head.name)
            self._bytes = opened.seek(0, io.SEEK_END)
            closing.pop_all()

    def decode_bytes(self, max_side: int | None = None) -> int:
        """Upper bound of the memory in bytes that `decode(max_side=...)` takes at its peak.

        Its result and an array of the same size are included; the file itself is not.
        """
        return decoding.decode_bytes(self._head, self._bytes, max_side)

    def decode(
        self, *, max_side: int | None = None, min_size: tuple[int, int] | None = None, keep_alpha: bool = False
    ) -> Image.Image:
        """Decode the image, once, and close the file. Arguments and result are those of `read_image`.

        Raises:
            UnreadableImageError: the image is broken or truncated, or exceeds a bound of `ganvas.formats.limits`.
            ValueError: the file is closed.
        """
        if self._file is None:
            raise ValueError("the image file is closed")
        file, self._file = self._file, None
        with self._translated_errors(), file:
            return decoding.decoded(self._head, file, max_side, min_size, keep_alpha=keep_alpha)

    def close(self) -> None:
        """Close the file. Does nothing after `decode`."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @contextlib.contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Turn every error of Pillow into an `ImageFileError`."""
        try:
            yield
        except ImageFileError:
            raise
        except Exception as error:
            # Broken files make Pillow raise nearly anything: OSError, SyntaxError, ValueError, struct.error, zlib.error...
            if isinstance(error, OSError):
                if error.errno is not None and not self._in_memory:
                    raise  # the file system's
                if "truncated" in str(error):
                    raise truncated() from error
            raise UnreadableImageError("broken") from error


def _head_of(file: BinaryIO) -> Head:
    head = _HEADS.get(format_of(file.read(SIGNATURE_BYTES)) or "")
    if head is None:
        raise UnreadableImageError(f"not a {UPLOAD_FORMATS_TEXT} image")
    return head(file)


def read_header(file: ImageFile, *, max_pixels: int | None = None) -> Header:
    """Read a file's header alone. The errors are those of `read_image`."""
    with contextlib.closing(OpenImage(file, max_pixels=max_pixels)) as opened:
        return opened.header


def read_image(
    file: ImageFile,
    *,
    max_pixels: int | None = None,
    max_side: int | None = None,
    min_size: tuple[int, int] | None = None,
    keep_alpha: bool = False,
) -> Image.Image:
    """Read one image.

    Args:
        file: its content, or its path.
        max_pixels: limit of width times height as stored. None leaves only Pillow's own limit.
        max_side: a larger image is shrunk until its longer side has this length in pixels.
        min_size: (width, height) in pixels that are enough: a large JPEG is decoded faster, at a fraction of its size. Not used
            beside `max_side`, which implies one.
        keep_alpha: keeps transparency. Otherwise transparent parts are laid on white.

    Returns:
        Mode RGB, or RGBA if alpha is kept. Alpha is straight.

    Raises:
        ImageTooLargeError: the image has more pixels than are allowed, or a side of more than `MAX_UPLOAD_SIDE`.
        UnreadableImageError: not an image of a format that is read, or a broken one.
        OSError: the path cannot be read.
    """
    return OpenImage(file, max_pixels=max_pixels).decode(max_side=max_side, min_size=min_size, keep_alpha=keep_alpha)

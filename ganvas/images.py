"""Read images: one way for training and for the service.

    header = read_header(data, max_pixels=50_000_000)     # nothing is decoded
    image = read_image(Path("photo.jpg"), max_side=1024)  # 8-bit RGB, ready for a model

    opened = OpenImage(data, max_pixels=50_000_000)       # both, with one look at the file
    if opened.header.pixels < 10**6:
        image = opened.decode(max_side=1024)

Reads the formats in `ganvas.api.UPLOAD_FORMATS`; the name of a file does not matter. The result is upright according to its
EXIF orientation, its colours are converted from the ICC profile to sRGB, and transparent parts are laid on white. Only the
first frame of an animation is read.
"""

import contextlib
import io
import os
import warnings
from collections.abc import Iterator
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from ganvas.api import UPLOAD_FORMATS, UPLOAD_FORMATS_TEXT
from ganvas.srgb import to_srgb

FORMATS = tuple(name.upper() for name in UPLOAD_FORMATS)
"""Pillow's names of the formats that are read. Its other readers never see a file."""

ImageFile = bytes | str | os.PathLike[str]

ORIENTATION = 0x0112  # the tag in EXIF
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what turns a stored image upright."""

_SIDEWAYS = frozenset(TURNS[orientation] for orientation in (5, 6, 7, 8))  # the turns that swap width and height
_BYTES_PER_STORED_PIXEL = 24
_BYTES_PER_SHRUNK_PIXEL = 24
_GREY_MODES = frozenset({"1", "L", "LA", "I", "I;16"})


class ImageFileError(ValueError):
    """An image file that cannot be used. The message completes "the file is ..."."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ImageTooLargeError(ImageFileError):
    """The header states more pixels than are allowed. Nothing was decoded."""


class UnreadableImageError(ImageFileError):
    """Not an image of a format that is read, or a broken one. The cause is Pillow's error."""


class Header(NamedTuple):
    """What an image's header states.

    Attributes:
        pixels: width times height as stored, which is what decoding costs.
        width: of the upright image.
        height: of the upright image.
        is_grey: whether the stored image has no colour.
    """

    pixels: int
    width: int
    height: int
    is_grey: bool


def limit_pillow(max_pixels: int) -> None:
    """Set Pillow's own pixel limit for the whole process, beside the `max_pixels` of each call.

    Pillow's limit is the one that stops a WebP, whose canvas Pillow allocates while it opens the file. Above the limit Pillow
    warns, which changes nothing because `read_image` refuses the image. Above twice the limit it raises. Its warnings about
    broken EXIF concern only the owner of the file, so they are kept out of the log.
    """
    Image.MAX_IMAGE_PIXELS = max_pixels
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.TiffImagePlugin")


class OpenImage:
    """An image file whose header has been read. The file stays open until `decode` or `close`.

    Args:
        file: its content, or its path.
        max_pixels: limit of width times height as stored. None leaves only Pillow's own limit.

    Attributes:
        header: what the header states.

    Raises:
        ImageTooLargeError: the image has more pixels than are allowed.
        UnreadableImageError: not an image of a format that is read, or a broken one.
        OSError: the path cannot be read.
    """

    def __init__(self, file: ImageFile, *, max_pixels: int | None = None) -> None:
        self._in_memory = isinstance(file, bytes)
        self._max_pixels = max_pixels
        with contextlib.ExitStack() as closing, self._translated_errors():
            image = closing.enter_context(Image.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=FORMATS))
            width, height = image.size
            if max_pixels is not None and width * height > max_pixels:
                raise ImageTooLargeError(f"too large: {width} x {height} pixels; at most {max_pixels} are allowed")
            # If a PNG has no EXIF before its pixels, Pillow would decode the pixels to look for EXIF after them.
            if (image.format != "PNG" or "exif" in image.info) and _turn_of(image) in _SIDEWAYS:
                width, height = height, width
            self.header = Header(image.width * image.height, width, height, image.mode in _GREY_MODES)
            self._image: Image.Image | None = image
            closing.pop_all()

    def decode(self, *, max_side: int | None = None, min_size: tuple[int, int] | None = None) -> Image.Image:
        """Decode the image, once, and close the file. Arguments and result are those of `read_image`.

        Raises:
            UnreadableImageError: the image is broken.
            ValueError: the file is closed.
        """
        if self._image is None:
            raise ValueError("the image file is closed")
        image, self._image = self._image, None  # a decoded image is large: keep no reference
        with self._translated_errors(), image:
            return _decoded(image, max_side, min_size)

    def decode_bytes(self, max_side: int | None = None) -> int:
        """Upper bound of the memory in bytes that `decode(max_side=...)` takes at its peak, its result included."""
        width, height = self.header.width, self.header.height
        if max_side is not None:
            width, height = shrunk((width, height), max_side)
        return self.header.pixels * _BYTES_PER_STORED_PIXEL + width * height * _BYTES_PER_SHRUNK_PIXEL + 2**20

    def close(self) -> None:
        """Close the file. Does nothing after `decode`."""
        if self._image is not None:
            self._image.close()
            self._image = None

    @contextlib.contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Turn every error of Pillow into an `ImageFileError`."""
        try:
            yield
        except ImageTooLargeError:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            allowed = self._max_pixels or Image.MAX_IMAGE_PIXELS
            raise ImageTooLargeError(f"too large: far more than the {allowed} pixels that are allowed") from error
        except UnidentifiedImageError as error:
            raise UnreadableImageError(f"not a {UPLOAD_FORMATS_TEXT} image") from error
        except Exception as error:
            # Broken files make Pillow raise nearly anything: OSError, SyntaxError, ValueError, struct.error, zlib.error...
            if isinstance(error, OSError) and error.errno is not None and not self._in_memory:
                raise  # the file system's
            raise UnreadableImageError("broken") from error


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
) -> Image.Image:
    """Read one image.

    Args:
        file: its content, or its path.
        max_pixels: limit of width times height as stored. None leaves only Pillow's own limit.
        max_side: a larger image is shrunk until its longer side has this length in pixels.
        min_size: (width, height) in pixels that are enough: a large JPEG is decoded faster, at a fraction of its size. Not used
            beside `max_side`, which implies one.

    Returns:
        Mode RGB.

    Raises:
        ImageTooLargeError: the image has more pixels than are allowed.
        UnreadableImageError: not an image of a format that is read, or a broken one.
        OSError: the path cannot be read.
    """
    return OpenImage(file, max_pixels=max_pixels).decode(max_side=max_side, min_size=min_size)


def shrunk(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    """The size in pixels after an image is shrunk to `max_side`; never enlarged."""
    scale = min(1.0, max_side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _decoded(image: Image.Image, max_side: int | None, min_size: tuple[int, int] | None) -> Image.Image:
    if max_side is not None:
        min_size = (max_side, max_side)
    if min_size is not None:
        # Pillow can decode a JPEG at a half, a quarter or an eighth of its size. The result is at least as large as `min_size`.
        image.draft(None, min_size)
    image.load()
    turn = _turn_of(image)
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion clips it instead of scaling it
        image = image.convert("I").point(lambda level: level / 256).convert("L")
    if image.mode in ("CMYK", "L"):  # the profile is of these colours, not of RGB
        image, profile = to_srgb(image, profile), None
    else:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    # Shrink before the other steps, because each step makes another copy of the image.
    if max_side is not None and (size := shrunk(image.size, max_side)) != image.size:
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    image = to_srgb(image, profile)
    if turn is not None:
        image = image.transpose(turn)
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image


def _turn_of(image: Image.Image) -> Image.Transpose | None:
    """The turn that makes the image upright. For broken EXIF, Pillow raises in a PNG or a WebP, and not in a JPEG."""
    try:
        return TURNS.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # SyntaxError, struct.error, ValueError, TypeError...
        return None

"""Pictures in and out: uploaded bytes to uint8 arrays, arrays to PNG, JPEG, WebP, contact sheets, animations, zip and npy.

Everything here is plain blocking code; the caller runs it in a thread, off the event loop. Metadata of an upload (EXIF,
colour profile, comments) is honoured where it turns the picture, and never copied into an answer.
"""

import contextlib
import io
import math
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from service.engine.colours import in_srgb
from service.engine.errors import ImageTooLargeError, UnreadableImageError

Pixels = npt.NDArray[np.uint8]

FORMATS_READ = ("JPEG", "PNG", "WEBP")
SAVE_OPTIONS: dict[str, dict[str, object]] = {
    "png": {"compress_level": 4},
    # Full colour resolution: painted edges are where halved chroma shows.
    "jpeg": {"quality": 92, "subsampling": 0},
    "webp": {"quality": 90},
}
"""Every image format that is written, and Pillow's options for it."""

MEDIA_TYPES = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "zip": "application/zip",
    "npy": "application/x-npy",
}
SUFFIXES = {"png": "png", "jpeg": "jpg", "webp": "webp", "gif": "gif", "zip": "zip", "npy": "npy"}

ORIENTATION = 0x0112  # EXIF's tag
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What sets a picture upright that EXIF says was stored turned."""

SHEET_GAP = 2  # pixels of white between the pictures of a contact sheet

GIF_TICK = 10  # milliseconds: what a GIF counts time in
GIF_SHORTEST = 20  # milliseconds; browsers show a frame that asks for less for a tenth of a second


def limit_pillow(max_pixels: int) -> None:
    """Set Pillow's own guard, for the whole process, beside ours in `decode`.

    It is the one that stops a WebP, whose canvas Pillow allocates while it opens the file. It warns from once the limit
    on, where `decode` answers anyway, and raises from twice the limit on. What Pillow warns of in broken EXIF is nobody's
    concern but the uploader's, so it is not written to the log.
    """
    Image.MAX_IMAGE_PIXELS = max_pixels
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.TiffImagePlugin")


class Header(NamedTuple):
    """What an upload says of itself before it is decoded.

    Attributes:
        pixels: as they are stored, which is what decoding costs.
        height: that `decode` will give, but for a turn.
        width: as `height`.
    """

    pixels: int
    height: int
    width: int


def header_of(data: bytes, *, name: str, max_pixels: int, max_side: int) -> Header:
    """Read an upload's header alone; raises as `decode`."""
    with _opened(data, name, max_pixels) as image:
        width, height = _shrunk(image.size, max_side)
        return Header(image.width * image.height, height, width)


def decode(data: bytes, *, name: str, max_pixels: int, max_side: int) -> Pixels:
    """Read one uploaded picture.

    JPEG, PNG and WebP; turned as its EXIF says, its colours as its profile means them, transparency laid on white, the first
    frame of an animation. A picture whose longer side is over `max_side` is shrunk to it.

    Args:
        data: the file.
        name: what to call it in a problem.
        max_pixels: width times height that the header may announce.
        max_side: the longest side of the result, in pixels.

    Returns:
        uint8 [h, w, 3].

    Raises:
        ImageTooLargeError: the header announces more pixels; nothing was decoded.
        UnreadableImageError: not a picture of these formats, or a broken one.
    """
    with _opened(data, name, max_pixels) as image:
        return _pixels_of(image, max_side)


@contextlib.contextmanager
def _opened(data: bytes, name: str, max_pixels: int) -> Iterator[Image.Image]:
    """A picture of which only the header is read; what goes wrong with it, here or in the block, is a problem."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS_READ) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise ImageTooLargeError(f"{name} has {width} x {height} pixels, more than the {max_pixels} that are allowed")
            yield image
    except ImageTooLargeError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageTooLargeError(f"{name} announces far more than the {max_pixels} pixels that are allowed") from None
    except Exception as error:
        # Broken files make Pillow raise nearly anything: OSError, SyntaxError, ValueError, struct.error, zlib.error...
        reason = "is not a JPEG, PNG or WebP picture" if isinstance(error, UnidentifiedImageError) else "is broken"
        raise UnreadableImageError(f"{name} {reason}") from None


def _shrunk(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    scale = min(1.0, max_side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _pixels_of(image: Image.Image, max_side: int) -> Pixels:
    """Decode an opened picture; see `decode`."""
    # A JPEG decodes straight to a half, a quarter or an eighth, never below the size asked for.
    image.draft(None, (max_side, max_side))
    image.load()
    turn = _turn_of(image)
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow's own conversion clips rather than scales
        image = Image.fromarray((np.asarray(image, np.int32) >> 8).clip(0, 255).astype(np.uint8))
    if image.mode in ("CMYK", "L"):  # the profile is of these colours, not of RGB
        image, profile = in_srgb(image, profile), None
    else:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    # Shrunk before anything else is done, since every step holds another copy of the picture.
    if (size := _shrunk(image.size, max_side)) != image.size:
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    image = in_srgb(image, profile)
    if turn is not None:
        image = image.transpose(turn)
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return np.array(image)


def _turn_of(image: Image.Image) -> Image.Transpose | None:
    """What sets a picture upright; broken EXIF says nothing. Pillow raises for it in a PNG or a WebP, and not in a JPEG."""
    try:
        return TURNS.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # SyntaxError, struct.error, ValueError, TypeError...: the pixels were read by now
        return None


def encode(pixels: Pixels, image_format: str) -> bytes:
    """Write one picture, uint8 [h, w, c] of 1 or 3 channels, as png, jpeg or webp."""
    buffer = io.BytesIO()
    _image_of(pixels).save(buffer, image_format, **SAVE_OPTIONS[image_format])
    return buffer.getvalue()


def encode_animation(frames: Pixels, image_format: str, fps: float) -> bytes:
    """Write frames, uint8 [n, h, w, c] of 1 or 3 channels, as an animated webp or gif that is played over and over.

    Both formats hold a frame for a whole number of ticks, so durations vary by one, and the rate is right in the mean.
    """
    tick, shortest = (GIF_TICK, GIF_SHORTEST) if image_format == "gif" else (1, 1)
    ends = np.round(np.arange(len(frames) + 1) * 1000 / fps / tick).astype(int) * tick
    durations = np.maximum(np.diff(ends), shortest).tolist()
    images = [_image_of(frame) for frame in frames]
    if image_format == "gif":
        # An octree finds 256 colours in a twentieth of the time that Pillow's own choice takes.
        images = [image if image.mode == "L" else image.quantize(method=Image.Quantize.FASTOCTREE) for image in images]
    options = SAVE_OPTIONS.get(image_format, {})
    buffer = io.BytesIO()
    images[0].save(buffer, image_format, save_all=True, append_images=images[1:], duration=durations, loop=0, **options)
    return buffer.getvalue()


def _image_of(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def contact_sheet(pictures: Sequence[Pixels], columns: int | None = None) -> Pixels:
    """Lay pictures of one size out in rows, as square as can be; a single picture stays as it is."""
    if len(pictures) == 1:
        return pictures[0]
    columns = columns or math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    height, width, channels = pictures[0].shape
    step_y, step_x = height + SHEET_GAP, width + SHEET_GAP
    sheet = np.full((rows * step_y - SHEET_GAP, columns * step_x - SHEET_GAP, channels), 255, np.uint8)
    for i, picture in enumerate(pictures):
        y, x = i // columns * step_y, i % columns * step_x
        sheet[y : y + height, x : x + width] = picture
    return sheet


def archive(entries: Iterable[tuple[str, bytes]]) -> bytes:
    """Put files into a zip; the same files give the same bytes. They are compressed already, so they are stored."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as zipped:
        for name, data in entries:
            zipped.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


def npy(pictures: npt.NDArray[np.uint8]) -> bytes:
    """Write an array as a .npy file, which `numpy.load` reads."""
    buffer = io.BytesIO()
    np.save(buffer, pictures, allow_pickle=False)
    return buffer.getvalue()

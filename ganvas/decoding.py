"""From an image file to upright 8-bit RGB or RGBA, and the memory that this takes."""

import io
import zlib
from typing import BinaryIO

from PIL import Image

from ganvas.formats.head import Head
from ganvas.formats.limits import UnreadableImageError, truncated
from ganvas.formats.webp_decoder import libwebp
from ganvas.srgb import Colours, as_mode, srgb_transform, to_srgb
from ganvas.transparency import on_white

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

SIDEWAYS = frozenset({5, 6, 7, 8})
"""The orientations that exchange width and height."""

_UPPER_BITS = [level >> 8 for level in range(2**16)]
_DRAFT_SCALES = (8, 4, 2, 1)
_ROWS = 256  # of a checksum's strip

# Memory in bytes per pixel at the stages of `decoded`. Pillow holds a pixel of every colour mode in 4 bytes.
_LOADED = 4
_OPAQUE = {"grey": 5, "grey16": 6, "grey-alpha": 8, "palette": 5, "rgb": 4, "rgba": 8, "cmyk": 8}  # grey: 1, and 4 in sRGB
_TRANSPARENT = {**_OPAQUE, "grey": 8, "grey16": 15, "palette": 8, "rgb": 8}  # with alpha, and weighted by alpha
_RESULT = 14  # with transparency: the image in two colour spaces, and its alpha channel twice
_FIXED = 2 * 2**20  # buffers of the decoders and of colour transforms


def shrunk(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    """The size in pixels after an image is shrunk to `max_side`; never enlarged."""
    scale = min(1.0, max_side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def decode_bytes(head: Head, file_bytes: int, max_side: int | None) -> int:
    """Upper bound of the memory in bytes that `decoded` takes, with its result and an array of it, beside the file.

    The bound follows from the copies that `decoded` makes. `tests/ganvas/test_decoding.py` compares it with measured peaks.
    """
    width, height = head.width, head.height
    if max_side is not None and head.name == "JPEG":
        scale = next(s for s in _DRAFT_SCALES if s <= max(1, min(width // max_side, height // max_side)))
        width, height = -(-width // scale), -(-height // scale)
    pixels = width * height
    small_width, small_height = (width, height) if max_side is None else shrunk((width, height), max_side)
    result = small_width * small_height
    converted = pixels * (_TRANSPARENT if head.transparent else _OPAQUE)[head.pixels]
    if result < pixels:
        # Pillow takes the mean of 2 x 2 pixels or more if 6 become 1, and then shrinks the width before the height.
        converted += _LOADED * (max(small_width * height, pixels // 4) + result)
    stages = pixels * _LOADED + head.decoder_bytes, converted, result * _RESULT
    return max(stages) + 2 * file_bytes + _FIXED


def decoded(
    head: Head, file: BinaryIO, max_side: int | None, min_size: tuple[int, int] | None, *, keep_alpha: bool = False
) -> Image.Image:
    """Decode a picture. Arguments and result are those of `ganvas.images.read_image`.

    Raises:
        UnreadableImageError: the file is broken or truncated, or exceeds a bound.
        Exception: nearly any class of Pillow's; the file is broken.
    """
    image = _loaded(head, file, (max_side, max_side) if max_side is not None else min_size)
    colours: Colours = "CMYK" if head.pixels == "cmyk" else "L" if head.is_grey else "RGB"
    transform = srgb_transform(head.profile(file), colours)
    image = _with_alpha(head, file, image)
    if image.mode == "CMYK" or (image.mode == "L" and transform):
        image, transform = to_srgb(image, transform), None
    # Shrink before the other steps, because each step makes another copy of the image.
    if max_side is not None and (size := shrunk(image.size, max_side)) != image.size:
        image = _resized(image, size)
    image = to_srgb(image, transform)
    if head.orientation in TURNS:
        image = image.transpose(TURNS[head.orientation])
    if keep_alpha:
        return as_mode(image, "RGBA")
    return on_white(image) if image.mode == "RGBA" else image


def _loaded(head: Head, file: BinaryIO, min_size: tuple[int, int] | None) -> Image.Image:
    """The pixels as the decoder returns them: a large JPEG at a half, a quarter or an eighth, at least `min_size`."""

    def load(picture: io.BytesIO) -> Image.Image:
        if head.name == "WEBP" and (decoder := libwebp()):
            return decoder.decode(picture.getvalue(), (head.width, head.height))
        image = Image.open(picture, formats=[head.name])
        if image.size != (head.width, head.height):
            raise UnreadableImageError("broken: it states two sizes")
        if min_size is not None:
            image.draft(None, min_size)
        image.load()
        if head.lacks_pixels(picture, image):
            raise truncated()
        return image

    padded = head.padded_picture(file)
    if padded is None:
        return load(head.picture(file))
    try:
        padded_sum = _checksum(load(padded))
        image = load(head.picture(file))
    except Exception as error:
        raise truncated() from error
    if _checksum(image) != padded_sum:
        raise truncated()
    return image


def _checksum(image: Image.Image) -> int:
    total = 0
    for top in range(0, image.height, _ROWS):
        strip = image.crop((0, top, image.width, min(top + _ROWS, image.height)))
        total = zlib.crc32(strip.tobytes(), total)
    return total


def _with_alpha(head: Head, file: BinaryIO, image: Image.Image) -> Image.Image:
    """8-bit grey, CMYK or RGB, or RGBA if anything is transparent."""
    colour = head.transparent_colour(file) if head.transparent else None
    if head.pixels == "grey16":  # Pillow's own conversion clips it instead of scaling it
        levels = image.convert("I")
        image = levels.point(_UPPER_BITS, "L")
        if colour is not None:
            image.putalpha(levels.point([0 if level == colour else 255 for level in range(2**16)], "L"))
    elif image.mode == "1":
        image = image.convert("L")
    if colour is not None and image.mode != "LA":
        image.info["transparency"] = colour
    if image.has_transparency_data:
        return as_mode(image, "RGBA")
    return image if image.mode in ("L", "CMYK") else as_mode(image, "RGB")


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    if image.mode == "RGBA":
        image = image.convert("RGBa")  # colours weighted by alpha: transparent pixels have no colour
        return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0).convert("RGBA")
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)

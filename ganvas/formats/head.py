"""What the blocks of an image file state before it is decoded."""

import io
import struct
from abc import ABC, abstractmethod
from typing import BinaryIO, Literal

from PIL import Image

from ganvas.formats.limits import UnreadableImageError

Pixels = Literal["grey", "grey16", "grey-alpha", "palette", "rgb", "rgba", "cmyk"]

ORIENTATION = 0x0112  # the tag in EXIF
_EXIF_INTEGERS = {1: "B", 3: "H", 4: "I"}  # EXIF's types -> those of struct


class Head(ABC):
    """What a file states about its picture.

    Attributes:
        name: Pillow's name of the format.
        width: as stored, in pixels.
        height: as stored, in pixels.
        pixels: what the decoder makes of the file.
        transparent: whether the picture has an alpha channel or a transparent colour.
        orientation: EXIF's number, 1 to 8.
    """

    name: str
    width: int
    height: int
    pixels: Pixels
    transparent: bool = False
    orientation: int = 1

    @property
    def is_grey(self) -> bool:
        """Whether the stored picture has no colour."""
        return self.pixels in ("grey", "grey16", "grey-alpha")

    @property
    @abstractmethod
    def decoder_bytes(self) -> int:
        """Most memory in bytes that the decoder holds, beside the file and the pixels that it returns."""

    @abstractmethod
    def picture(self, file: BinaryIO) -> io.BytesIO:
        """The smallest file with the same picture. The structure of the rest of the file is checked.

        Raises:
            UnreadableImageError: the file is broken, truncated, or exceeds a bound.
        """

    @abstractmethod
    def profile(self, file: BinaryIO) -> bytes | None:
        """The ICC profile, of at most `MAX_PROFILE_BYTES`."""

    def padded_picture(self, file: BinaryIO) -> io.BytesIO | None:
        """If the end of the file is missing and the decoder would not notice: `picture` with other bytes in its place.

        If no pixel is missing, both pictures have the same pixels.
        """
        return None

    def lacks_pixels(self, picture: BinaryIO, image: Image.Image) -> bool:
        """Whether pixels are missing that the decoder does not report.

        Args:
            picture: from `picture`.
            image: what the decoder made of it.
        """
        return False

    def transparent_colour(self, file: BinaryIO) -> int | tuple[int, int, int] | None:
        """The one transparent colour of a picture without alpha channel, in levels of `pixels`."""
        return None


def orientation_of(exif: bytes) -> int:
    """The orientation that EXIF states; 1 if it states none or is broken.

    Args:
        exif: begins with a TIFF header. Its first directory is read and nothing else, so a loop of directories does no harm.
    """
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (at,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, at)
        for entry in range(at + 2, min(at + 2 + 12 * entries, len(exif)), 12):
            tag, kind, count = struct.unpack_from(f"{order}HHI", exif, entry)
            if tag == ORIENTATION and count == 1 and kind in _EXIF_INTEGERS:
                (value,) = struct.unpack_from(f"{order}{_EXIF_INTEGERS[kind]}", exif, entry + 8)
                return value if 1 <= value <= 8 else 1
    except struct.error:  # the directory is cut off
        pass
    return 1


def require_size(width: int, height: int) -> None:
    """Refuse a picture without pixels.

    Raises:
        UnreadableImageError: a side is 0.
    """
    if not (width and height):
        raise UnreadableImageError("broken: its header states a side of 0 pixels")

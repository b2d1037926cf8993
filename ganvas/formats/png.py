"""PNG files (W3C, third edition): chunks. Text, previews and the frames of an animation are left out."""

import io
import re
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from PIL import Image

from ganvas.api import MAX_CHUNKS
from ganvas.formats.head import Head, Pixels, orientation_of, require_size
from ganvas.formats.limits import (
    MAX_EXIF_BYTES,
    MAX_PROFILE_BYTES,
    UnreadableImageError,
    too_complex,
    truncated,
)

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_PIXELS: dict[tuple[int, int], Pixels] = {
    **{(bits, 0): "grey" for bits in (1, 2, 4, 8)},
    (16, 0): "grey16",
    (8, 2): "rgb",
    (16, 2): "rgb",
    **{(bits, 3): "palette" for bits in (1, 2, 4, 8)},
    (8, 4): "grey-alpha",
    (16, 4): "grey-alpha",
    (8, 6): "rgba",
    (16, 6): "rgba",
}
"""(bits, colour type) -> what the decoder makes of it: it keeps 16 bits of grey alone."""

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Colour type -> numbers of a pixel."""

_WHOLE = ((0, 0, 1, 1),)
_INTERLACED = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Passes over the picture: first column and row, and the steps to the next."""

_BEFORE_PIXELS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"iCCP"})
_ANYWHERE = frozenset({b"IDAT", b"eXIf"})
_NAME = re.compile(rb"[A-Za-z]{4}")
_COLOURS = 256  # of a palette
_COPY = 2**20  # bytes at a time


class PngHead(Head):
    """What a PNG states.

    Raises:
        UnreadableImageError: the file is broken, truncated, or exceeds a bound.
    """

    name = "PNG"

    def __init__(self, file: BinaryIO) -> None:
        self._places: dict[bytes, tuple[int, int]] = {}  # the first chunk of each kind that is read, and its length
        for name, payload, length in _chunks(file):
            if name in _ANYWHERE or (name in _BEFORE_PIXELS and b"IDAT" not in self._places):
                self._places.setdefault(name, (payload, length))
        header = self._read(file, b"IHDR", 13)
        if self._places.get(b"IHDR") != (16, 13) or len(header) < 13:
            raise UnreadableImageError("broken: it does not begin with its header")
        if b"IDAT" not in self._places:
            raise truncated()
        self.width, self.height, self._bits, colour, _, _, interlacing = struct.unpack(">IIBBBBB", header)
        require_size(self.width, self.height)
        if (self._bits, colour) not in _PIXELS:
            raise UnreadableImageError(f"broken: its header states colours of type {colour} with {self._bits} bits")
        self.pixels = _PIXELS[self._bits, colour]
        self._pixel_bits = self._bits * _CHANNELS[colour]
        self._passes = _INTERLACED if interlacing else _WHOLE
        self.transparent = self.pixels in ("grey-alpha", "rgba") or b"tRNS" in self._places
        self.orientation = orientation_of(self._read(file, b"eXIf", MAX_EXIF_BYTES))

    @property
    def decoder_bytes(self) -> int:
        """Two rows of at most 8 bytes a pixel, and zlib's window."""
        return 16 * self.width + 2**17

    def picture(self, file: BinaryIO) -> io.BytesIO:
        """Raises: see `Head.picture`."""
        picture = io.BytesIO()
        picture.write(SIGNATURE)
        _write(picture, b"IHDR", self._read(file, b"IHDR", 13))
        if self.pixels == "palette":
            for name, most in ((b"PLTE", 3 * _COLOURS), (b"tRNS", _COLOURS)):
                if name in self._places:
                    _write(picture, name, self._read(file, name, most))
        # One chunk for all pixels: Pillow reads every chunk in Python.
        begin = picture.tell()
        picture.write(b"\0\0\0\0IDAT")
        for name, payload, length in _chunks(file, self._places[b"IDAT"][0] - 8):
            if name != b"IDAT":
                break
            file.seek(payload)
            for at in range(0, length, _COPY):
                picture.write(file.read(min(_COPY, length - at)))
        size = picture.tell() - begin - 8
        picture.write(struct.pack(">I", zlib.crc32(picture.getbuffer()[begin + 4 :])))
        picture.seek(begin)
        picture.write(struct.pack(">I", size))
        picture.seek(0, io.SEEK_END)
        _write(picture, b"IEND", b"")
        picture.seek(0)
        return picture

    def lacks_pixels(self, picture: BinaryIO, image: Image.Image) -> bool:
        """Whether the packed pixels end before the last row. Pillow leaves what is missing black and reports nothing."""
        if self._passes == _WHOLE and any(image.crop((0, image.height - 1, *image.size)).tobytes()):
            return False
        missing: int = sum(
            rows * (1 + -(-columns * self._pixel_bits // 8))
            for left, top, right, down in self._passes
            if (columns := -((left - self.width) // right)) > 0 and (rows := -((top - self.height) // down)) > 0
        )
        payload = next(at for name, at, _ in _chunks(picture) if name == b"IDAT")
        picture.seek(payload)
        inflater = zlib.decompressobj()
        while missing > 0 and (packed := inflater.unconsumed_tail or picture.read(_COPY)) and not inflater.eof:
            missing -= len(inflater.decompress(packed, _COPY))
        return missing > 0

    def profile(self, file: BinaryIO) -> bytes | None:
        """A profile that cannot be unpacked is ignored."""
        name, _, packed = self._read(file, b"iCCP", MAX_PROFILE_BYTES).partition(b"\0")
        if not (name and packed):
            return None
        inflater = zlib.decompressobj()
        try:
            profile = inflater.decompress(packed[1:], MAX_PROFILE_BYTES)
        except zlib.error:
            return None
        return None if inflater.unconsumed_tail else profile

    def transparent_colour(self, file: BinaryIO) -> int | tuple[int, int, int] | None:
        """The tRNS chunk states it in the file's bits. Further bits are ignored, as the specification demands.

        Colours of 16 bits are decoded to 8, so all colours are transparent whose upper 8 bits are those of the transparent one.
        """
        stated = self._read(file, b"tRNS", 6)
        if self.pixels in ("grey", "grey16") and len(stated) >= 2:
            highest: int = 2**self._bits - 1
            level = int.from_bytes(stated[:2], "big") & highest
            return level if self.pixels == "grey16" else level * 255 // highest
        if self.pixels == "rgb" and len(stated) == 6:
            red, green, blue = (level >> (self._bits - 8) & 255 for level in struct.unpack(">HHH", stated))
            return red, green, blue
        return None

    def _read(self, file: BinaryIO, name: bytes, most: int) -> bytes:
        """The start of the first chunk of a kind; empty if there is none."""
        payload, length = self._places.get(name, (0, 0))
        file.seek(payload)
        return file.read(min(length, most))


def _chunks(file: BinaryIO, at: int = 8) -> Iterator[tuple[bytes, int, int]]:
    """Name, offset of the payload and its length, of every chunk up to the end or to what is not a chunk."""
    for _ in range(MAX_CHUNKS):
        file.seek(at)
        head = file.read(8)
        name = head[4:]
        if not _NAME.fullmatch(name) or name == b"IEND":
            return
        length = int.from_bytes(head[:4], "big")
        yield name, at + 8, length
        at += 12 + length
    raise too_complex("chunks", MAX_CHUNKS)


def _write(picture: io.BytesIO, name: bytes, data: bytes) -> None:
    picture.write(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))

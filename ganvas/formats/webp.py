"""WebP files (RFC 9649): chunks in a RIFF container. Metadata and all frames but the first are left out."""

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

from ganvas.api import MAX_CHUNKS
from ganvas.formats.head import Head, orientation_of, require_size
from ganvas.formats.limits import (
    MAX_EXIF_BYTES,
    MAX_PROFILE_BYTES,
    UnreadableImageError,
    too_complex,
    truncated,
)

_PROFILE, _ALPHA, _EXIF, _ANIMATION = 0x20, 0x10, 0x08, 0x02  # flags of the VP8X chunk
_LOSSY, _LOSSLESS, _EXTENDED = b"VP8 ", b"VP8L", b"VP8X"
_READ = frozenset({_LOSSY, _LOSSLESS, _EXTENDED, b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF"})


class WebpHead(Head):
    """What a WebP states.

    Raises:
        UnreadableImageError: the file is broken, truncated, or exceeds a bound.
    """

    name = "WEBP"

    def __init__(self, file: BinaryIO) -> None:
        self._places: dict[bytes, tuple[int, int]] = {}  # the first chunk of each kind, and its length
        for name, payload, length in _chunks(file):
            if not self._places and name not in (_LOSSY, _LOSSLESS, _EXTENDED):
                raise UnreadableImageError("broken: it does not begin with its header")
            if name in _READ:
                self._places.setdefault(name, (payload, length))
        if not self._places:
            raise truncated()
        self._kind = next(iter(self._places))
        self._flags = 0
        header = self._read(file, self._kind, 10)
        if len(header) < (5 if self._kind == _LOSSLESS else 10):
            raise truncated()
        if self._kind == _EXTENDED:
            self._flags = header[0]
            self.width = int.from_bytes(header[4:7], "little") + 1
            self.height = int.from_bytes(header[7:10], "little") + 1
            self.transparent = bool(self._flags & _ALPHA)
        elif self._kind == _LOSSLESS:
            (bits,) = struct.unpack_from("<I", header, 1)
            self.width, self.height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
            self.transparent = bool(bits >> 28 & 1)
        else:
            self.width, self.height = (side & 0x3FFF for side in struct.unpack_from("<HH", header, 6))
        require_size(self.width, self.height)
        self.pixels = "rgba" if self.transparent else "rgb"
        # libwebp, and so browsers and Pillow, ignore metadata whose flag is not set.
        if self._flags & _EXIF:
            self.orientation = orientation_of(self._read(file, b"EXIF", MAX_EXIF_BYTES))

    @property
    def decoder_bytes(self) -> int:
        """Two canvases, what is decoded before it is drawn on them, and a copy for Pillow: 4 bytes a pixel each, and tables."""
        return 18 * self.width * self.height

    def picture(self, file: BinaryIO) -> io.BytesIO:
        """Raises: see `Head.picture`."""
        if self._kind != _EXTENDED:
            names = [self._kind]
        elif self._flags & _ANIMATION:
            names = [b"ANIM", b"ANMF"]
        else:
            names = [b"ALPH", _LOSSY] if _LOSSY in self._places else [_LOSSLESS]
        picture = io.BytesIO()
        picture.write(b"RIFF\0\0\0\0WEBP")
        if self._kind == _EXTENDED:
            header = bytearray(self._read(file, _EXTENDED, 10))
            header[0] &= _ALPHA | _ANIMATION
            picture.write(_EXTENDED + struct.pack("<I", len(header)) + header)
        for name in names:
            if name in self._places:
                _, length = self._places[name]
                data = self._read(file, name, length)
                if len(data) < length:
                    raise truncated()
                picture.write(name + struct.pack("<I", length))
                picture.write(data)
                picture.write(b"\0" * (length % 2))
        size = picture.tell() - 8
        picture.seek(4)
        picture.write(struct.pack("<I", size))
        picture.seek(0)
        return picture

    def profile(self, file: BinaryIO) -> bytes | None:
        """A profile is ignored if it is too large, or if the flag that announces it is not set."""
        if not self._flags & _PROFILE or self._places.get(b"ICCP", (0, 0))[1] > MAX_PROFILE_BYTES:
            return None
        return self._read(file, b"ICCP", MAX_PROFILE_BYTES) or None

    def _read(self, file: BinaryIO, name: bytes, most: int) -> bytes:
        """The start of the first chunk of a kind; empty if there is none."""
        payload, length = self._places.get(name, (0, 0))
        file.seek(payload)
        return file.read(min(length, most))


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Name, offset of the payload and its length, of every chunk in the container, the last ones cut off perhaps."""
    file.seek(4)
    end = int.from_bytes(file.read(4), "little") + 8
    at = 12
    for _ in range(MAX_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8 or at + 8 > end:
            return
        length = int.from_bytes(head[4:], "little")
        yield head[:4], at + 8, length
        at += 8 + length + length % 2
    raise too_complex("chunks", MAX_CHUNKS)

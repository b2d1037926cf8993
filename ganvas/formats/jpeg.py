"""JPEG files (ITU-T T.81): segments up to the first scan, then scans of coded pixels.

Cameras append previews, depth maps and other pictures, in segments or after the end of the first picture (MPO). They are
left out.
"""

import io
import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

from ganvas.api import MAX_SCANS, MAX_SCANS_OF_LARGE, MAX_SEGMENTS
from ganvas.formats.head import Head, Pixels, orientation_of, require_size
from ganvas.formats.limits import (
    MAX_PROFILE_BYTES,
    UnreadableImageError,
    too_complex,
    truncated,
)

START = b"\xff\xd8"
END = b"\xff\xd9"

_SOI, _EOI, _SOS, _DHT, _DAC = 0xD8, 0xD9, 0xDA, 0xC4, 0xCC
_FRAMES = frozenset(range(0xC0, 0xD0)) - {_DHT, _DAC, 0xC8}  # SOF0 to SOF15
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_APP0, _APP1, _APP2, _APP14, _APP15, _COMMENT = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF, 0xFE
_NO_SEGMENT = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})  # markers without a length; SOI among them, which libjpeg refuses
_PIXELS: dict[int, Pixels] = {1: "grey", 3: "rgb", 4: "cmyk"}
_PROFILE = b"ICC_PROFILE\0"

_LONGEST_PADDING = b"\xff" * (MAX_SEGMENTS + 1)
"""libjpeg begins each time at the start of the padding when Pillow passes it the next 64 KiB."""

_PADDING = bytes((85 + 89 * i) % 255 for i in range(4096))
"""Decoded as pixels, it differs from the zeros that libjpeg decodes after the end of the data."""

_NEXT_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
"""What ends the coded pixels: any marker but a restart marker and those that libjpeg skips or stops at."""

_COEFFICIENTS = 64  # of a block

_SCANNED_PIXELS = MAX_SCANS_OF_LARGE * 50_000_000
"""Pixels times scans. A scan of 50 million pixels takes up to a tenth of a second, even if it has a few bytes."""

_SEARCHED = 2**16  # bytes at a time: about a millisecond if all of them are the first byte of a marker


class JpegHead(Head):
    """What a JPEG states before its first scan.

    Attributes:
        is_buffered: whether the decoder holds the coefficients of the whole picture: there are several scans.
        components: (horizontal, vertical) sampling factor of each.

    Raises:
        UnreadableImageError: the file is broken, truncated, or exceeds a bound.
    """

    name = "JPEG"

    def __init__(self, file: BinaryIO) -> None:
        frame = None
        scanned = 0
        for marker, payload, length in _segments(file):
            if marker in _FRAMES:
                frame = marker, _read(file, payload, length)
            elif marker == _APP1 and self.orientation == 1:
                segment = _read(file, payload, length)
                if segment.startswith(b"Exif\0\0"):
                    self.orientation = orientation_of(segment)
            elif marker == _SOS:
                self._scan = payload - 4
                scanned = _read(file, payload, 1)[0]
        if frame is None or len(frame[1]) < 6 + 3 * frame[1][5]:
            raise UnreadableImageError("broken: no frame precedes its pixels")
        kind, header = frame
        bits, self.height, self.width, count = struct.unpack_from(">BHHB", header)
        if bits != 8 or count not in _PIXELS:
            raise UnreadableImageError(f"a JPEG of {count} channels with {bits} bits; 1, 3 or 4 channels with 8 bits are read")
        require_size(self.width, self.height)
        self.pixels = _PIXELS[count]
        self.components = [(header[at] >> 4, header[at] & 15) for at in range(7, 7 + 3 * count, 3)]
        self._names = header[6 : 6 + 3 * count : 3]
        self._is_progressive = kind in _PROGRESSIVE
        self.is_buffered = self._is_progressive or scanned < count
        self._is_scanned = False
        self._end: int | None = None
        self._has_all_scans = False

    @property
    def decoder_bytes(self) -> int:
        """Buffered coefficients have 2 bytes, for whole blocks of 8 x 8 in whole units of all components."""
        if not self.is_buffered:
            return 0
        widest = max(1, *(across for across, _ in self.components))
        highest = max(1, *(down for _, down in self.components))
        units = -(-self.width // (8 * widest)) * -(-self.height // (8 * highest))
        return 2 * 64 * units * sum(across * down for across, down in self.components)

    def picture(self, file: BinaryIO) -> io.BytesIO:
        """Raises: see `Head.picture`."""
        return self._picture(file, b"")

    def padded_picture(self, file: BinaryIO) -> io.BytesIO | None:
        """If data ends early, libjpeg decodes zeros in its place and says nothing.

        Raises:
            UnreadableImageError: the file ends between two scans, so the picture is whole but coarse or without colours.
        """
        if self._end_of_scans(file) is not None:
            return None
        if not self._has_all_scans:
            raise truncated()
        return self._picture(file, _PADDING)

    def _picture(self, file: BinaryIO, padding: bytes) -> io.BytesIO:
        """The picture. If the file has no end, padding and an end follow the last byte."""
        end = self._end_of_scans(file)
        picture = io.BytesIO()
        picture.write(START)
        for marker, payload, length in _segments(file):
            is_extra = _APP0 <= marker <= _APP15 or marker == _COMMENT
            if marker != _SOS and (not is_extra or _is_about_colour(file, marker, payload)):
                picture.write(_read(file, payload - 4, length + 4))
        file.seek(self._scan)
        if end is None:
            picture.write(file.read().rstrip(b"\xff"))  # half a marker, perhaps
            picture.write(padding)
        else:
            picture.write(file.read(end))
        picture.write(END)
        picture.seek(0)
        return picture

    def _end_of_scans(self, file: BinaryIO) -> int | None:
        """Where the picture ends, in bytes from its first scan; None if its end is missing."""
        if not self._is_scanned:
            file.seek(self._scan)
            scans = file.read()
            most = max(MAX_SCANS_OF_LARGE, min(MAX_SCANS, _SCANNED_PIXELS // (self.width * self.height)))
            self._end, heads = _end_of_scans(scans, most)
            self._has_all_scans = _are_all_scans(heads, self._names, self._is_progressive)
            if scans.find(_LONGEST_PADDING, 0, self._end) >= 0:
                raise too_complex("bytes of padding in a row", MAX_SEGMENTS)
            self._is_scanned = True
        return self._end

    def profile(self, file: BinaryIO) -> bytes | None:
        """Parts in any order, each with its number and the count of all."""
        parts: dict[int, bytes] = {}
        counts = set()
        for marker, payload, length in _segments(file):
            if marker == _APP2 and length > 14:
                segment = _read(file, payload, length)
                if segment.startswith(_PROFILE):
                    parts[segment[12]] = segment[14:]
                    counts.add(segment[13])
        profile = b"".join(parts[number] for number in sorted(parts))
        is_whole = counts == {len(parts)} and len(profile) <= MAX_PROFILE_BYTES
        return profile if is_whole else None


def _segments(file: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Marker, offset of the payload and its length, of every segment up to the first scan's head."""
    at = 2
    for _ in range(MAX_SEGMENTS):
        file.seek(at)
        head = file.read(4)
        if len(head) < 4:
            raise truncated()
        marker = head[1]
        if head[0] != 0xFF:
            at += 1  # between segments, libjpeg skips what is not a marker
        elif marker == 0xFF:
            at += 1  # padding
        elif marker in _NO_SEGMENT:
            at += 2
        elif marker == _EOI:
            raise UnreadableImageError("broken: it ends before its pixels")
        else:
            length = int.from_bytes(head[2:], "big")
            if length < 2:
                raise UnreadableImageError("broken: a segment has no length")
            yield marker, at + 4, length - 2
            if marker == _SOS:
                return
            at += 2 + length
    raise too_complex("segments or bytes of padding before its pixels", MAX_SEGMENTS)


def _end_of_scans(scans: bytes, most: int) -> tuple[int | None, list[bytes]]:
    """Where the end of the picture is, None if it is missing; and the head of each scan.

    Args:
        scans: the file from its first scan on.
        most: scans that are allowed.
    """
    at = 0
    heads: list[bytes] = []
    for _ in range(MAX_SEGMENTS):
        marker = scans[at + 1] if at + 1 < len(scans) else _EOI
        length = int.from_bytes(scans[at + 2 : at + 4], "big")
        if marker == _SOS:
            heads.append(scans[at + 4 : at + 2 + length])
            if len(heads) > most:
                raise too_complex("scans", most)
        found = _next_marker(scans, at + 2 + length)
        if found is None:
            return None, heads
        at = found
        if scans[at + 1] in (_EOI, _SOI):
            return at if scans[at + 1] == _EOI else None, heads
    raise too_complex("segments among its pixels", MAX_SEGMENTS)


def _are_all_scans(heads: list[bytes], components: bytes, is_progressive: bool) -> bool:
    """Whether scans contain every coefficient of every component to its last bit.

    Args:
        heads: what follows the length in the head of each scan.
        components: the name of each.
        is_progressive: otherwise, each scan has all coefficients of its components.
    """
    missing = {component: set(range(_COEFFICIENTS if is_progressive else 1)) for component in components}
    for head in heads:
        names = head[1 : 1 + 2 * head[0] : 2] if head else b""
        bounds = head[1 + 2 * len(names) :]
        if len(bounds) < 3:  # the head is cut off
            continue
        first, last, bits = bounds[:3]
        for name in names:
            if name in missing and not (is_progressive and bits & 15):
                missing[name] -= set(range(first, last + 1)) if is_progressive else {0}
    return not any(missing.values())


def _next_marker(scans: bytes, at: int) -> int | None:
    """Where the next marker is that ends coded pixels. A search holds Python's lock, so the file is searched in parts."""
    for start in range(at, len(scans), _SEARCHED):
        found = _NEXT_MARKER.search(scans, start, start + _SEARCHED + 1)  # a marker has two bytes
        if found:
            return found.start()
    return None


def _is_about_colour(file: BinaryIO, marker: int, payload: int) -> bool:
    """Whether libjpeg reads the segment to know what the components mean."""
    file.seek(payload)
    start = file.read(5)
    return (marker == _APP0 and start == b"JFIF\0") or (marker == _APP14 and start == b"Adobe")


def _read(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    data = file.read(length)
    if len(data) < length:
        raise truncated()
    return data

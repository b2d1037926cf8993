"""Read a .npy file of images without numpy, which this package does not require.

The format is numpy's NEP 1: a magic number, a version, the header's length, the header as a Python dict, the pixels. The header
is compared with the one form that images have, so it is never evaluated.
"""

import re
import struct
from typing import NamedTuple

MAGIC = b"\x93NUMPY"
MAX_HEADER = 1024  # bytes; numpy writes 118
HEADER = re.compile(
    rb"\{'descr': '\|u1', 'fortran_order': False, 'shape': "
    rb"\(([1-9]\d{0,8}), ([1-9]\d{0,8}), ([1-9]\d{0,8}), ([134])\), ?\}[ \n]*"
)


class Layout(NamedTuple):
    """Where the pixels of a .npy file start, and their shape."""

    start: int
    n: int
    height: int
    width: int
    channels: int


def layout_of(data: bytes) -> Layout:
    """Read the header of a .npy file of uint8 [n, h, w, c] with 1, 3 or 4 channels.

    Raises:
        ValueError: the data is not such a file, or its length does not match its shape.
    """
    if not data.startswith(MAGIC) or len(data) < 12:
        raise ValueError("not a .npy file")
    first, width = (10, "<H") if data[6] == 1 else (12, "<I")
    (length,) = struct.unpack_from(width, data, 8)
    match = HEADER.fullmatch(data, first, first + length) if length <= MAX_HEADER else None
    if match is None:
        raise ValueError("its header is not that of images, uint8 [n, h, w, 1, 3 or 4]")
    layout = Layout(first + length, *map(int, match.groups()))
    expected = layout.n * layout.height * layout.width * layout.channels
    if len(data) - layout.start != expected:
        raise ValueError(f"{len(data) - layout.start} bytes of pixels, not the {expected} of {list(layout[1:])}")
    return layout

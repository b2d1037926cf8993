"""Compressed bodies: gzip and deflate, within a bound that is known before anything is decompressed."""

import zlib
from collections.abc import Iterable
from typing import Literal

from starlette.datastructures import Headers

from service.http.problems import Malformed, TooLarge, Unsupported

Coding = Literal["gzip", "deflate"]

_WINDOW_BITS: dict[Coding, int] = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}

MAX_RATIO = 1032
"""The most bytes that one byte of deflate can become (zlib's documentation)."""

LEVEL = 1
"""Tensors of images hardly get smaller at higher levels, which take several times as long."""


def coding_of(headers: Headers) -> Coding | None:
    """How a request's body is compressed; None if it is not.

    Raises:
        Unsupported: it is compressed in another way, or more than once.
    """
    written = headers.get("content-encoding", "").strip().lower()
    for coding in _WINDOW_BITS:
        if written == coding:
            return coding
    if written in ("", "identity"):
        return None
    raise Unsupported(f"The body is compressed ({written[:64]}). Send it with gzip, deflate or without compression.")


def wanted_coding(headers: Headers) -> Coding | None:
    """How to compress a response: only if the request accepts nothing but gzip, or nothing but deflate.

    Most HTTP libraries send `gzip, deflate` with every request. To compress each tensor for them would take longer than to
    send it.
    """
    written = headers.get("accept-encoding", "").strip().lower()
    return next((coding for coding in _WINDOW_BITS if written == coding), None)


def decompress_bytes(size: int, limit: int) -> int:
    """The memory in bytes that `decompress` takes at most for a body of this size: the parts of its result, and the result."""
    return 2 * min(size * MAX_RATIO, limit + 1)


def decompress(body: bytes, coding: Coding, limit: int) -> bytes:
    """Decompress a body. Blocks.

    Args:
        body: compressed.
        coding: of the body.
        limit: the most bytes of the result.

    Raises:
        TooLarge: the result is larger.
        Malformed: the body is not compressed in this way, or is incomplete.
    """
    decompressor = zlib.decompressobj(_WINDOW_BITS[coding])
    try:
        result = decompressor.decompress(body, limit + 1)
    except zlib.error:
        raise Malformed(f"The body is not valid {coding}.") from None
    if len(result) > limit:
        raise TooLarge(f"The decompressed body is larger than the limit of {limit} bytes.")
    if not decompressor.eof:
        raise Malformed(f"The body is incomplete: its {coding} has no end.")
    if decompressor.unused_data:
        raise Malformed(f"The body has {len(decompressor.unused_data)} bytes after the end of its {coding}.")
    return result


def compress(parts: Iterable[bytes | memoryview], coding: Coding) -> bytes:
    """Compress the parts of a body. Blocks."""
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, _WINDOW_BITS[coding])
    return b"".join([*(compressor.compress(part) for part in parts), compressor.flush()])

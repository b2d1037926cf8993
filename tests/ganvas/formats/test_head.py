"""The orientation in EXIF."""

import struct

import pytest
from PIL import Image

from ganvas.formats.head import orientation_of


def directory(order: str, *entries: tuple[int, int, int, int], at: int = 8, stated: int | None = None) -> bytes:
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    body = b"".join(
        struct.pack(f"{order}HHI", tag, kind, count)
        + (struct.pack(f"{order}HH", value, 0) if kind == 3 else struct.pack(f"{order}I", value))
        for tag, kind, count, value in entries
    )
    return mark + struct.pack(f"{order}I", at) + struct.pack(f"{order}H", len(entries) if stated is None else stated) + body


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [3, 4])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_finds_the_orientation(orientation: int, kind: int, order: str) -> None:
    assert orientation_of(directory(order, (0x010F, 2, 1, 0), (0x0112, kind, 1, orientation))) == orientation


def test_reads_what_pillow_writes() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", 6
    assert orientation_of(exif.tobytes()) == 6


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"Exif\0\0",
        b"garbage, and no TIFF header",
        directory("<"),
        directory("<", (0x0112, 3, 1, 0)),
        directory("<", (0x0112, 3, 1, 9)),
        directory("<", (0x0112, 3, 2, 6)),
        directory("<", (0x0112, 2, 1, 6)),
        directory("<", (0x0112, 3, 1, 6), at=2**32 - 1),
        directory("<", (0x010F, 3, 1, 6), stated=65535),
        directory("<", (0x0112, 3, 1, 6))[:-5],
    ],
)
def test_broken_exif_leaves_the_image_as_stored(exif: bytes) -> None:
    assert orientation_of(exif) == 1

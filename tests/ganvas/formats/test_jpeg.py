"""JPEG files as cameras, programs, interrupted downloads and attackers write them."""

import io
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganvas.api import MAX_SCANS, MAX_SCANS_OF_LARGE, MAX_SEGMENTS
from ganvas.formats.limits import UnreadableImageError
from ganvas.images import read_header, read_image
from tests.image_files import image_bytes, swapped_profile

SOI, EOI, SOS = b"\xff\xd8", b"\xff\xd9", b"\xff\xda"


def segment(marker: int, data: bytes = b"") -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


@pytest.fixture
def image() -> Image.Image:
    y, x = np.mgrid[0:72, 0:120]
    noise = np.random.default_rng(0).integers(0, 40, (72, 120, 3))
    return Image.fromarray((np.stack([x, y * 2, 200 - x - y], axis=2) + noise).clip(0, 255).astype(np.uint8))


@pytest.fixture
def data(image: Image.Image) -> bytes:
    return image_bytes(image, "jpeg", quality=90)


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(read_image(data))


def with_scans(scans: int, side: int = 64) -> bytes:
    """A progressive JPEG that repeats its last scan until it has this many."""
    data = image_bytes(Image.new("L", (side, side), 128), "jpeg", progressive=True)
    starts = [at for at in range(len(data)) if data[at : at + 2] == SOS]
    last = data[starts[-1] : -2]
    return data[:-2] + last * (scans - len(starts)) + EOI


def test_reads_the_largest_allowed_number_of_scans() -> None:
    assert (pixels(with_scans(MAX_SCANS)) == 128).all()


@pytest.mark.parametrize("scans", [MAX_SCANS + 1, 12_000])
def test_refuses_more_scans(scans: int) -> None:
    with pytest.raises(UnreadableImageError, match="too complex: more than 100 scans; save it again"):
        read_image(with_scans(scans))


def test_allows_fewer_scans_of_a_large_picture() -> None:
    """A scan of a few bytes is a pass over all pixels: a file of 105 kB with 98 of them took a thread for 8 s."""
    assert MAX_SCANS_OF_LARGE == 25
    with pytest.raises(UnreadableImageError, match="too complex: more than 25 scans; save it again"):
        read_image(with_scans(26, side=7071))
    with pytest.raises(UnreadableImageError, match="too complex: more than 50 scans; save it again"):
        read_image(with_scans(51, side=5000))
    assert (np.asarray(read_image(with_scans(25, side=7071), max_side=64)) == 128).all()


@pytest.mark.parametrize(
    "garbage",
    [segment(0xE1), segment(0xFE), segment(0xE1, b"Exif\0\0"), b"\xff", b"\0", b"\xff\xd0", segment(0xDD, b"\0\0")],
    ids=["APP1", "comment", "exif", "padding", "zeros", "restarts", "intervals"],
)
def test_refuses_endless_blocks_before_the_pixels(garbage: bytes, data: bytes) -> None:
    with pytest.raises(UnreadableImageError, match="too complex: more than 4,096 segments"):
        read_header(SOI + segment(0xE0) + garbage * (2**20 // len(garbage)) + data[2:])


@pytest.mark.parametrize(
    "garbage", [segment(0xE1), segment(0xFE), segment(0xDD, b"\0\0"), b"\xff"], ids=["APP1", "comment", "intervals", "padding"]
)
def test_refuses_endless_blocks_among_the_pixels(garbage: bytes, data: bytes) -> None:
    with pytest.raises(UnreadableImageError, match="too complex: more than 4,096 "):
        read_image(data[:-2] + garbage * (2**20 // len(garbage)) + EOI)


def test_reads_thousands_of_segments_and_padding(data: bytes) -> None:
    padded = SOI + segment(0xE1, b"x" * 100) * 2000 + b"\xff" * 1000 + data[2:-2] + b"\xff" * 1000 + EOI
    np.testing.assert_array_equal(pixels(padded), pixels(data))


@pytest.mark.parametrize("rest", [b"\0" * 5000, b"\xff" * 5000, b"PK\3\4 and more", SOI + b"garbage"])
def test_ignores_what_follows_the_end(rest: bytes, data: bytes) -> None:
    np.testing.assert_array_equal(pixels(data + rest), pixels(data))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("rest", [b"", b"\xff", b"\0\0"])
def test_reads_file_without_end_marker(rest: bytes, progressive: bool, image: Image.Image) -> None:
    data = image_bytes(image, "jpeg", quality=90, progressive=progressive)
    np.testing.assert_array_equal(pixels(data[:-2] + rest), pixels(data))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("missing", [8, 50, 1000])
def test_refuses_file_without_its_last_pixels(missing: int, mode: str, image: Image.Image) -> None:
    data = image_bytes(image.convert(mode), "jpeg", quality=90)
    with pytest.raises(UnreadableImageError, match="truncated: its end is missing"):
        read_image(data[:-missing])


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_refuses_progressive_file_without_its_last_scans(mode: str, image: Image.Image) -> None:
    """It would be read without details, or without colours."""
    data = image_bytes(image.convert(mode), "jpeg", quality=90, progressive=True)
    first = data.index(SOS) + 2
    ends = [first + found.start() for found in re.finditer(rb"\xff[\xc4\xda]", data[first:])]  # before a table or a scan
    assert len(ends) > 4
    for end in ends:
        for rest in (0, 1, 2, 4, 6):  # in the head of the next scan or table, too
            with pytest.raises(UnreadableImageError, match="truncated: its end is missing"):
                read_image(data[: end + rest])


def test_refuses_file_without_the_scan_of_a_colour(image: Image.Image) -> None:
    """Some programs write each component in a scan of its own, without progression."""
    grey = image_bytes(image.convert("L"), "jpeg", quality=90)
    frame, scan = grey.index(b"\xff\xc0"), grey.index(SOS)
    colours = segment(0xC0, grey[frame + 4 : frame + 9] + b"\3" + b"\1\x11\0\2\x11\0\3\x11\0")
    head = grey[:frame] + colours + grey[frame + 13 : scan]
    scans = [segment(0xDA, bytes([1, component, 0, 0, 63, 0])) + grey[scan + 10 : -2] for component in (1, 2, 3)]
    whole = head + b"".join(scans)
    np.testing.assert_array_equal(pixels(whole), pixels(whole + EOI))
    for missing in (1, 2):
        with pytest.raises(UnreadableImageError, match="truncated: its end is missing"):
            read_image(head + b"".join(scans[:-missing]))


def test_refuses_file_that_ends_in_its_segments(data: bytes) -> None:
    with pytest.raises(UnreadableImageError, match="truncated"):
        read_header(data[:200])


def test_reads_first_picture_of_several(image: Image.Image, tmp_path: Path) -> None:
    """Phones write MPO: a JPEG with further ones behind it."""
    other = Image.new("RGB", (40, 30), "red")
    image.save(tmp_path / "phone.jpg", "MPO", save_all=True, append_images=[other], quality=90)
    read = read_image(tmp_path / "phone.jpg")
    np.testing.assert_array_equal(np.asarray(read), pixels(image_bytes(image, "jpeg", quality=90)))


@pytest.mark.parametrize("before_border", [0, 1, 2])
def test_finds_the_end_at_the_border_of_two_searches(before_border: int, data: bytes) -> None:
    scans = len(data) - data.rindex(SOS)
    restarts = b"\xff\xd0" * (2**15 - scans // 2) + b"\0" * (scans % 2)
    picture = data[:-2] + restarts[: len(restarts) - before_border] + EOI
    np.testing.assert_array_equal(pixels(picture + data), pixels(data))


def test_finds_orientation_and_profile_among_other_segments(image: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = image_bytes(image, "jpeg", quality=90, exif=exif, icc_profile=swapped_profile(), comment=b"c" * 60_000)
    xmp = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + b"x" * 60_000)
    data = SOI + xmp + data[2:]
    assert read_header(data)[:3] == (120 * 72, 72, 120)
    plain = pixels(image_bytes(image, "jpeg", quality=90))
    difference = np.rot90(pixels(data), 1).astype(int) - plain[:, :, ::-1]
    assert np.abs(difference).mean() < 4


def test_joins_profile_parts_in_order(image: Image.Image) -> None:
    """A profile of more than 64 KiB is split."""
    profile = swapped_profile()
    profile = struct.pack(">I", 100_000) + profile[4:] + bytes(100_000 - len(profile))
    data = image_bytes(image, "jpeg", quality=95, icc_profile=profile)
    start = data.index(b"\xff\xe2")
    length = 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    second = 2 + int.from_bytes(data[start + length + 2 : start + length + 4], "big")
    first, rest = data[start : start + length], data[start + length : start + length + second]
    swapped = data[:start] + rest + first + data[start + length + second :]
    assert np.abs(pixels(data).astype(int)[:, :, ::-1] - pixels(image_bytes(image, "jpeg", quality=95))).mean() < 4
    np.testing.assert_array_equal(pixels(swapped), pixels(data))
    missing = data[:start] + first + data[start + length + second :]  # browsers ignore a profile with a missing part
    np.testing.assert_array_equal(pixels(missing), pixels(image_bytes(image, "jpeg", quality=95)))


@pytest.mark.parametrize("mode", ["CMYK", "YCCK"])
def test_reads_inverted_colours_of_adobe(mode: str, image: Image.Image) -> None:
    """Photoshop stores 255 minus the ink, as CMYK or as YCCK. Pillow writes CMYK in the same way."""
    data = image_bytes(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "jpeg", quality=95)
    if mode == "YCCK":  # the stored 255, 0, 0, 255 as Y, Cb, Cr and K: R, G, B of 76, 255, 28 are the inks of the negative
        at = data.index(b"Adobe")
        data = data[: at + 11] + b"\2" + data[at + 12 :]
    expected = {"CMYK": (255, 0, 0), "YCCK": (255 - 76, 255 - 255, 255 - 28)}[mode]
    np.testing.assert_allclose(pixels(data)[4, 4], expected, atol=8)


def test_refuses_jpeg_of_twelve_bits(data: bytes) -> None:
    at = data.index(b"\xff\xc0") + 4
    with pytest.raises(UnreadableImageError, match="a JPEG of 3 channels with 12 bits; 1, 3 or 4 channels with 8"):
        read_header(data[:at] + b"\x0c" + data[at + 1 :])


def test_refuses_two_frames_with_different_sizes(data: bytes) -> None:
    """Otherwise the header would promise less than the decoder allocates."""
    at = data.index(b"\xff\xc0")
    frame = bytearray(data[at : at + 19])
    frame[5:9] = struct.pack(">HH", 8, 8)
    with pytest.raises(UnreadableImageError, match="broken"):
        read_image(data[: at + 19] + frame + data[at + 19 :])


def test_pixels_do_not_depend_on_the_source(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "IMG_1.JPE").write_bytes(data)
    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "IMG_1.JPE")), pixels(data))
    np.testing.assert_array_equal(pixels(data), np.asarray(Image.open(io.BytesIO(data))))
    assert MAX_SEGMENTS == 4096

"""PNG files with every depth and transparency, large text, missing ends and endless chunks."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from ganvas.formats.limits import UnreadableImageError
from ganvas.images import read_header, read_image
from tests.image_files import SRGB_PROFILE, image_bytes, png_chunk, swapped_profile

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEAD = 33  # bytes up to the end of the IHDR chunk


def png(rows: list[bytes], width: int, bits: int, colour: int, *chunks: bytes) -> bytes:
    """A PNG with these packed rows."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, len(rows), bits, colour, 0, 0, 0))
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    return SIGNATURE + header + b"".join(chunks) + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")


def pixels(data: bytes, max_side: int | None = None) -> np.ndarray:
    return np.asarray(read_image(data, max_side=max_side))


@pytest.fixture
def data() -> bytes:
    return image_bytes(Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)))


@pytest.mark.parametrize(
    ("row", "bits", "key", "expected"),
    [
        (b"\x40", 1, 1, [0, 255]),
        (b"\x40", 1, 0, [255, 255]),
        (b"\x1b", 2, 2, [0, 85, 255, 255]),
        (b"\x1b", 2, 1, [0, 255, 170, 255]),
        (b"\x3a", 4, 10, [51, 255]),
        (b"\x07\x64", 8, 100, [7, 255]),
        (b"\x40", 1, 3, [0, 255]),  # of a level with too many bits, the lowest count
        (b"\x07\x64", 8, 356, [7, 255]),
        (b"\x12\x34\x12\x35", 16, 0x1235, [0x12, 255]),  # the levels differ in their lower 8 bits alone
    ],
)
def test_transparent_grey_level_is_white(row: bytes, bits: int, key: int, expected: list[int]) -> None:
    data = png([row], len(expected), bits, 0, png_chunk(b"tRNS", struct.pack(">H", key)))
    np.testing.assert_array_equal(pixels(data)[0, :, 0], expected)
    np.testing.assert_array_equal(pixels(data)[0, :, 2], expected)


@pytest.mark.parametrize(("bits", "ignored"), [(8, 0), (8, 0x100), (16, 0)])
def test_transparent_colour_is_white(bits: int, ignored: int) -> None:
    colours = [(10, 20, 30), (10, 20, 31), (0, 0, 0)]
    scale, pack = (257, ">3H") if bits == 16 else (1, ">3B")
    row = b"".join(struct.pack(pack, *(level * scale for level in colour)) for colour in colours)
    data = png([row], 3, bits, 2, png_chunk(b"tRNS", struct.pack(">3H", *(level * scale + ignored for level in colours[0]))))
    np.testing.assert_array_equal(pixels(data)[0], [(255, 255, 255), *colours[1:]])


def test_mixes_alpha_of_sixteen_bits_with_white() -> None:
    row = struct.pack(">4H", 0x4000, 0x8000, 0xC000, 0x8000)
    np.testing.assert_allclose(pixels(png([row], 1, 16, 6))[0, 0], [159, 191, 223], atol=2)
    row = struct.pack(">4H", 0x4000, 0x8000, 0xFFFF, 0)
    np.testing.assert_allclose(pixels(png([row], 2, 16, 4))[0, :, 1], [159, 255], atol=2)
    assert read_header(png([row], 2, 16, 4)).is_grey


def test_colours_of_sixteen_bits_keep_their_upper_eight() -> None:
    row = struct.pack(">6H", 0x1234, 0x00FF, 0xFF00, 0, 0x8000, 0xFFFF)
    np.testing.assert_array_equal(pixels(png([row], 2, 16, 2))[0], [(0x12, 0, 0xFF), (0, 0x80, 0xFF)])


@pytest.mark.parametrize(("bits", "row"), [(1, b"\x40"), (2, b"\x10"), (4, b"\x01"), (8, b"\0\1")])
def test_palette_with_alpha(bits: int, row: bytes) -> None:
    palette = png_chunk(b"PLTE", bytes([10, 20, 30, 200, 100, 0]))
    data = png([row], 2, bits, 3, palette, png_chunk(b"tRNS", bytes([255, 128])))
    np.testing.assert_allclose(pixels(data)[0].astype(int), [(10, 20, 30), (227, 177, 127)], atol=1)


def test_shrinks_transparent_grey_and_colour_keys() -> None:
    data = png([bytes([7, 7, 100, 100])] * 4, 4, 8, 0, png_chunk(b"tRNS", struct.pack(">H", 100)))
    np.testing.assert_allclose(pixels(data, max_side=2)[0, :, 0].astype(int), [7, 255], atol=40)


@pytest.mark.parametrize(
    "chunk",
    [
        png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"t" * 3 * 2**20)),
        png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"x" * 3 * 2**20)),
        png_chunk(b"tEXt", b"Comment\0" + b"t" * 2**20) * 70,
        png_chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(SRGB_PROFILE + bytes(3 * 2**20))),
        png_chunk(b"iCCP", b"bomb\0\0" + zlib.compress(bytes(100 * 2**20))),
        png_chunk(b"iCCP", b"broken\0\0no zlib"),
        png_chunk(b"iCCP", b""),
        png_chunk(b"tIME", b"")[:-4] + b"sum?",  # a wrong checksum
        png_chunk(b"prIV", b"x" * 2**20),
        png_chunk(b"eXIf", b"II*\0\x08\0\0\0" + struct.pack("<H", 65535) + struct.pack("<HHII", 0x9000, 7, 2**24, 8) * 65535),
        png_chunk(b"fcTL", b"\0" * 26) * 1000,
    ],
    ids=[
        "zTXt",
        "iTXt",
        "tEXt",
        "profile",
        "profile-bomb",
        "broken-profile",
        "no-profile",
        "checksum",
        "private",
        "exif",
        "apng",
    ],
)
def test_ignores_chunks_that_are_not_the_picture(chunk: bytes, data: bytes) -> None:
    np.testing.assert_array_equal(pixels(data[:HEAD] + chunk + data[HEAD:]), pixels(data))


def test_applies_profile_that_unpacks_to_megabytes(data: bytes) -> None:
    profile = swapped_profile()
    profile = struct.pack(">I", 2 * 2**20) + profile[4:] + bytes(2 * 2**20 - len(profile))
    chunk = png_chunk(b"iCCP", b"swapped\0\0" + zlib.compress(profile))
    difference = pixels(data[:HEAD] + chunk + data[HEAD:])[:, :, ::-1].astype(int) - pixels(data)
    assert np.abs(difference).mean() < 4


@pytest.mark.parametrize("chunk", [png_chunk(b"teXt", b""), png_chunk(b"IDAT", b"")], ids=["text", "pixels"])
def test_refuses_endless_chunks(chunk: bytes, data: bytes) -> None:
    with pytest.raises(UnreadableImageError, match="too complex: more than 65,536 chunks"):
        read_header(data[:HEAD] + chunk * 70_000 + data[HEAD:])


def test_reads_tens_of_thousands_of_chunks(data: bytes) -> None:
    np.testing.assert_array_equal(pixels(data[:HEAD] + png_chunk(b"IDAT", b"") * 60_000 + data[HEAD:]), pixels(data))


@pytest.mark.parametrize("missing", [1, 4, 12, 14])
def test_reads_file_without_its_end_chunk(missing: int, data: bytes) -> None:
    """12 bytes are the IEND chunk; before it is a checksum, which browsers do not need either."""
    np.testing.assert_array_equal(pixels(data[:-missing]), pixels(data))


@pytest.mark.parametrize("interlacing", [0, 1])
def test_refuses_pixels_that_end_with_a_checksum_but_too_early(interlacing: int) -> None:
    """Pillow would return them with black rows."""
    header = struct.pack(">IIBBBBB", 5, 7, 8, 0, 0, 0, interlacing)
    sizes = [6] * 7 if interlacing == 0 else [2, 2, 3, 2, 2, 4, 4, 3, 3, 3, 3, 6, 6, 6]  # of the rows of all passes, in bytes
    rows = [b"\0" + bytes(size - 1) for size in sizes]  # black: pixels that are there look like missing ones

    def file(body: bytes) -> bytes:
        return SIGNATURE + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(body)) + png_chunk(b"IEND", b"")

    assert not pixels(file(b"".join(rows))).any()
    with pytest.raises(UnreadableImageError, match="truncated: its end is missing"):
        read_image(file(b"".join(rows[:-1])))


@pytest.mark.parametrize("missing", [40, 1000, 6000])
def test_refuses_file_without_its_last_pixels(missing: int, data: bytes) -> None:
    with pytest.raises(UnreadableImageError, match="truncated: its end is missing"):
        read_image(data[:-missing])


def test_ignores_what_follows_the_end(data: bytes) -> None:
    np.testing.assert_array_equal(pixels(data + data + b"\0" * 1000), pixels(data))


def test_turns_by_exif_after_the_pixels(data: bytes) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    chunk = png_chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    turned = data[:-12] + chunk + data[-12:]
    assert read_header(turned)[1:3] == (40, 60)
    np.testing.assert_array_equal(pixels(turned), np.rot90(pixels(data), -1))


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA"])
def test_reads_interlaced_files_as_pillow_does(mode: str) -> None:
    """Adam7, with one pixel in each of the first passes."""
    row = {"L": 1, "P": 1, "RGB": 3, "RGBA": 4}[mode]
    colour = {"L": 0, "P": 3, "RGB": 2, "RGBA": 6}[mode]
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, colour, 0, 0, 1))
    body = [b"\0" + bytes([0] * (row - 1) + [255]), b"\0" + bytes([1] * (row - 1) + [255]), b"\0" + bytes([1] * row * 2)]
    palette = png_chunk(b"PLTE", bytes(768))
    data = SIGNATURE + header + palette + png_chunk(b"IDAT", zlib.compress(b"".join(body))) + png_chunk(b"IEND", b"")
    assert pixels(data).shape == (2, 2, 3)

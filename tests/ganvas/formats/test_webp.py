"""WebP files with metadata, animations, missing ends and endless chunks."""

import struct

import numpy as np
import pytest
from PIL import Image

from ganvas.formats.limits import UnreadableImageError
from ganvas.images import read_header, read_image
from tests.image_files import image_bytes, swapped_profile


def chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def riff(chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(read_image(data))


@pytest.fixture
def image() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 4), np.uint8))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("exif", [False, True])
def test_reads_size_and_pixels_of_each_kind(mode: str, lossless: bool, exif: bool, image: Image.Image) -> None:
    """VP8, VP8L, and VP8X around either, with and without ALPH."""
    options: dict[str, object] = {"exif": Image.Exif()} if exif else {}
    data = image_bytes(image.convert(mode), "webp", lossless=lossless, exact=True, **options)
    assert read_header(data)[:3] == (60 * 40, 60, 40)
    decoded = pixels(data).astype(int)
    if lossless:
        expected = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image) if mode == "RGBA" else image
        assert np.abs(decoded - np.asarray(expected.convert("RGB"))).max() <= 1
    assert decoded.shape == (40, 60, 3)


def test_ignores_chunks_that_are_not_the_picture(image: Image.Image) -> None:
    data = image_bytes(image, "webp", lossless=True)
    more = riff(data[12:] + chunk(b"XMP ", b"x" * 2**20) + chunk(b"ABCD", b"") * 1000)
    np.testing.assert_array_equal(pixels(more + b"garbage" * 1000), pixels(data))


def test_reads_first_of_thousands_of_frames(image: Image.Image) -> None:
    other = Image.new("RGBA", image.size, "red")
    data = image_bytes(image, "webp", save_all=True, append_images=[other], lossless=True, exact=True)
    at = data.rindex(b"ANMF")
    frame = data[at : at + 8 + struct.unpack("<I", data[at + 4 : at + 8])[0]]
    many = riff(data[12:] + frame * 50_000)
    np.testing.assert_array_equal(pixels(many), pixels(data))
    with pytest.raises(UnreadableImageError, match="too complex: more than 65,536 chunks"):
        read_header(riff(data[12:] + frame * 70_000))


@pytest.mark.parametrize("kept", [20, 28, 0.5, 0.99])
def test_refuses_file_without_its_last_pixels(kept: float, image: Image.Image) -> None:
    data = image_bytes(image, "webp", lossless=True)
    with pytest.raises(UnreadableImageError, match="truncated: its end is missing"):
        read_image(data[: kept if isinstance(kept, int) else int(len(data) * kept)])


def test_reads_file_without_its_last_metadata(image: Image.Image) -> None:
    data = image_bytes(image, "webp", lossless=True, xmp=b"x" * 1000)
    np.testing.assert_array_equal(pixels(data[:-500]), pixels(data))


def test_ignores_metadata_that_its_header_does_not_announce(image: Image.Image) -> None:
    """As libwebp does, and so browsers."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = image_bytes(image, "webp", lossless=True, exif=exif, icc_profile=swapped_profile())
    assert data[20] & 0x28 == 0x28
    assert read_header(data)[:3] == (60 * 40, 40, 60)
    unannounced = data[:20] + bytes([data[20] & ~0x28]) + data[21:]
    plain = image_bytes(image, "webp", lossless=True)
    np.testing.assert_array_equal(pixels(unannounced), pixels(plain))
    simple = riff(plain[12:] + chunk(b"ICCP", swapped_profile()) + chunk(b"EXIF", exif.tobytes()))
    np.testing.assert_array_equal(pixels(simple), pixels(plain))


def test_refuses_canvas_that_differs_from_its_picture(image: Image.Image) -> None:
    data = bytearray(image_bytes(image, "webp", lossless=True, xmp=b"x"))
    assert data[12:16] == b"VP8X"
    data[24:27] = (6999).to_bytes(3, "little")
    with pytest.raises(UnreadableImageError, match="broken"):
        read_image(bytes(data))

"""Images are read correctly, and training and the service read the same pixels."""

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganvas import api
from ganvas.images import (
    ORIENTATION,
    ImageFileError,
    ImageTooLargeError,
    UnreadableImageError,
    read_header,
    read_image,
)
from service.engine import codecs
from tests.image_files import bomb, image_bytes, linear_grey_profile, wide_gamut_profile
from training.data.image_folder import open_image_folder


def decode(data: bytes, max_pixels: int = 10**6, max_side: int = 10**4) -> np.ndarray:
    return np.asarray(read_image(data, max_pixels=max_pixels, max_side=max_side))


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def photo() -> np.ndarray:
    """[48, 80, 3]: smooth, colourful, and different in each corner."""
    y, x = np.mgrid[0:48, 0:80]
    return np.stack([x * 3, y * 5, 250 - x * 2 - y], axis=2).astype(np.uint8)


def files() -> Iterator[tuple[str, bytes]]:
    """One file for each property that two readers might read differently."""
    colour = Image.fromarray(photo())
    grey = colour.convert("L")
    rgba = colour.copy()
    rgba.putalpha(grey)
    palette = colour.quantize(64)
    yield "grey.png", image_bytes(grey)
    yield "grey.jpg", image_bytes(grey, "jpeg")
    yield "grey-profile.jpg", image_bytes(grey, "jpeg", icc_profile=linear_grey_profile())
    yield "grey-alpha.png", image_bytes(rgba.convert("LA"))
    yield "one-bit.png", image_bytes(grey.convert("1"))
    yield "sixteen-bit.png", image_bytes(Image.fromarray(photo()[:, :, 0].astype(np.uint16) * 257 + 91))
    yield "cmyk.jpg", image_bytes(colour.convert("CMYK"), "jpeg")
    yield "palette.png", image_bytes(palette)
    yield "palette-transparent.png", image_bytes(palette, transparency=3)
    yield "rgba.png", image_bytes(rgba)
    yield "rgba.webp", image_bytes(rgba, "webp", lossless=True)
    yield "rgba-profile.png", image_bytes(rgba, icc_profile=wide_gamut_profile())
    yield "animation.webp", image_bytes(colour, "webp", save_all=True, append_images=[grey.convert("RGB")])
    for orientation in range(1, 9):
        yield f"turned-{orientation}.jpg", image_bytes(colour, "jpeg", exif=exif_of(orientation))
    yield "turned.png", image_bytes(colour, exif=exif_of(5))
    yield "turned.webp", image_bytes(colour, "webp", exif=exif_of(8))
    yield "broken-exif.jpg", image_bytes(colour, "jpeg", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    yield "wide-gamut.jpg", image_bytes(colour, "jpeg", icc_profile=wide_gamut_profile())
    yield "wide-gamut-turned.jpg", image_bytes(colour, "jpeg", icc_profile=wide_gamut_profile(), exif=exif_of(6))
    yield "broken-profile.jpg", image_bytes(colour, "jpeg", icc_profile=b"not a profile")


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data", "ignore:Tag data larger than file")
@pytest.mark.parametrize(("name", "data"), [pytest.param(name, data, id=name) for name, data in files()])
def test_training_and_service_read_the_same_pixels(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    folder = open_image_folder(tmp_path)
    served = codecs.decode(data, name=name, max_pixels=10**6, max_side=10**4)
    np.testing.assert_array_equal(np.asarray(folder.open(name, "RGB")), served)
    header = codecs.OpenUpload(data, name=name, max_pixels=10**6, max_side=10**4)
    assert folder.sizes[name] == (header.width, header.height) == served.shape[1::-1]
    assert folder.grey == name.startswith(("grey", "one-bit", "sixteen-bit"))
    if folder.grey:
        np.testing.assert_array_equal(np.asarray(folder.open(name, "L")), served[:, :, 0])


def test_wide_gamut_profile_changes_what_is_read() -> None:
    """Otherwise the test above would show nothing about profiles."""
    image = Image.fromarray(photo())
    plain = decode(image_bytes(image, "jpeg")).astype(int)
    assert np.abs(decode(image_bytes(image, "jpeg", icc_profile=wide_gamut_profile())) - plain).mean() > 3


def test_min_size_decodes_jpeg_at_a_fraction() -> None:
    data = image_bytes(Image.new("RGB", (800, 400), "teal"), "jpeg")
    assert read_image(data, min_size=(200, 100)).size == (200, 100)
    assert read_image(data, min_size=(201, 100)).size == (400, 200)
    assert read_header(data)[:3] == (800 * 400, 800, 400)


def test_missing_file_raises_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "missing.png")


@pytest.mark.parametrize("image_format", api.UPLOAD_FORMATS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_the_image(orientation: int, image_format: str) -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
    stored = colours.repeat(16, 0).repeat(24, 1)  # 32 x 48, a colour in each corner
    decoded = decode(image_bytes(Image.fromarray(stored), image_format, exif=exif_of(orientation), quality=95))
    # What each of EXIF's orientations says, in numpy's own operations.
    upright = {
        1: stored,
        2: np.fliplr(stored),
        3: np.rot90(stored, 2),
        4: np.flipud(stored),
        5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1),
        7: np.rot90(stored, 2).transpose(1, 0, 2),
        8: np.rot90(stored),
    }[orientation]
    assert decoded.shape == upright.shape
    assert np.abs(decoded[4:-4:6, 4:-4:6].astype(int) - upright[4:-4:6, 4:-4:6]).mean() < 12


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data", "ignore:Tag data larger than file")
@pytest.mark.parametrize("image_format", api.UPLOAD_FORMATS)
@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0garbage, and no TIFF header",
        b"Exif\0\0",
        b"Exif\0\0II*\0\xff\xff\xff\x7f",  # a directory beyond the end
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01",  # of 65535 entries, the first cut off
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\xff\xff\xff\x99\0\0\0",  # billions of orientations
    ],
)
def test_ignores_broken_exif(exif: bytes, image_format: str) -> None:
    plain = decode(image_bytes(Image.fromarray(photo()), image_format))
    np.testing.assert_array_equal(decode(image_bytes(Image.fromarray(photo()), image_format, exif=exif)), plain)


def test_grey_becomes_rgb() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(decode(image_bytes(Image.fromarray(grey))), grey[:, :, None].repeat(3, 2))


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    grey = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    decoded = decode(image_bytes(Image.fromarray(grey)))
    np.testing.assert_array_equal(decoded[:, :, 0].ravel(), np.arange(256))


def test_one_bit_becomes_rgb() -> None:
    decoded = decode(image_bytes(Image.fromarray(np.eye(8) > 0)))
    np.testing.assert_array_equal(decoded[:, :, 1], np.eye(8) * 255)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_lays_transparency_on_white(mode: str) -> None:
    image = Image.new(mode, (4, 4), (200, 200, 200, 0) if mode == "RGBA" else (200, 0))
    assert (decode(image_bytes(image)) == 255).all()


def test_mixes_half_transparency_with_white() -> None:
    decoded = decode(image_bytes(Image.new("RGBA", (4, 4), (0, 100, 255, 128))))
    np.testing.assert_allclose(decoded[0, 0], [127, 177, 255], atol=1)


@pytest.mark.parametrize("transparency", [1, b"\xff\x00"])
def test_resolves_palette_with_transparency(transparency: int | bytes) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    np.testing.assert_array_equal(decode(image_bytes(image, transparency=transparency)), [[[10, 20, 30], [255, 255, 255]]])


def test_reads_cmyk_jpeg() -> None:
    decoded = decode(image_bytes(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "jpeg"))
    np.testing.assert_allclose(decoded[4, 4], [255, 0, 0], atol=6)


@pytest.mark.parametrize("image_format", ["png", "webp"])
def test_reads_first_frame_of_animation(image_format: str) -> None:
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    data = image_bytes(first, image_format, save_all=True, append_images=[second], lossless=True)
    np.testing.assert_array_equal(decode(data)[0, 0], [255, 0, 0])


@pytest.mark.parametrize(("size", "expected"), [((400, 200), (100, 50)), ((30, 300), (10, 100)), ((1, 900), (1, 100))])
@pytest.mark.parametrize("image_format", ["png", "jpeg"])
def test_max_side_shrinks(size: tuple[int, int], expected: tuple[int, int], image_format: str) -> None:
    decoded = decode(image_bytes(Image.new("RGB", size, "teal"), image_format), max_side=100)
    assert decoded.shape == (expected[1], expected[0], 3)
    np.testing.assert_allclose(decoded[0, 0], [0, 128, 128], atol=4)


def test_max_side_never_enlarges() -> None:
    assert decode(image_bytes(Image.new("RGB", (20, 10))), max_side=100).shape == (10, 20, 3)


@pytest.mark.parametrize("size", [(1001, 1000), (30_000, 30_000), (2**31 - 1, 2**31 - 1)])
def test_refuses_too_many_pixels_from_the_header(size: tuple[int, int]) -> None:
    with pytest.raises(ImageTooLargeError, match="too large"):
        decode(bomb(*size))


def test_refuses_a_side_that_is_too_long() -> None:
    """Each row costs memory and time, however few pixels it has."""
    assert decode(image_bytes(Image.new("L", (1, api.MAX_UPLOAD_SIDE))), max_side=100).shape == (100, 1, 3)
    for size in ((1, 65_536), (65_536, 1)):
        with pytest.raises(ImageTooLargeError, match=f"{size[0]} x {size[1]} pixels; a side may have at most 65535"):
            decode(image_bytes(Image.new("L", size)))


def test_refuses_large_webp_before_allocating_its_canvas() -> None:
    canvas = (16383 - 1).to_bytes(3, "little") * 2
    data = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + canvas
    with pytest.raises(ImageTooLargeError):
        decode(b"RIFF" + struct.pack("<I", len(data) + 4) + b"WEBP" + data)


def test_accepts_exactly_the_allowed_pixels() -> None:
    assert decode(image_bytes(Image.new("RGB", (1000, 1000))), max_side=10).shape == (10, 10, 3)


@pytest.mark.parametrize("image_format", api.UPLOAD_FORMATS)
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.9])
def test_refuses_truncated_files(image_format: str, kept: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = image_bytes(Image.fromarray(noise), image_format)
    with pytest.raises(UnreadableImageError):
        decode(data[: int(len(data) * kept)])


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 100, b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP"]
    + [image_bytes(Image.new("RGB", (8, 8)), other) for other in sorted({"gif", "bmp", "tiff", "ico"} - {*api.UPLOAD_FORMATS})],
)
def test_refuses_other_formats_and_garbage(data: bytes) -> None:
    with pytest.raises(UnreadableImageError):
        decode(data)


def test_corrupted_file_raises_no_other_error() -> None:
    random = np.random.default_rng(1)
    originals = [image_bytes(Image.new("RGB", (40, 30), "teal"), f) for f in api.UPLOAD_FORMATS]
    for i in range(300):
        data = bytearray(originals[i % len(originals)])
        for at in random.integers(0, len(data), 5):
            data[at] = random.integers(0, 256)
        with contextlib.suppress(ImageFileError):
            decode(bytes(data))

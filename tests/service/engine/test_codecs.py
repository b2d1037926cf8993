import contextlib
import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image, ImageSequence

from service.engine import codecs
from service.engine.errors import ImageTooLargeError, UnreadableImageError
from tests.service.conftest import image_bytes, pixels

ORIENTATION = 0x0112


def decode(data: bytes, max_pixels: int = 10**6, max_side: int = 10**4) -> np.ndarray:
    return codecs.decode(data, name="photo", max_pixels=max_pixels, max_side=max_side)


@pytest.mark.parametrize(("image_format", "tolerance"), [("png", 0), ("jpeg", 4), ("webp", 6)])
def test_formats_in(image_format: str, tolerance: int, photo: np.ndarray) -> None:
    decoded = decode(image_bytes(Image.fromarray(photo), image_format))
    assert decoded.dtype == np.uint8
    assert np.abs(decoded.astype(int) - photo).mean() <= tolerance


@pytest.mark.parametrize("image_format", ["jpeg", "png", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_picture(orientation: int, image_format: str) -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
    stored = colours.repeat(16, 0).repeat(24, 1)  # 32 x 48, a colour in each corner
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    decoded = decode(image_bytes(Image.fromarray(stored), image_format, exif=exif, quality=95))
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
@pytest.mark.parametrize("image_format", ["jpeg", "png", "webp"])
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
def test_broken_exif_does_not_turn_a_picture_nor_break_it(exif: bytes, image_format: str, photo: np.ndarray) -> None:
    plain = decode(image_bytes(Image.fromarray(photo), image_format))
    np.testing.assert_array_equal(decode(image_bytes(Image.fromarray(photo), image_format, exif=exif)), plain)


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
def test_transparency_is_laid_on_white(mode: str) -> None:
    image = Image.new(mode, (4, 4), (200, 200, 200, 0) if mode == "RGBA" else (200, 0))
    assert (decode(image_bytes(image)) == 255).all()


def test_half_transparency_is_mixed_with_white() -> None:
    decoded = decode(image_bytes(Image.new("RGBA", (4, 4), (0, 100, 255, 128))))
    np.testing.assert_allclose(decoded[0, 0], [127, 177, 255], atol=1)


@pytest.mark.parametrize("transparency", [1, b"\xff\x00"])
def test_a_palette_with_transparency(transparency: int | bytes) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    np.testing.assert_array_equal(decode(image_bytes(image, transparency=transparency)), [[[10, 20, 30], [255, 255, 255]]])


def test_a_cmyk_jpeg() -> None:
    decoded = decode(image_bytes(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "jpeg"))
    np.testing.assert_allclose(decoded[4, 4], [255, 0, 0], atol=6)


@pytest.mark.parametrize("image_format", ["png", "webp"])
def test_the_first_frame_of_an_animation(image_format: str) -> None:
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


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header announces a size, and which holds almost nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(1001, 1000), (30_000, 30_000), (2**31 - 1, 2**31 - 1)])
def test_too_many_pixels_are_refused_from_the_header(size: tuple[int, int]) -> None:
    with pytest.raises(ImageTooLargeError, match="photo"):
        decode(bomb(*size))


def test_a_webp_is_refused_before_its_canvas_is_allocated() -> None:
    canvas = (16383 - 1).to_bytes(3, "little") * 2
    data = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + canvas
    with pytest.raises(ImageTooLargeError):
        decode(b"RIFF" + struct.pack("<I", len(data) + 4) + b"WEBP" + data)


def test_as_many_pixels_as_allowed_are_fine() -> None:
    assert decode(image_bytes(Image.new("RGB", (1000, 1000))), max_side=10).shape == (10, 10, 3)


@pytest.mark.parametrize("image_format", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.9])
def test_truncated_files_are_refused(image_format: str, kept: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = image_bytes(Image.fromarray(noise), image_format)
    with pytest.raises(UnreadableImageError, match="photo"):
        decode(data[: int(len(data) * kept)])


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 100, b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP"]
    + [image_bytes(Image.new("RGB", (8, 8)), other) for other in ("gif", "bmp", "tiff", "ico")],
)
def test_what_is_no_picture_of_ours_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableImageError):
        decode(data)


def test_noise_in_a_file_never_raises_anything_else() -> None:
    random = np.random.default_rng(1)
    originals = [image_bytes(Image.new("RGB", (40, 30), "teal"), f) for f in ("png", "jpeg", "webp")]
    for i in range(300):
        data = bytearray(originals[i % 3])
        for at in random.integers(0, len(data), 5):
            data[at] = random.integers(0, 256)
        with contextlib.suppress(UnreadableImageError, ImageTooLargeError):
            decode(bytes(data))


@pytest.mark.parametrize("image_format", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_encode(image_format: str, channels: int, photo: np.ndarray) -> None:
    data = codecs.encode(photo[:, :, :channels], image_format)
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == image_format.upper()
        assert "exif" not in image.info
        difference = np.abs(np.asarray(image.convert("RGB"), int)[:, :, :channels] - photo[:, :, :channels])
    assert difference.max() <= {"png": 0, "jpeg": 8, "webp": 20}[image_format]


def test_contact_sheet() -> None:
    pictures = [np.full((3, 4, 1), value, np.uint8) for value in range(5)]
    sheet = codecs.contact_sheet(pictures)
    assert sheet.shape == (3 * 2 + 2, 4 * 3 + 4, 1)
    assert [sheet[0, 0, 0], sheet[0, 6, 0], sheet[0, 12, 0], sheet[5, 0, 0], sheet[5, 6, 0]] == [0, 1, 2, 3, 4]
    assert (sheet[3:5] == 255).all()
    assert (sheet[5:, 12:] == 255).all()


def test_one_picture_is_its_own_sheet(photo: np.ndarray) -> None:
    assert codecs.contact_sheet([photo]) is photo


def test_archive_is_reproducible() -> None:
    entries = [("a.png", b"one"), ("b.png", b"two")]
    assert codecs.archive(entries) == codecs.archive(entries)
    with zipfile.ZipFile(io.BytesIO(codecs.archive(entries))) as zipped:
        assert [(name, zipped.read(name)) for name in zipped.namelist()] == entries


def test_npy() -> None:
    pictures = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)
    np.testing.assert_array_equal(np.load(io.BytesIO(codecs.npy(pictures))), pictures)


def test_no_metadata_is_copied(photo: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x010E] = "secret place"
    data = image_bytes(Image.fromarray(photo), "jpeg", exif=exif, comment=b"secret comment")
    for image_format in ("png", "jpeg", "webp"):
        assert b"secret" not in codecs.encode(decode(data), image_format)
    assert pixels(codecs.encode(decode(data), "png")).shape == photo.shape


@pytest.mark.parametrize("image_format", ["webp", "gif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_animations_keep_frames_and_colours(image_format: str, channels: int, photo: np.ndarray) -> None:
    frames = np.stack([np.roll(photo, 5 * i, axis=1) for i in range(4)])[..., :channels]
    with Image.open(io.BytesIO(codecs.encode_animation(frames, image_format, fps=10))) as animation:
        shown = np.stack([np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(animation)])
    assert shown.shape[:3] == frames.shape[:3]
    assert np.abs(shown.astype(int) - frames).mean() < 6

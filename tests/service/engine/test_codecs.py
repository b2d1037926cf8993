import io
import zipfile

import numpy as np
import pytest
from PIL import Image, ImageSequence

from ganvas import api
from ganvas.api import UPLOAD_FORMATS_TEXT
from ganvas.images import ORIENTATION
from service.engine import codecs
from service.engine.errors import ImageTooLargeError, UnreadableImageError
from tests.image_files import bomb, image_bytes
from tests.service.conftest import pixels


def decode(data: bytes, max_pixels: int = 10**6, max_side: int = 10**4) -> np.ndarray:
    return codecs.decode(data, name="photo", max_pixels=max_pixels, max_side=max_side)


@pytest.mark.parametrize(("image_format", "tolerance"), [("png", 0), ("jpeg", 4), ("webp", 6)])
def test_decodes_every_format(image_format: str, tolerance: int, photo: np.ndarray) -> None:
    decoded = decode(image_bytes(Image.fromarray(photo), image_format))
    assert decoded.dtype == np.uint8
    assert np.abs(decoded.astype(int) - photo).mean() <= tolerance


def test_errors_name_the_upload(png: bytes) -> None:
    with pytest.raises(ImageTooLargeError, match="photo is too large: 1001 x 1000 pixels; at most 1000000 are allowed"):
        decode(bomb(1001, 1000))
    with pytest.raises(ImageTooLargeError, match="photo is too large"):
        codecs.OpenUpload(bomb(1001, 1000), name="photo", max_pixels=10**6, max_side=10**4)
    with pytest.raises(UnreadableImageError, match="photo is truncated: its end is missing"):
        decode(png[:-40])
    with pytest.raises(UnreadableImageError, match="photo is broken"):
        decode(png.replace(b"IDATx", b"IDATy"))
    with pytest.raises(UnreadableImageError, match=f"photo is not a {UPLOAD_FORMATS_TEXT} image"):
        decode(b"%PDF-1.7")


@pytest.mark.parametrize("orientation", [1, 6])
def test_open_upload_states_the_decoded_size(orientation: int, photo: np.ndarray) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = image_bytes(Image.fromarray(photo), "jpeg", exif=exif)
    header = codecs.OpenUpload(data, name="photo", max_pixels=10**6, max_side=20)
    assert (header.height, header.width) == decode(data, max_side=20).shape[:2]
    assert header.pixels == 30 * 50


@pytest.mark.parametrize("image_format", api.IMAGE_FORMATS)
@pytest.mark.parametrize("channels", [1, 3])
def test_encodes_every_format(image_format: str, channels: int, photo: np.ndarray) -> None:
    data = codecs.encode(photo[:, :, :channels], image_format)
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == image_format.upper()
        assert "exif" not in image.info
        difference = np.abs(np.asarray(image.convert("RGB"), int)[:, :, :channels] - photo[:, :, :channels])
    assert difference.max() <= {"png": 0, "jpeg": 8, "webp": 20}[image_format]


@pytest.mark.parametrize("image_format", api.IMAGE_FORMATS)
def test_transparency_is_kept_or_laid_on_white(image_format: str, photo: np.ndarray) -> None:
    alpha = np.repeat(np.linspace(0, 255, 50, dtype=np.uint8)[None, :, None], 30, axis=0)
    data = codecs.encode(np.concatenate([photo, alpha], axis=2), image_format)
    decoded = pixels(data)
    on_white = photo * (alpha / 255) + 255 * (1 - alpha / 255)
    if image_format != "jpeg":
        np.testing.assert_array_equal(decoded[..., 3:], alpha)
        decoded = decoded[..., :3] * (alpha / 255) + 255 * (1 - alpha / 255)
    assert np.abs(decoded - on_white).max() <= {"png": 0, "jpeg": 8, "webp": 20}[image_format]


def test_contact_sheet_fills_rows_and_leaves_the_rest_white() -> None:
    images = [np.full((3, 4, 1), value, np.uint8) for value in range(5)]
    sheet = codecs.contact_sheet(images)
    assert sheet.shape == (3 * 2 + 2, 4 * 3 + 4, 1)
    assert [sheet[0, 0, 0], sheet[0, 6, 0], sheet[0, 12, 0], sheet[5, 0, 0], sheet[5, 6, 0]] == [0, 1, 2, 3, 4]
    assert (sheet[3:5] == 255).all()
    assert (sheet[5:, 12:] == 255).all()


def test_single_image_is_its_own_contact_sheet(photo: np.ndarray) -> None:
    assert codecs.contact_sheet([photo]) is photo


def test_archive_is_reproducible() -> None:
    entries = [("a.png", b"one"), ("b.png", b"two")]
    assert codecs.archive(entries) == codecs.archive(entries)
    with zipfile.ZipFile(io.BytesIO(codecs.archive(entries))) as zipped:
        assert [(name, zipped.read(name)) for name in zipped.namelist()] == entries


def test_npy_is_read_by_numpy() -> None:
    images = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)
    np.testing.assert_array_equal(np.load(io.BytesIO(codecs.npy(images))), images)


def test_copies_no_metadata(photo: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x010E] = "secret place"
    data = image_bytes(Image.fromarray(photo), "jpeg", exif=exif, comment=b"secret comment")
    for image_format in api.IMAGE_FORMATS:
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


def test_upload_is_opened_once(png: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    open_file = Image.open
    monkeypatch.setattr(Image, "open", lambda *args, **kwargs: calls.append(1) or open_file(*args, **kwargs))  # type: ignore[func-returns-value]
    upload = codecs.OpenUpload(png, name="photo", max_pixels=10**6, max_side=10**4)
    assert upload.decode().shape == (upload.height, upload.width, 3)
    assert len(calls) == 1


def test_upload_is_decoded_once(png: bytes) -> None:
    upload = codecs.OpenUpload(png, name="photo", max_pixels=10**6, max_side=10**4)
    upload.decode()
    with pytest.raises(ValueError, match="closed"):
        upload.decode()

"""Colour profiles."""

import io

import numpy as np
import pytest
from PIL import Image

from ganvas import api
from ganvas.images import ORIENTATION, read_header, read_image
from ganvas.srgb import CLOSE, srgb_transform, to_srgb
from service.engine import codecs
from tests.image_files import SRGB_PROFILE, image_bytes, linear_grey_profile, steep_profile, swapped_profile, wide_gamut_profile


def decode(data: bytes) -> np.ndarray:
    return np.asarray(read_image(data))


@pytest.fixture
def colours() -> np.ndarray:
    """[16, 48, 3]: a red, a green and a blue square."""
    return np.array([[[200, 20, 30], [20, 180, 40], [10, 30, 220]]], np.uint8).repeat(16, 0).repeat(16, 1)


@pytest.mark.parametrize("image_format", api.UPLOAD_FORMATS)
def test_profile_changes_the_colours(image_format: str, colours: np.ndarray) -> None:
    lossless = {"quality": 95, "subsampling": 0} if image_format == "jpeg" else {"lossless": True}
    decoded = decode(image_bytes(Image.fromarray(colours), image_format, icc_profile=swapped_profile(), **lossless))
    np.testing.assert_allclose(decoded[8, 8::16].astype(int), colours[8, 8::16, ::-1].astype(int), atol=8)


def test_srgb_profile_changes_nothing(colours: np.ndarray) -> None:
    image = Image.fromarray(colours)
    np.testing.assert_array_equal(decode(image_bytes(image, icc_profile=SRGB_PROFILE)), colours)


@pytest.mark.parametrize("profile", [b"", b"x", b"\0" * 500, SRGB_PROFILE[:200], b"\xff" * 5 * 2**20])
def test_ignores_broken_profile(profile: bytes, colours: np.ndarray) -> None:
    assert srgb_transform(profile, "RGB") is None
    np.testing.assert_array_equal(np.asarray(to_srgb(Image.fromarray(colours), None)), colours)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_ignores_grey_profile_of_colour_image(mode: str, colours: np.ndarray) -> None:
    image = Image.fromarray(colours)
    image = image.quantize(8) if mode == "P" else image.convert(mode)
    decoded = decode(image_bytes(image, icc_profile=linear_grey_profile()))
    np.testing.assert_array_equal(decoded, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("image_format", ["jpeg", "webp"])
def test_ignores_grey_profile_in_other_formats(image_format: str, colours: np.ndarray) -> None:
    image = Image.fromarray(colours)
    plain = decode(image_bytes(image, image_format))
    np.testing.assert_array_equal(decode(image_bytes(image, image_format, icc_profile=linear_grey_profile())), plain)


@pytest.mark.parametrize("profile", [SRGB_PROFILE, linear_grey_profile(), wide_gamut_profile()])
def test_ignores_profile_of_other_colours_in_cmyk(profile: bytes) -> None:
    image = Image.new("CMYK", (16, 16), (20, 200, 90, 10))
    np.testing.assert_array_equal(decode(image_bytes(image, "jpeg", icc_profile=profile)), decode(image_bytes(image, "jpeg")))


@pytest.mark.parametrize("image_format", ["png", "jpeg"])
def test_applies_rgb_profile_to_grey_image(image_format: str) -> None:
    """As in browsers: the colours of a grey image have equal red, green and blue."""
    levels = Image.fromarray(np.full((8, 8), 128, np.uint8))
    decoded = decode(image_bytes(levels, image_format, icc_profile=steep_profile()))
    same = decode(image_bytes(levels.convert("RGB"), "png", icc_profile=steep_profile()))
    np.testing.assert_array_equal(decoded, same)
    assert decoded[0, 0, 0] < 128 - 2 * CLOSE


def test_grey_profile_changes_the_levels() -> None:
    grey = Image.fromarray(np.full((8, 8), 128, np.uint8))
    decoded = decode(image_bytes(grey, icc_profile=linear_grey_profile()))
    np.testing.assert_allclose(decoded[0, 0], 188, atol=2)  # linear 0.5 as sRGB writes it


def test_profile_keeps_transparency() -> None:
    image = Image.new("RGBA", (4, 4), (200, 20, 30, 0))
    assert (decode(image_bytes(image, icc_profile=swapped_profile())) == 255).all()
    opaque = Image.new("RGBA", (4, 4), (200, 20, 30, 255))
    np.testing.assert_allclose(decode(image_bytes(opaque, icc_profile=swapped_profile()))[0, 0], [30, 20, 200], atol=2 * CLOSE)


def test_applies_profile_and_orientation_together(colours: np.ndarray) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    data = image_bytes(Image.fromarray(colours), icc_profile=swapped_profile(), exif=exif)
    decoded = decode(data)
    assert decoded.shape == (48, 16, 3)
    np.testing.assert_allclose(decoded[8, 8].astype(int), [30, 20, 200], atol=8)
    header = read_header(data)
    assert (header.height, header.width) == (48, 16)
    assert header.pixels == 48 * 16


def test_result_has_no_profile(colours: np.ndarray) -> None:
    decoded = decode(image_bytes(Image.fromarray(colours), icc_profile=swapped_profile()))
    for image_format in api.IMAGE_FORMATS:
        assert "icc_profile" not in Image.open(io.BytesIO(codecs.encode(decoded, image_format))).info

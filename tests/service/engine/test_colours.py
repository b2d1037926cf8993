"""Colour profiles: what a picture means is what is painted."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from service.engine import codecs
from service.engine.colours import CLOSE, in_srgb
from tests.service.conftest import image_bytes

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def decode(data: bytes) -> np.ndarray:
    return codecs.decode(data, name="photo", max_pixels=10**6, max_side=10**4)


def swapped() -> bytes:
    """A profile in which red and blue have changed places: sRGB's, with the tags of its primaries exchanged."""
    data = bytearray(SRGB.tobytes())
    count = int.from_bytes(data[128:132], "big")
    entries = {bytes(data[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    red, blue = entries[b"rXYZ"], entries[b"bXYZ"]
    data[red : red + 4], data[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(data)


def gamma_grey() -> bytes:
    """A grey profile with a gamma of 1: linear light."""
    tags = {
        b"wtpt": b"XYZ \0\0\0\0" + bytes.fromhex("0000f6d6000100000000d32d"),
        b"kTRC": b"curv\0\0\0\0\0\0\0\0",
        b"desc": b"desc\0\0\0\0\0\0\0\x02x\0" + b"\0" * 78,
        b"cprt": b"text\0\0\0\0x\0\0\0",
    }
    offset, table, blob = 132 + 12 * len(tags), b"", b""
    for name, value in tags.items():
        value += b"\0" * (-len(value) % 4)
        table += name + (offset + len(blob)).to_bytes(4, "big") + len(value).to_bytes(4, "big")
        blob += value
    head = b"\0\0\0\0lcms\x02\x10\0\0mntrGRAYXYZ " + b"\0" * 12 + b"acsp" + b"\0" * 28
    head += bytes.fromhex("0000f6d6000100000000d32d") + b"\0" * 48
    body = head + len(tags).to_bytes(4, "big") + table + blob
    return len(body).to_bytes(4, "big") + body[4:]


@pytest.fixture
def colours() -> np.ndarray:
    """[16, 48, 3]: a red, a green and a blue square."""
    return np.array([[[200, 20, 30], [20, 180, 40], [10, 30, 220]]], np.uint8).repeat(16, 0).repeat(16, 1)


@pytest.mark.parametrize("image_format", ["png", "jpeg", "webp"])
def test_a_profile_moves_the_colours(image_format: str, colours: np.ndarray) -> None:
    lossless = {"quality": 95, "subsampling": 0} if image_format == "jpeg" else {"lossless": True}
    decoded = decode(image_bytes(Image.fromarray(colours), image_format, icc_profile=swapped(), **lossless))
    np.testing.assert_allclose(decoded[8, 8::16].astype(int), colours[8, 8::16, ::-1].astype(int), atol=8)


def test_srgb_by_name_leaves_every_level(colours: np.ndarray) -> None:
    image = Image.fromarray(colours)
    np.testing.assert_array_equal(decode(image_bytes(image, icc_profile=SRGB.tobytes())), colours)


@pytest.mark.parametrize("profile", [b"", b"x", b"\0" * 500, SRGB.tobytes()[:200], b"\xff" * 5 * 2**20])
def test_a_broken_profile_counts_for_nothing(profile: bytes, colours: np.ndarray) -> None:
    np.testing.assert_array_equal(np.asarray(in_srgb(Image.fromarray(colours), profile)), colours)


def test_a_profile_of_other_colours_than_the_pictures_counts_for_nothing_worse_than_itself(colours: np.ndarray) -> None:
    """A grey profile on a colour picture: read as the grey picture that it says it is."""
    decoded = decode(image_bytes(Image.fromarray(colours), icc_profile=gamma_grey()))
    assert decoded.shape == colours.shape


def test_a_grey_profile() -> None:
    grey = Image.fromarray(np.full((8, 8), 128, np.uint8))
    decoded = decode(image_bytes(grey, icc_profile=gamma_grey()))
    np.testing.assert_allclose(decoded[0, 0], 188, atol=2)  # linear 0.5 as sRGB writes it


def test_transparency_survives_a_profile() -> None:
    image = Image.new("RGBA", (4, 4), (200, 20, 30, 0))
    assert (decode(image_bytes(image, icc_profile=swapped())) == 255).all()
    opaque = Image.new("RGBA", (4, 4), (200, 20, 30, 255))
    np.testing.assert_allclose(decode(image_bytes(opaque, icc_profile=swapped()))[0, 0], [30, 20, 200], atol=2 * CLOSE)


def test_a_profile_and_a_turn_together(colours: np.ndarray) -> None:
    exif = Image.Exif()
    exif[codecs.ORIENTATION] = 6
    data = image_bytes(Image.fromarray(colours), icc_profile=swapped(), exif=exif)
    decoded = decode(data)
    assert decoded.shape == (48, 16, 3)
    np.testing.assert_allclose(decoded[8, 8].astype(int), [30, 20, 200], atol=8)
    _, height, width = codecs.header_of(data, name="photo", max_pixels=10**6, max_side=10**4)
    assert (height * width) == 48 * 16


def test_nothing_of_a_profile_is_copied(colours: np.ndarray) -> None:
    decoded = decode(image_bytes(Image.fromarray(colours), icc_profile=swapped()))
    for image_format in ("png", "jpeg", "webp"):
        assert "icc_profile" not in Image.open(io.BytesIO(codecs.encode(decoded, image_format))).info

"""WebP files are decoded as by Pillow, but other threads run meanwhile."""

import asyncio
import gc
import io
import sys

import numpy as np
import psutil
import pytest
from PIL import Image

from ganvas import decoding
from ganvas.formats.limits import UnreadableImageError
from ganvas.formats.webp_decoder import Libwebp, libwebp
from ganvas.images import read_image
from tests.ganvas.formats.test_webp import chunk, riff
from tests.image_files import image_bytes

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Pillow has libwebp inside its own module")

LOSSLESS = {"lossless": True, "exact": True}


def noise(mode: str, size: tuple[int, int] = (60, 40)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), np.uint8)).convert(mode)


def files() -> dict[str, bytes]:
    """Each kind of file, frames that do not fill the canvas, and alpha that the header does not announce."""
    rgba = noise("RGBA")
    animation = image_bytes(rgba, "webp", save_all=True, append_images=[Image.new("RGBA", rgba.size, "red")], **LOSSLESS)
    corner = bytearray(animation)
    corner[24:30] = (99).to_bytes(3, "little") + (79).to_bytes(3, "little")  # the canvas
    at = corner.index(b"ANMF") + 8
    corner[at : at + 6] = (7).to_bytes(3, "little") + (5).to_bytes(3, "little")  # where the frame is, in 2 pixels
    opaque = bytearray(corner)
    opaque[20] &= ~0x10
    unannounced = bytearray(image_bytes(rgba, "webp", quality=50, exif=Image.Exif(), xmp=b"x"))
    assert unannounced[12:16] == b"VP8X"
    unannounced[20] &= ~0x10
    hinted = bytearray(image_bytes(rgba, "webp", **LOSSLESS))
    assert hinted[12:16] == b"VP8L"
    hinted[24] &= ~0x10
    return {
        "lossy": image_bytes(noise("RGB"), "webp"),
        "lossy with alpha": image_bytes(rgba, "webp"),
        "lossless": image_bytes(noise("RGB"), "webp", **LOSSLESS),
        "lossless with alpha": image_bytes(rgba, "webp", **LOSSLESS),
        "extended": image_bytes(noise("RGB"), "webp", xmp=b"x"),
        "animation": animation,
        "frame in a corner": bytes(corner),
        "frame in a corner of an opaque canvas": bytes(opaque),
        "alpha that the extended header does not announce": bytes(unannounced),
        "alpha that the lossless header does not announce": bytes(hinted),
    }


@pytest.fixture
def decoder() -> Libwebp:
    found = libwebp()
    assert found, "Pillow's libwebp was not found, so Pillow decodes WebP and stops all other threads"
    return found


@pytest.mark.parametrize("name", files())
def test_pixels_are_those_of_pillow(name: str, decoder: Libwebp) -> None:
    data = files()[name]
    expected = Image.open(io.BytesIO(data))
    decoded = decoder.decode(data, expected.size)
    assert decoded.mode == expected.mode
    np.testing.assert_array_equal(np.asarray(decoded), np.asarray(expected))


@pytest.mark.parametrize("name", files())
def test_pillow_decodes_if_libwebp_is_not_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = files()[name]
    expected = np.asarray(read_image(data))
    monkeypatch.setattr(decoding, "libwebp", lambda: None)
    np.testing.assert_array_equal(np.asarray(read_image(data)), expected)


@pytest.mark.parametrize("name", files())
def test_refuses_what_pillow_refuses(name: str, decoder: Libwebp) -> None:
    """Each file with some of its bytes changed or missing."""
    data = files()[name]
    rng = np.random.default_rng(1)
    for _ in range(100):
        broken = bytearray(data)
        for at in rng.integers(12, len(data), 3):
            broken[at] = rng.integers(256)
        changed = riff(bytes(broken[12 : rng.integers(len(data) // 2, len(data) * 2)]))
        try:
            image = Image.open(io.BytesIO(changed), formats=["WEBP"])
            image.load()
        except Exception:
            with pytest.raises(UnreadableImageError):
                decoder.decode(changed, (60, 40))
        else:
            np.testing.assert_array_equal(np.asarray(decoder.decode(changed, image.size)), np.asarray(image))


def test_event_loop_runs_while_libwebp_decodes(decoder: Libwebp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a file of 40 bytes stops the service."""
    ticks = 0
    meanwhile: list[int] = []
    decode = decoder.next

    def counted(*arguments: object) -> int:
        before = ticks
        result = int(decode(*arguments))
        meanwhile.append(ticks - before)
        return result

    monkeypatch.setattr(decoder, "next", counted)
    data = image_bytes(Image.new("RGBA", (5000, 5000), (1, 2, 3, 4)), "webp", lossless=True, quality=0, method=0)

    async def read() -> Image.Image:
        nonlocal ticks
        task = asyncio.create_task(asyncio.to_thread(read_image, data, max_side=64))
        while not task.done():
            await asyncio.sleep(0.001)
            ticks += 1
        return await task

    assert asyncio.run(read()).size == (64, 64)
    assert meanwhile[0] > 20, "the decoder held Python's lock"


def test_releases_its_memory(decoder: Libwebp) -> None:
    size = (1500, 1000)
    data = image_bytes(Image.new("RGBA", size, (1, 2, 3, 4)), "webp", lossless=True, quality=0, method=0)
    lossy = image_bytes(noise("RGB", (1000, 1500)), "webp", quality=0, method=0)
    broken = riff(chunk(b"VP8 ", lossy[20 : len(lossy) // 2]))

    def decode() -> None:
        decoder.decode(data, size)
        with pytest.raises(UnreadableImageError, match="broken"):
            decoder.decode(broken, (1000, 1500))

    process = psutil.Process()
    decode()
    gc.collect()
    before = process.memory_info().rss
    for _ in range(20):
        decode()
    gc.collect()
    canvas = 4 * size[0] * size[1]
    assert process.memory_info().rss - before < 5 * canvas

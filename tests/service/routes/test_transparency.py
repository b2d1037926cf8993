"""A generator with transparency, through the real service: which responses keep it, and what the others show."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image, ImageSequence

import ganvas
from ganvas.transparency import CLEAR
from service.engine.latents import latents_of_seed
from tests.service.conftest import pixels
from tests.service.onnx_models import LATENT_SIZE, SIDE, generated, generator_card, generator_model, save
from tests.service.running import running

SEED = 7


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    models = tmp_path_factory.mktemp("models")
    save(generator_model(channels=4), models / "stickers.onnx", generator_card("stickers", channels=4))
    with running(models, tmp_path_factory.mktemp("log")) as service:
        yield service.url
        assert "Traceback" not in service.stderr()


def post(url: str, route: str, **body: object) -> bytes:
    return httpx.post(f"{url}/v1/{route}", json=body, timeout=30).raise_for_status().content


def expected(n: int) -> np.ndarray:
    return generated(latents_of_seed(SEED, n, LATENT_SIZE), channels=4)


def laid_on_white(images: np.ndarray) -> np.ndarray:
    alpha = images[..., 3:] / 255
    return images[..., :3] * alpha + 255 * (1 - alpha)


def frames_of(animation: bytes) -> np.ndarray:
    frames = ImageSequence.Iterator(Image.open(io.BytesIO(animation)))
    return np.stack([np.asarray(frame.convert("RGBA")) for frame in frames])


def test_png_zip_and_npy_have_the_exact_pixels(url: str) -> None:
    images = expected(3)
    assert images[..., 3].min() < 20 < 235 < images[..., 3].max()  # the model makes all degrees of transparency
    np.testing.assert_array_equal(pixels(post(url, "sample", seed=SEED)), images[0])
    np.testing.assert_array_equal(np.load(io.BytesIO(post(url, "sample", seed=SEED, n=3, format="npy"))), images)
    with zipfile.ZipFile(io.BytesIO(post(url, "sample", seed=SEED, n=3, format="zip"))) as zipped:
        np.testing.assert_array_equal(np.stack([pixels(zipped.read(name)) for name in zipped.namelist()]), images)


def test_contact_sheet_and_preview_are_transparent_between_images(url: str) -> None:
    sheet = pixels(post(url, "sample", seed=SEED, n=3))
    np.testing.assert_array_equal(sheet[:SIDE, SIDE + 2 :], expected(3)[1])
    assert sheet[0, SIDE].tolist() == sheet[-1, -1].tolist() == [*CLEAR]
    preview = pixels(httpx.get(f"{url}/v1/models/stickers/preview.png", timeout=30).content)
    assert preview.shape == (4 * SIDE + 6, 4 * SIDE + 6, 4)
    assert preview[0, SIDE].tolist() == [*CLEAR]


def test_webp_keeps_alpha_exactly(url: str) -> None:
    image = pixels(post(url, "sample", seed=SEED, format="webp"))
    np.testing.assert_array_equal(image[..., 3], expected(1)[0, ..., 3])


def test_jpeg_is_laid_on_white(url: str) -> None:
    image = pixels(post(url, "sample", seed=SEED, format="jpeg"))
    assert image.shape == (SIDE, SIDE, 3)
    assert np.abs(image - laid_on_white(expected(1)[0])).mean() < 8


def test_animated_webp_keeps_transparency_and_gif_is_laid_on_white(url: str) -> None:
    walk = {"seeds": [SEED, 8], "steps": 4}
    frames = np.load(io.BytesIO(post(url, "interpolate", **walk, format="npy")))
    np.testing.assert_array_equal(frames[0], expected(1)[0])
    webp, gif = (frames_of(post(url, "interpolate", **walk, format=name)) for name in ("webp", "gif"))
    np.testing.assert_array_equal(webp[..., 3], frames[..., 3])
    assert (gif[..., 3] == 255).all()
    assert np.abs(gif[..., :3] - laid_on_white(frames)).mean() < 20  # 256 colours


def test_client_returns_four_channels(url: str) -> None:
    images = expected(2)
    with ganvas.Client(url) as client:
        assert client.model("stickers").card.output.shape[-1] == 4
        for file_format in ("npy", "zip"):
            result = client.sample(2, seed=SEED, format=file_format)
            assert [image.mode for image in result] == ["RGBA", "RGBA"]
            np.testing.assert_array_equal(result.array, images)
            np.testing.assert_array_equal(np.stack([np.asarray(image) for image in result]), images)
        assert client.interpolate([SEED, 8], steps=3).image.mode == "RGBA"
        assert client.interpolate([SEED, 8], steps=3, format="gif").image.mode == "RGB"
        assert client.sample(seed=SEED, format="jpeg").array.shape == (1, SIDE, SIDE, 3)


def test_batch_writes_transparent_files(url: str, tmp_path: Path) -> None:
    with ganvas.Client(url) as client:
        report = client.sample_many(2, tmp_path, seed=SEED)
    assert report.ok
    files = sorted(tmp_path.glob("*.png"))
    np.testing.assert_array_equal(np.stack([pixels(file.read_bytes()) for file in files]), expected(2))

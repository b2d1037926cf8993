import io
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.image_files import image_bytes as image_bytes
from tests.service.onnx_models import generator_card, generator_model, save, stylizer_card, stylizer_model
from tests.service.running import Running, running

# Small limits that tests can reach: n = 40 takes five batches, an image of 1000 x 1001 has too many pixels.
LIMITS = {
    "max_body_mb": 1,
    "max_pixels": 1_000_000,
    "max_n": 40,
    "max_frames": 120,
    "max_batch_rows": 8,
    "max_images": 4,
    "max_side": 256,
    "default_side": 128,
}


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save(generator_model(), folder / "digits.onnx", generator_card())
    save(stylizer_model(), folder / "painters.onnx", stylizer_card())
    (folder / "broken.onnx").write_bytes(b"this is not a model")
    return folder


@pytest.fixture(scope="session")
def service(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(models_folder, tmp_path_factory.mktemp("log"), **LIMITS) as started:
        yield started
        # No request of any test caused an unexpected error.
        assert "Traceback" not in started.stderr()
        assert started.stop() == 0


@pytest.fixture(scope="session")
def client(service: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, timeout=30) as opened:
        yield opened


@pytest.fixture
def photo() -> np.ndarray:
    """uint8 [30, 50, 3], smooth enough that JPEG changes it little."""
    y, x = np.mgrid[0:30, 0:50]
    return np.stack([x * 5, y * 8, 250 - x * 4 - y], axis=2).astype(np.uint8)


@pytest.fixture
def png(photo: np.ndarray) -> bytes:
    return image_bytes(Image.fromarray(photo))


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


Problem = Callable[..., dict]


@pytest.fixture
def problem() -> Problem:
    """Check that a response is a problem document of that status, and return the document."""

    def check(response: httpx.Response, status: int, *, mentions: str = "") -> dict:
        assert response.status_code == status, response.text[:500]
        assert response.headers["content-type"] == "application/problem+json"
        document = response.json()
        assert document["status"] == status
        assert document["type"]
        assert document["title"]
        assert mentions in document["detail"]
        assert "Traceback" not in response.text
        assert (status == 422) == ("errors" in document)
        return document

    return check

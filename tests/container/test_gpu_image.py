"""The gpu image, built, and run as far as a machine without a GPU can: `make container-test-gpu`."""

import json
from collections.abc import Iterator
from pathlib import Path

import onnxruntime
import pytest

from tests.container.images import Mounted, Opened, build, megabytes
from tests.container.pod import Pod, run, sample

pytestmark = pytest.mark.container_gpu

MOST_MB = 3500  # of which CUDA and cuDNN are 2,700
IMAGE = "localhost/ganvas:container-test-gpu"


@pytest.fixture(scope="module")
def image() -> Iterator[Opened]:
    """The Dockerfile's default target, built and opened."""
    build("gpu", tag=IMAGE)
    with Mounted(IMAGE) as opened:
        yield opened


def test_what_is_inside(image: Opened) -> None:
    listed = run(image, "python", "-c", "import json, onnxruntime; print(json.dumps(onnxruntime.get_available_providers()))")
    assert "CUDAExecutionProvider" in json.loads(listed.stdout)
    packages = {path.name.lower() for path in image.root.glob("venv/lib/python3*/site-packages/*")}
    assert not packages & {"torch", "torchvision", "onnx", "ray", "pip"}
    assert image.config["User"] == "10001:10001"
    assert megabytes(image.root) < MOST_MB


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="there may be a GPU here")
def test_without_a_driver_it_says_so_and_ends(image: Opened) -> None:
    tried = run(image, *image.config["Entrypoint"], "--port", "0")
    assert tried.returncode == 1
    assert "libcuda.so.1: cannot open" in tried.stderr  # the driver's; CUDA's and cuDNN's own libraries are found before it
    assert "GANVAS_DEVICE=cuda, but CUDAExecutionProvider does not run here" in tried.stderr


def test_it_serves_on_the_cpu_when_told_to(image: Opened, tmp_path: Path) -> None:
    pod = Pod(image, tmp_path / "pod", "--port", "0", GANVAS_DEVICE="cpu")
    try:
        assert sample(pod.url).status_code == 200
    finally:
        pod.kill()

"""Builds the GPU image and runs the parts that need no GPU (`make container-test-gpu`)."""

import json
from collections.abc import Iterator
from pathlib import Path

import onnxruntime
import pytest

from tests.container.images import Mounted, Opened, build, megabytes
from tests.container.pod import Pod, run, sample

pytestmark = pytest.mark.container_gpu

MOST_MB = 3500  # CUDA and cuDNN take 2,700 of them
IMAGE = "localhost/ganvas:container-test-gpu"


@pytest.fixture(scope="module")
def image() -> Iterator[Opened]:
    """The default target of the Dockerfile, built and mounted."""
    build("gpu", tag=IMAGE)
    with Mounted(IMAGE) as opened:
        yield opened


def test_image_contains_cuda_and_no_training(image: Opened) -> None:
    listed = run(image, "python", "-c", "import json, onnxruntime; print(json.dumps(onnxruntime.get_available_providers()))")
    assert "CUDAExecutionProvider" in json.loads(listed.stdout)
    packages = {path.name.lower() for path in image.root.glob("venv/lib/python3*/site-packages/*")}
    assert not packages & {"torch", "torchvision", "onnx", "ray", "pip"}
    assert image.config["User"] == "10001:10001"
    assert megabytes(image.root) < MOST_MB


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="this machine may have a GPU")
def test_start_without_driver_fails_with_a_reason(image: Opened) -> None:
    tried = run(image, *image.config["Entrypoint"], "--port", "0")
    assert tried.returncode == 1
    assert "libcuda.so.1: cannot open" in tried.stderr  # the library of the driver; CUDA and cuDNN were found before it
    assert "GANVAS_DEVICE=cuda, but CUDAExecutionProvider does not run here" in tried.stderr


def test_device_cpu_serves_without_a_gpu(image: Opened, tmp_path: Path) -> None:
    pod = Pod(image, tmp_path / "pod", "--port", "0", GANVAS_DEVICE="cpu")
    try:
        assert sample(pod.url).status_code == 200
    finally:
        pod.kill()

"""Runs the examples of docs/inference-protocol.md with the shipped models."""

import base64
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.service.running import Running, running

ROOT = Path(__file__).parents[4]
BLOCKS = dict(re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / "docs/inference-protocol.md").read_text(), re.MULTILINE | re.DOTALL))


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(ROOT / "exported", tmp_path_factory.mktemp("log")) as service:
        yield service


def run(command: list[str], folder: Path) -> str:
    (folder / "docs").symlink_to(ROOT / "docs")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def is_painted(image: Image.Image) -> bool:
    with Image.open(ROOT / "docs/images/photo.jpg") as photo:
        assert image.size == photo.size
        return bool(np.abs(np.asarray(image).astype(int) - np.asarray(photo)).mean() > 20)


def test_curl(shipped: Running, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    script = BLOCKS["sh"].replace("localhost:3000", shipped.url.removeprefix("http://"))
    assert json.loads(run(["sh", "-c", script], tmp_path))["name"] == "digits"
    (output,) = json.loads((tmp_path / "painted.json").read_text())["outputs"]
    with Image.open(io.BytesIO(base64.b64decode(output["data"][0]))) as image:
        assert image.format == "JPEG"
        assert is_painted(image)


def test_tritonclient(shipped: Running, tmp_path: Path) -> None:
    script = BLOCKS["python"].replace("localhost:3000", shipped.url.removeprefix("http://"))
    shape = run([sys.executable, "-c", f"{script}\nprint(digits.shape, digits.dtype)"], tmp_path)
    assert shape == "(16, 28, 28, 1) uint8\n"
    with Image.open(tmp_path / "painted.png") as image:
        assert image.format == "PNG"
        assert is_painted(image)

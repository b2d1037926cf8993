"""Runs the commands of the README. Only the port, the interpreter and the length of the trainings are replaced."""

import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.service.running import Running, running
from tests.training.conftest import draw
from training.table import exported_readme, readme_with_table

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
CURLS = [block.strip() for language, block in BLOCKS if language == "sh" and block.startswith("curl")]
TRAININGS = [block for language, block in BLOCKS if language == "sh" and "-m training" in block]
MAKES = [
    line.split("#")[0].strip()
    for language, block in BLOCKS
    if language == "sh"
    for line in block.splitlines()
    if "make" in line
]

TypeIn = Callable[[str], str]

SHORTER = {
    " gan ": "--set image_size=28 --set generator.width=4 --set discriminator.width=4 --set batch_size=8 --set images=16",
    " style ": "--set crop_size=64 --set steps=2",
}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(ROOT / "exported", tmp_path_factory.mktemp("log")) as service:
        yield service


@pytest.fixture
def type_in(tmp_path: Path, shipped: Running) -> TypeIn:
    """Run a line of the README in an empty folder next to the docs."""
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    (tmp_path / "docs").symlink_to(ROOT / "docs")

    def run(line: str) -> str:
        line = line.replace("localhost:3000", shipped.url.removeprefix("http://"))
        process = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert process.returncode == 0, process.stderr
        return process.stdout

    return run


def test_readme_contains_the_tested_commands() -> None:
    assert len(CURLS) == 3
    assert len(TRAININGS) == 2
    assert MAKES[:3] == ["make serve", "make setup", "make test"]


def test_sample_command_makes_the_image_shown(type_in: TypeIn, tmp_path: Path) -> None:
    assert type_in(CURLS[0]) == ""
    with Image.open(tmp_path / "heads.png") as sheet, Image.open(ROOT / "docs/images/heads.png") as shown:
        assert sheet.format == "PNG"
        assert sheet.size == shown.size
        assert np.abs(np.asarray(sheet).astype(int) - np.asarray(shown)).mean() < 1  # other processors round differently
    first = (tmp_path / "heads.png").read_bytes()
    type_in(CURLS[0])
    assert (tmp_path / "heads.png").read_bytes() == first


def test_stylize_command_paints_the_photo(type_in: TypeIn, tmp_path: Path) -> None:
    assert type_in(CURLS[1]) == ""
    with Image.open(tmp_path / "painted.jpg") as painted, Image.open(ROOT / "docs/images/photo.jpg") as photo:
        assert painted.format == "JPEG"
        assert painted.size == photo.size
        assert np.abs(np.asarray(painted).astype(int) - np.asarray(photo)).mean() > 20


def test_unknown_style_gives_the_error_shown(type_in: TypeIn) -> None:
    (shown,) = (block for language, block in BLOCKS if language == "json")
    response, expected = json.loads(type_in(CURLS[2])), json.loads(shown)
    assert response.pop("request_id") != expected.pop("request_id")  # each request has its own id
    assert response == expected


def test_training_commands_make_served_models(tmp_path: Path, vgg_weights: Path) -> None:
    """A new user trains, exports and serves with 40 photos and 1 painting."""
    draw(0, (90, 70)).save(tmp_path / "my-painting.jpg")
    for folder, count in {"my-images": 40, "my-photos": 40}.items():
        (tmp_path / folder).mkdir()
        for index in range(count):
            draw(index, (90, 70)).save(tmp_path / folder / f"own {index}.jpg")
    for package in ("training", "ganvas"):
        (tmp_path / package).symlink_to(ROOT / package)
    (tmp_path / "exported").mkdir()
    shutil.copy(ROOT / "exported" / "painters.onnx", tmp_path / "exported")
    for line in "".join(TRAININGS).replace("\\\n", "").splitlines():
        if line == "make serve":
            continue
        line = line.replace(".venv/bin/python", sys.executable)
        for word, options in SHORTER.items():
            line += f" {options}" if word in line else ""
        line += f" --vgg {vgg_weights}" if "training gan " in line or "training style " in line else ""
        process = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert process.returncode == 0, process.stdout + process.stderr
    with running(tmp_path / "exported", tmp_path / "log") as service:
        body = {"model": "mine", "n": 2, "format": "npy"}
        sampled = httpx.post(f"{service.url}/v1/sample", json=body, timeout=60).raise_for_status()
        assert np.load(io.BytesIO(sampled.content)).shape == (2, 28, 28, 3)
        files = {"image": (tmp_path / "my-photos" / "own 3.jpg").read_bytes()}
        painted = httpx.post(
            f"{service.url}/v1/stylize", data={"style": "my-painting"}, files=files, timeout=60
        ).raise_for_status()
        with Image.open(io.BytesIO(painted.content)) as image:
            assert image.size == (90, 70)


def test_make_serve_installs_once() -> None:
    """The first call may install an environment. The second call installs nothing."""
    for limit_s in (300, 60):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("GANVAS_", "MAKE", "MFLAGS"))}
        command = ["make", "serve", f"PORT={port}"]
        with subprocess.Popen(
            command, cwd=ROOT, env=inherited, stdout=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            try:
                assert process.stdout is not None
                said: list[str] = []
                deadline = time.monotonic() + limit_s
                while not (said and said[-1].startswith("Press Ctrl-C")):
                    assert time.monotonic() < deadline
                    said.append(process.stdout.readline())
                    assert said[-1], "make serve ended"
                assert f"Ganvas is ready: http://localhost:{port}" in "".join(said)
                assert httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=30).status_code == 200
            finally:
                os.killpg(process.pid, signal.SIGINT)
    assert not any("Installing" in line for line in said), "the second call installs nothing"
    packages = {path.name for path in (ROOT / ".venv-serve").glob("lib/python*/site-packages/*")}
    assert "bentoml" in packages
    assert "torch" not in packages


def test_tables_match_the_cards() -> None:
    assert readme_with_table(README, ROOT / "exported") == README, "run: .venv/bin/python -m training table"
    assert exported_readme(ROOT / "exported") == (ROOT / "exported/README.md").read_text()


def test_links_between_pages_resolve() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"

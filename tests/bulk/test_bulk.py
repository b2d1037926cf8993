"""`python -m service.bulk` on a local Ray, as `make bulk-test` runs it."""

import contextlib
import functools
import http.server
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from service.settings import ROOT
from tests.service.onnx_models import generator_card, generator_model, save, styled, stylizer_card, stylizer_model

LIMIT_S = 900  # generous: the machine may be busy
MANY = 10_000

pytestmark = pytest.mark.bulk


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save(stylizer_model(), folder / "painters.onnx", stylizer_card())
    save(generator_model(), folder / "digits.onnx", generator_card())
    return folder


class Started:
    """A running task and its stderr."""

    def __init__(self, process: subprocess.Popen[bytes], stderr: Path) -> None:
        self.process, self._path = process, stderr

    def stderr(self) -> str:
        return self._path.read_text()

    def wait(self) -> tuple[int, str]:
        """Wait for the exit code; returns it and stderr."""
        return self.process.wait(LIMIT_S), self.stderr()


def start(models: Path, *arguments: object) -> Started:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("GANVAS_", "RAY_"))}
    with tempfile.NamedTemporaryFile(dir=models.parent, delete=False) as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "service.bulk", *map(str, arguments)], cwd=ROOT,
            env={**inherited, "GANVAS_MODELS": str(models), "GANVAS_DEVICE": "cpu"},
            stdout=subprocess.DEVNULL, stderr=stderr,
            start_new_session=True,  # Ray kills the process group of a driver
        )  # fmt: skip
    return Started(process, Path(stderr.name))


def call(models: Path, *arguments: object) -> tuple[int, str]:
    """Run a task to its end; returns the exit code and stderr."""
    return start(models, *arguments).wait()


def draw(folder: Path, count: int) -> dict[str, np.ndarray]:
    """Write small images of many colours and sizes into several folders."""
    drawn = {}
    for index in range(count):
        pixels = np.zeros((16 + index % 3, 16 + index % 5, 3), np.uint8)
        pixels[...] = (index % 256, index // 256, 200 - index % 200)
        name = f"{index % 7}/{index:05d}.png"
        drawn[name] = pixels
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, compress_level=0)
    return drawn


def entries(manifest: Path) -> list[dict]:
    return [json.loads(line) for line in manifest.read_text().splitlines()]


def wait_for_lines(manifest: Path, count: int, task: Started) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not manifest.exists() or manifest.read_bytes().count(b"\n") < count:
        assert task.process.poll() is None, task.stderr()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_ten_thousand_images_survive_two_kills(models: Path, tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    drawn = draw(photos, MANY)
    (photos / "0" / "broken.png").write_bytes(b"not an image")
    (photos / "notes.txt").write_text("not an image either")
    command = ["--images", photos, "--out", out, "--model", "painters", "--style", "night:3,wave:1", "--format", "png"]
    command += ["--keep-color", "0.5", "--brush", "1.0", "--workers", "2"]
    manifest = out / "manifest.jsonl"

    killed = start(models, *command)
    wait_for_lines(manifest, MANY // 10, killed)
    killed.process.kill()
    killed.wait()
    before = manifest.read_bytes().count(b"\n")
    assert MANY // 10 <= before < MANY
    with manifest.open("a") as stream:
        stream.write('{"image": "0/00')  # as a kill during a write leaves it

    resumed = start(models, *command)
    wait_for_lines(manifest, before + MANY // 10, resumed)
    workers = [child for child in psutil.Process(resumed.process.pid).children(recursive=True) if "MapWorker" in child.name()]
    assert workers
    workers[0].kill()  # Ray starts another in its place
    code, stderr = resumed.wait()
    assert code == 0, stderr
    assert "1 image could not be stylized" in stderr

    listed = entries(manifest)
    assert Counter(entry["image"] for entry in listed) == dict.fromkeys([*drawn, "0/broken.png"], 1)
    assert [entry["image"] for entry in listed if "error" in entry] == ["0/broken.png"]
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert files == {*drawn, "manifest.jsonl", "bulk.json", ".bulk.lock"}  # only whole images
    weights = np.array([0.75, 0.25, 0])
    for entry in listed:
        if "error" not in entry:
            path = out / entry["written"]
            image = np.asarray(Image.open(path))
            expected = styled(drawn[entry["image"]], weights, 1, 0.5)
            assert np.abs(image.astype(int) - expected).max() <= 1
            assert (entry["height"], entry["width"], entry["bytes"]) == (*image.shape[:2], path.stat().st_size)

    stamp = manifest.stat().st_mtime_ns
    assert call(models, *command)[0] == 0  # nothing remains
    assert manifest.stat().st_mtime_ns == stamp

    # An image that was broken and is repaired.
    Image.new("RGB", (20, 20)).save(photos / "0" / "broken.png")
    assert call(models, *command, "--retry-failed")[0] == 0
    assert not any("error" in entry for entry in entries(manifest))
    assert (out / "0" / "broken.png").is_file()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_task_with_urls_resumes_after_sigterm(models: Path, tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    drawn = draw(photos, 1000)
    with serving(photos) as url:
        command = ["--images", url, "--out", out, "--model", "painters", "--style", "wave", "--workers", "1"]
        stopped = start(models, *command)
        wait_for_lines(out / "manifest.jsonl", 1, stopped)
        stopped.process.send_signal(signal.SIGTERM)
        code, stderr = stopped.wait()
        assert code == 143, stderr
        assert "run the same command again to resume" in stderr
        code, stderr = call(models, *command)
        assert code == 0, stderr
    assert Counter(entry["image"] for entry in entries(out / "manifest.jsonl")) == dict.fromkeys(drawn, 1)
    assert {entry["written"] for entry in entries(out / "manifest.jsonl")} == {f"{name}.jpg" for name in drawn}
    with Image.open(io.BytesIO((out / "0" / "00000.png.jpg").read_bytes())) as image:
        assert image.format == "JPEG"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (["--model", "nobody"], "nobody.onnx cannot be read"),
        (["--model", "digits"], "only stylizers are supported"),
        (["--style", "rembrandt"], "this model's styles are night, wave, scream"),
        (["--images", "/nowhere"], "/nowhere contains no image"),
        (["--images", "carrier-pigeon://photos"], "carrier-pigeon://photos cannot be listed"),
        (["--out", "memory://out"], "the manifest must be a local file"),
    ],
)
def test_impossible_task_ends_with_a_message(change: list[str], says: str, models: Path, tmp_path: Path) -> None:
    draw(tmp_path / "photos", 3)
    command = ["--images", tmp_path / "photos", "--out", tmp_path / "out", "--model", "painters", "--style", "wave", *change]
    code, stderr = call(models, *command)
    assert code == 1
    assert says in stderr
    assert "Traceback" not in stderr


def test_folder_of_another_task_is_refused(models: Path, tmp_path: Path) -> None:
    draw(tmp_path / "photos", 3)
    command = ["--images", tmp_path / "photos", "--out", tmp_path / "out", "--model", "painters", "--style", "wave"]
    code, stderr = call(models, *command)
    assert code == 0, stderr
    code, stderr = call(models, *command, "--style", "night", "--format", "png")
    assert code == 1
    assert "belongs to a task with another style, format" in stderr
    Image.new("RGB", (20, 20)).save(tmp_path / "photos" / "0" / "00000.png.jpg")
    code, stderr = call(models, *command)
    assert code == 1
    assert "would both be written to 0/00000.png.jpg" in stderr

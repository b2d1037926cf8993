"""One worker, without Ray: files of any storage go in, images and lines of the manifest come out."""

import contextlib
import functools
import http.server
import io
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper
from PIL import Image

from ganvas.api import UPLOAD_FORMATS_TEXT
from service.bulk.storage import Storage, find
from service.bulk.task import BulkError, Task, versioned
from service.bulk.worker import Worker, check
from service.engine import brush
from service.engine.errors import NotFoundError
from tests.service.onnx_models import (
    generator_card,
    generator_model,
    large_generator_model,
    save,
    styled,
    stylizer_card,
    stylizer_model,
)

TOO_HIGH = 40  # pixels, for the model of `fails_on_high_images`


def fails_on_high_images() -> onnx.ModelProto:
    """`stylizer_model`, but it fails on images of height `TOO_HIGH` and more, as a device without enough memory does."""
    model = stylizer_model()
    look = [
        helper.make_node("Shape", ["images"], ["height"], start=1, end=2),
        helper.make_node("Div", ["height", "too_high"], ["index"]),
        helper.make_node("Gather", ["lows", "index"], ["looked_up"]),  # one entry: any index but 0 is out of bounds
        helper.make_node("Reshape", ["looked_up", "scalar"], ["low_of_height"]),
    ]
    nodes = [*look, *model.graph.node]
    next(node for node in nodes if node.op_type == "Clip").input[1] = "low_of_height"
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    constants = {"too_high": np.array([TOO_HIGH]), "lows": np.zeros(1, np.float32), "scalar": np.array([], np.int64)}
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    del model.graph.initializer[[tensor.name for tensor in model.graph.initializer].index("low")]  # nothing uses it any more
    onnx.checker.check_model(model)
    return model


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save(stylizer_model(), folder / "painters.onnx", stylizer_card())
    save(fails_on_high_images(), folder / "fragile.onnx", stylizer_card("fragile"))
    save(generator_model(), folder / "digits.onnx", generator_card())
    return folder


@pytest.fixture(autouse=True)
def _restore_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # a worker sets it for its process


@pytest.fixture
def bucket() -> Iterator[str]:
    """The URL of an empty object store."""
    store = fsspec.filesystem("memory")
    store.store.clear()
    yield "memory://bucket"
    store.store.clear()


def a_task(models: Path, images: object, out: object, **changes: object) -> Task:
    fields = {"style": "wave", "strength": 1.0, "keep_color": 0.0, "brush": 1.0, "max_side": 1024, "format": "png"}
    model = models / f"{changes.pop('model', 'painters')}.onnx"
    return versioned(Task.model_validate({"images": str(images), "out": str(out), "model": str(model), **fields, **changes}))


def png(height: int, width: int, colour: tuple[int, int, int] = (10, 120, 200)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "png")
    return buffer.getvalue()


def stylize(task: Task, *names: str) -> dict[str, dict]:
    """Run one worker. Returns the entries of the manifest by name of the image."""
    worker = Worker(task, "cpu", 1)
    try:
        lines = worker({"image": np.array(names, object)})["line"]
    finally:
        worker.close()
    entries = [json.loads(line) for line in lines]
    assert [entry["image"] for entry in entries] == [*names]
    return dict(zip(names, entries, strict=True))


def test_stylizes_from_an_object_store_to_an_object_store(models: Path, bucket: str) -> None:
    photos = {"a.png": (17, 20, (10, 120, 200)), "deep/er/b.png": (30, 16, (200, 30, 90))}
    for name, size_and_colour in photos.items():
        Storage(f"{bucket}/photos").write(name, png(*size_and_colour))
    Storage(f"{bucket}/photos").write(".hidden/c.png", b"")
    names = find(f"{bucket}/photos")
    assert names == [*photos]
    entries = stylize(a_task(models, f"{bucket}/photos", f"{bucket}/painted"), *names)
    assert find(f"{bucket}/painted") == names
    for name, (height, width, colour) in photos.items():
        data = Storage(f"{bucket}/painted").read(name)
        assert entries[name] == {"image": name, "written": name, "width": width, "height": height, "bytes": len(data)}
        expected = styled(np.full((height, width, 3), colour, np.uint8), np.array([0.0, 1, 0]), 1, 0)
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), expected)


def test_applies_brush(models: Path, bucket: str) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "png")
    Storage(f"{bucket}/photos").write("a.png", buffer.getvalue())
    stylize(a_task(models, f"{bucket}/photos", f"{bucket}/painted", brush=2, keep_color=0.5), "a.png")
    painted = np.asarray(Image.open(io.BytesIO(Storage(f"{bucket}/painted").read("a.png"))))
    small, expected = brush.resize(photo, (30, 40)), photo.copy()
    brush.finish(expected, small, styled(small, np.array([0.0, 1, 0]), 1, 0), 1, 0.5)
    assert np.abs(painted.astype(int) - expected).max() <= 1  # the graph and numpy round float32 differently


def test_image_that_the_model_fails_on_is_one_line_of_the_manifest(models: Path, bucket: str) -> None:
    storage = Storage(f"{bucket}/photos")
    for index in range(8):
        storage.write(f"{index}.png", png(TOO_HIGH if index == 3 else 20, 20 + index))
    entries = stylize(a_task(models, f"{bucket}/photos", f"{bucket}/painted", model="fragile"), *find(f"{bucket}/photos"))
    failed = entries.pop("3.png")
    assert failed.keys() == {"image", "error"}
    assert failed["error"].startswith("the model failed on 3.png (23 x 40): ")
    assert "\n" not in failed["error"]
    assert all("error" not in entry for entry in entries.values())
    assert len(find(f"{bucket}/painted")) == 7


class Refusing(http.server.SimpleHTTPRequestHandler):
    """A file server that fails for one file."""

    def do_GET(self) -> None:
        if self.path.endswith("/b.png"):
            self.send_error(500)
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Refusing, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_unreadable_image_is_one_line_of_the_manifest(models: Path, tmp_path: Path) -> None:
    """The error of aiohttp for status 500 is not an OSError."""
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / "photos" / name).write_bytes(png(20, 20))
    (tmp_path / "photos" / "c.png").write_bytes(b"not an image")
    with serving(tmp_path / "photos") as url:
        entries = stylize(a_task(models, url, tmp_path / "out"), "a.png", "b.png", "c.png", "gone.png")
    assert "error" not in entries["a.png"]
    assert entries["b.png"]["error"].startswith("b.png cannot be read: 500")
    assert entries["c.png"]["error"] == f"c.png is not a {UPLOAD_FORMATS_TEXT} image."
    assert entries["gone.png"]["error"].startswith("gone.png cannot be read: ")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]


def test_side_too_long_for_the_format_is_one_line_of_the_manifest(models: Path, bucket: str) -> None:
    Storage(f"{bucket}/photos").write("long.png", png(16, 16_400))
    Storage(f"{bucket}/photos").write("short.png", png(16, 16))
    task = a_task(models, f"{bucket}/photos", f"{bucket}/painted", format="webp", max_side=20_000)
    entries = stylize(task, "long.png", "short.png")
    assert "long.png cannot be written as webp" in entries["long.png"]["error"]
    assert entries["short.png"]["written"] == "short.png.webp"


def test_full_disk_ends_the_task(models: Path, tmp_path: Path, bucket: str) -> None:
    """Otherwise every remaining image would be reported as broken."""
    Storage(f"{bucket}/photos").write("a.png", png(16, 16))
    (tmp_path / "out").write_text("a file where a folder must be")
    with pytest.raises(ExceptionGroup) as raised:
        stylize(a_task(models, f"{bucket}/photos", tmp_path / "out"), "a.png")
    assert raised.group_contains(OSError)


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"model": "digits"}, BulkError, "only stylizers are supported"),
        ({"style": "rembrandt"}, NotFoundError, "this model's styles are night, wave, scream"),
        ({"version": "another"}, BulkError, ", not another; give all machines the same file"),
    ],
)
def test_impossible_tasks_are_explained(changes: dict, error: type[Exception], says: str, models: Path, tmp_path: Path) -> None:
    task = a_task(models, tmp_path, tmp_path, **{name: value for name, value in changes.items() if name != "version"})
    if "version" in changes:
        task = task.model_copy(update=changes)
    with pytest.raises(error) as raised:
        check(task)
    assert says in str(raised.value)


def test_model_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    """It is loaded in a process of its own first, as in the service."""
    save(large_generator_model(4), tmp_path / "large.onnx", generator_card("large"))
    with pytest.raises(BulkError, match=r"large\.onnx is refused: .*Failed to allocate memory"):
        check(a_task(tmp_path, tmp_path, tmp_path, model="large"))


def test_model_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(BulkError, match=r"pipe\.onnx is refused: it is a device, pipe or socket, not a file"):
        a_task(tmp_path, tmp_path, tmp_path, model="pipe")


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="there may be a GPU here")
def test_missing_gpu_is_explained(models: Path, tmp_path: Path) -> None:
    with pytest.raises(BulkError, match=r"CUDAExecutionProvider does not run here.*docs/container.md"):
        Worker(a_task(models, tmp_path, tmp_path), "cuda", 1)

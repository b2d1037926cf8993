"""Which images of a task remain, and that one process at a time works on it; without Ray."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from service.bulk.manifest import line_of
from service.bulk.task import BulkError, Task, open_task, versioned
from service.settings import ROOT

NAMES = ("a.png", "b.png", "c.png")


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """A task of three images, which are never opened here."""
    (tmp_path / "model.onnx").write_bytes(b"a model")
    (tmp_path / "photos").mkdir()
    for name in NAMES:
        (tmp_path / "photos" / name).touch()
    fields = {"style": None, "strength": 1, "keep_color": 0, "brush": 1, "max_side": 64, "format": "png"}
    places = {name: str(tmp_path / name) for name in ("out", "model.onnx")}
    return versioned(
        Task.model_validate({"images": f"{tmp_path}/photos", "out": places["out"], "model": places["model.onnx"], **fields})
    )


def done(name: str) -> str:
    return line_of({"image": name, "written": name})


def failed(name: str) -> str:
    return line_of({"image": name, "error": "the image is broken"})


def listed(task: Task) -> list[str]:
    return [json.loads(line)["image"] for line in Path(task.out, "manifest.jsonl").read_text().splitlines()]


def test_task_resumes_where_the_manifest_ends(task: Task) -> None:
    with open_task(task) as opened:
        assert opened.remaining == [*NAMES]
        with opened.manifest.appending() as manifest:
            manifest.add(failed("a.png"))
            manifest.add(done("b.png"))
    with open_task(task) as opened:
        assert opened.remaining == ["c.png"]
    with open_task(task, retry_failed=True) as opened:
        assert opened.remaining == ["a.png", "c.png"]
    assert listed(task) == ["b.png"]


@pytest.fixture
def running(task: Task) -> Iterator[subprocess.Popen[str]]:
    """Another process that works on the task: it appends each line that it is sent to the manifest."""
    program = """
import sys
from service.bulk.task import Task, open_task

with open_task(Task.model_validate_json(sys.argv[1])) as opened, opened.manifest.appending() as manifest:
    print("open", flush=True)
    for line in sys.stdin:
        manifest.add(line.strip())
        print("added", flush=True)
"""
    command = [sys.executable, "-c", program, task.model_dump_json()]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "open\n"
        yield process
        process.kill()


def say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin
    assert process.stdout
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    assert process.stdout.readline() == "added\n"


def test_second_process_is_refused_and_changes_nothing(task: Task, running: subprocess.Popen[str]) -> None:
    """`--retry-failed` would replace the file that the running task appends to."""
    say(running, failed("a.png"))
    with pytest.raises(BulkError, match=r"another process is writing .*manifest\.jsonl"), open_task(task, retry_failed=True):
        pytest.fail("two processes work on one task")
    say(running, done("b.png"))
    assert listed(task) == ["a.png", "b.png"]


def test_lock_of_a_dead_process_is_released(task: Task, running: subprocess.Popen[str]) -> None:
    say(running, done("a.png"))
    running.kill()
    running.wait()
    with open_task(task) as opened:
        assert opened.remaining == ["b.png", "c.png"]


@pytest.mark.parametrize("store", ["folder", "bucket"])
def test_files_that_are_left_out_are_listed(store: str, task: Task) -> None:
    """Files without a suffix count as images if they begin as one."""
    files = {
        "IMG_1": b"\xff\xd8\xff\xe0",
        "notes": b"text",
        "d.heic": b"",
        ".hidden.png": b"",
        "e/f.txt": b"",
        ".git/g.png": b"",
    }
    images = task.images
    if store == "bucket":
        images = "memory://left-out/photos"
        files |= dict.fromkeys(NAMES, b"")
    for name, data in files.items():
        with fsspec.open(f"{images}/{name}", "wb", auto_mkdir=True) as file:
            file.write(data)
    with open_task(task.model_copy(update={"images": images})) as opened:
        assert sorted(opened.remaining) == ["IMG_1", *NAMES]
        assert sorted(opened.left_out) == [".hidden.png", "d.heic", "e/f.txt", "notes"]


def test_task_without_images_leaves_nothing_behind(task: Task, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with (
        pytest.raises(BulkError, match="contains no image"),
        open_task(task.model_copy(update={"images": str(tmp_path / "empty")})),
    ):
        pytest.fail("there is nothing to do")
    assert not Path(task.out).exists()


def test_folder_of_another_task_is_refused(task: Task) -> None:
    with open_task(task):
        pass
    with (
        pytest.raises(BulkError, match="belongs to a task with another style"),
        open_task(task.model_copy(update={"style": "night"})),
    ):
        pytest.fail("this is another task")

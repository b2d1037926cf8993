"""What a job has left to do, and that one process at a time is at it; without Ray."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.bulk.manifest import line_of
from service.bulk.task import BulkError, Task, begun, versioned
from service.settings import ROOT

NAMES = ("a.png", "b.png", "c.png")


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """To restyle three pictures, which nobody opens here."""
    (tmp_path / "model.onnx").write_bytes(b"a model")
    (tmp_path / "photos").mkdir()
    for name in NAMES:
        (tmp_path / "photos" / name).touch()
    fields = {"style": None, "strength": 1, "keep_color": 0, "max_side": 64, "format": "png"}
    places = {name: str(tmp_path / name) for name in ("out", "model.onnx")}
    return versioned(
        Task.model_validate({"pictures": f"{tmp_path}/photos", "out": places["out"], "model": places["model.onnx"], **fields})
    )


def done(name: str) -> str:
    return line_of({"picture": name, "written": name})


def failed(name: str) -> str:
    return line_of({"picture": name, "error": "it is broken"})


def listed(task: Task) -> list[str]:
    return [json.loads(line)["picture"] for line in Path(task.out, "manifest.jsonl").read_text().splitlines()]


def test_it_goes_on_where_the_manifest_ends(task: Task) -> None:
    with begun(task) as job:
        assert job.left == [*NAMES]
        with job.manifest.appending() as manifest:
            manifest.add(failed("a.png"))
            manifest.add(done("b.png"))
    with begun(task) as job:
        assert job.left == ["c.png"]
    with begun(task, retry_failed=True) as job:
        assert job.left == ["a.png", "c.png"]
    assert listed(task) == ["b.png"]


@pytest.fixture
def running(task: Task) -> Iterator[subprocess.Popen[str]]:
    """Another process at the job: it adds a picture to the manifest for every line that it is sent."""
    program = """
import sys
from service.bulk.task import Task, begun

with begun(Task.model_validate_json(sys.argv[1])) as job, job.manifest.appending() as manifest:
    print("begun", flush=True)
    for line in sys.stdin:
        manifest.add(line.strip())
        print("added", flush=True)
"""
    command = [sys.executable, "-c", program, task.model_dump_json()]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "begun\n"
        yield process
        process.kill()


def say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin
    assert process.stdout
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    assert process.stdout.readline() == "added\n"


def test_a_second_process_touches_nothing(task: Task, running: subprocess.Popen[str]) -> None:
    """`--retry-failed` beside a running job would put another file in the place of the one that is appended to."""
    say(running, failed("a.png"))
    with pytest.raises(BulkError, match=r"another process is writing .*manifest\.jsonl"), begun(task, retry_failed=True):
        pytest.fail("two processes are at one job")
    say(running, done("b.png"))
    assert listed(task) == ["a.png", "b.png"]


def test_a_process_that_dies_lets_go(task: Task, running: subprocess.Popen[str]) -> None:
    say(running, done("a.png"))
    running.kill()
    running.wait()
    with begun(task) as job:
        assert job.left == ["b.png", "c.png"]


def test_what_cannot_begin_leaves_nothing_behind(task: Task, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with (
        pytest.raises(BulkError, match="holds no picture"),
        begun(task.model_copy(update={"pictures": str(tmp_path / "empty")})),
    ):
        pytest.fail("there is nothing to do")
    assert not Path(task.out).exists()


def test_another_job_is_refused(task: Task) -> None:
    with begun(task):
        pass
    with pytest.raises(BulkError, match="began with another style"), begun(task.model_copy(update={"style": "night"})):
        pytest.fail("that is another job")

import os
import signal
import threading
from pathlib import Path

import psutil
import pytest

from service.engine.errors import RefusedError, UnreadableError
from service.engine.model_file import MAX_BYTES
from service.engine.sessions import load_model
from service.engine.trial import Trial, Verdict
from tests.service.onnx_models import endless_generator_model, generator_card, generator_model, large_generator_model, save
from tests.service.process.test_drain import until

LONG_S = 600  # longer than any trial here takes; a test that fails must still end


def put(folder: Path, *names: str) -> list[Path]:
    """Good models, except one of the name `endless`."""
    models = {"endless": endless_generator_model()}
    return [save(models.get(name) or generator_model(), folder / f"{name}.onnx", generator_card(name)) for name in names]


def trials() -> list[psutil.Process]:
    """The processes of trials; this process may have others, such as a service for other tests."""
    return [child for child in psutil.Process().children() if "service.engine.trial" in child.cmdline()]


def reason(verdict: Verdict) -> str:
    assert isinstance(verdict, RefusedError)
    return str(verdict)


def test_good_file_gets_its_version_and_bad_file_a_reason(tmp_path: Path) -> None:
    (good,) = put(tmp_path, "digits")
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    (tmp_path / "folder.onnx").mkdir()
    verdicts = dict(Trial(MAX_BYTES, LONG_S).each(sorted(tmp_path.iterdir())))
    assert verdicts.pop(good) == load_model(good, "cpu", 1).version
    assert {path.stem: reason(verdict) for path, verdict in verdicts.items()} == {
        "bad": "it is not an ONNX file, or it is cut off",
        "folder": "it is a folder, not a file",
    }


def test_starts_no_process_without_files(tmp_path: Path) -> None:
    missing = tmp_path / "missing.onnx"
    ((path, verdict),) = Trial(MAX_BYTES, LONG_S).each([missing])
    assert path == missing
    assert isinstance(verdict, UnreadableError)
    assert not trials()


def test_refuses_file_that_takes_too_long(tmp_path: Path) -> None:
    ((_, verdict),) = Trial(MAX_BYTES, 0.5).each(put(tmp_path, "endless"))
    assert reason(verdict) == "it did not load and run once within 0.5 s (GANVAS_LOAD_TIMEOUT_S)"


@pytest.mark.parametrize(
    ("number", "expected"),
    [(signal.SIGSEGV, "it crashed onnxruntime (Segmentation fault)"), (signal.SIGKILL, "probably because the memory was full")],
)
def test_file_that_ends_the_process_harms_no_other(number: signal.Signals, expected: str, tmp_path: Path) -> None:
    paths = put(tmp_path, "before", "endless", "after")
    verdicts: list[Verdict] = []

    def end_endless() -> None:
        until(lambda: len(verdicts) == 1)
        until(lambda: any(child.cpu_times().user for child in trials()))
        (trial,) = trials()
        os.kill(trial.pid, number)

    killer = threading.Thread(target=end_endless)
    killer.start()
    for path, verdict in Trial(MAX_BYTES, LONG_S).each(paths):
        assert path == paths[len(verdicts)]
        verdicts.append(verdict)
    killer.join()
    assert verdicts[0] == load_model(paths[0], "cpu", 1).version
    assert expected in reason(verdicts[1])
    assert verdicts[2] == load_model(paths[2], "cpu", 1).version


def test_refuses_file_that_takes_too_much_memory(tmp_path: Path) -> None:
    paths = [save(large_generator_model(gib), tmp_path / f"m{gib}.onnx", generator_card(f"m{gib}")) for gib in (4, 10**6)]
    paths += put(tmp_path, "after")
    verdicts = [verdict for _, verdict in Trial(MAX_BYTES, LONG_S).each(paths)]
    assert "Failed to allocate memory" in reason(verdicts[0])
    assert "Failed to allocate memory" in reason(verdicts[1])
    assert verdicts[2] == load_model(paths[2], "cpu", 1).version


def test_closing_ends_the_process(tmp_path: Path) -> None:
    trial = Trial(MAX_BYTES, LONG_S)
    done = threading.Event()

    def run() -> None:
        list(trial.each(put(tmp_path, "endless", "after")))
        done.set()

    threading.Thread(target=run, daemon=True).start()
    until(lambda: bool(trials()))
    trial.close()
    assert done.wait(60)
    assert not trials()
    assert list(trial.each([tmp_path / "after.onnx"])) == []

"""Tries model files in a process of its own before the service loads them.

A model is a program. It can crash onnxruntime, run forever or fill the memory; then only the process of the trial ends. This
module is both sides: `Trial` in the service, and `main` in the process of the trial.

    for path, verdict in Trial(max_bytes, timeout_s).each(paths): ...

The trial runs on the CPU, also if the service uses a GPU: an exported model runs on both, and a second copy of it would need
memory of the GPU.
"""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from service.engine.errors import RefusedError, UnreadableError
from service.engine.model_file import examine
from service.engine.sessions import load_model
from service.settings import ROOT

FILES_PER_PROCESS = 100  # their paths are arguments, whose size is bounded
MEMORY = 2 * 2**30  # bytes that a trial may take, and ...
MEMORY_PER_BYTE = 8  # ... for each byte of the file: onnxruntime copies and rearranges weights

Verdict = str | RefusedError
"""The version of the file that loaded and ran, or why the file is refused."""


class Trial:
    """Tries files, one after the other.

    Args:
        max_bytes: largest file.
        timeout_s: longest time for one file, in seconds.
    """

    def __init__(self, max_bytes: int, timeout_s: float) -> None:
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[str] | None = None
        self._closed = False

    def each(self, paths: Sequence[Path]) -> Iterator[tuple[Path, Verdict]]:
        """Each file with its verdict, as soon as it is known."""
        waiting = []
        for path in paths:
            try:
                examine(path, self._max_bytes)
                waiting.append(path)
            except RefusedError as error:
                yield path, error
        while waiting and not self._closed:
            done = 0
            for path, verdict in zip(waiting, self._try(waiting[:FILES_PER_PROCESS]), strict=False):
                done += 1
                yield path, verdict
            del waiting[:done]

    def close(self) -> None:
        """End a trial that is running, from any thread."""
        self._closed = True
        if self._process:
            self._process.kill()

    def _try(self, paths: Sequence[Path]) -> Iterator[Verdict]:
        """Verdicts of the files in order. If one of them ends the process, its verdict is the last."""
        command = [sys.executable, "-m", "service.engine.trial", str(self._max_bytes), str(self._timeout_s)]
        command += [str(path.absolute()) for path in paths]
        null, pipe = subprocess.DEVNULL, subprocess.PIPE
        try:
            process = subprocess.Popen(command, cwd=ROOT, stdin=null, stdout=pipe, text=True)  # noqa: S603
        except OSError as error:
            yield UnreadableError(f"no process can be started to try it: {error.strerror}")
            return
        self._process = process
        if self._closed:
            process.kill()
        tried = 0
        with process:
            try:
                for line in process.stdout or ():
                    tried += 1
                    yield _parse(line)
            finally:
                process.kill()  # does nothing if it has ended
        self._process = None
        if tried < len(paths):
            yield RefusedError(self._how_it_ended(process.returncode))

    def _how_it_ended(self, code: int) -> str:
        match -code:
            case signal.SIGALRM:
                return f"it did not load and run once within {self._timeout_s:g} s (GANVAS_LOAD_TIMEOUT_S)"
            case signal.SIGKILL:
                return "its trial was killed by SIGKILL, probably because the memory was full"
            case number if number > 0:
                return f"it crashed onnxruntime ({signal.strsignal(number)})"
            case _:
                return f"its trial failed with exit code {code}"


def _parse(line: str) -> Verdict:
    fields = json.loads(line)
    if "version" in fields:
        return str(fields["version"])
    return UnreadableError(fields["reason"]) if fields["retry"] else RefusedError(fields["reason"])


def main(arguments: list[str]) -> None:
    """Try files and write a line for each. A file that takes too long ends this process."""
    max_bytes, timeout_s = int(arguments[0]), float(arguments[1])
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # the process that started the service may have ignored it
    with contextlib.suppress(OSError):  # not Linux
        Path("/proc/self/oom_score_adj").write_text("1000")  # if the memory is full, the kernel ends this process first
    for path in map(Path, arguments[2:]):
        # The signal's default action ends the process wherever it is, also if the service that started it is gone.
        signal.setitimer(signal.ITIMER_REAL, timeout_s)
        line = json.dumps(_try_one(path, max_bytes))
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def _try_one(path: Path, max_bytes: int) -> dict[str, object]:
    try:
        with contextlib.suppress(OSError):
            _limit_memory(MEMORY + MEMORY_PER_BYTE * path.stat().st_size)
        return {"version": load_model(path, "cpu", 1, max_bytes).version}
    except RefusedError as error:
        return {"reason": str(error), "retry": isinstance(error, UnreadableError)}
    except MemoryError:
        return {"reason": "it needs too much memory", "retry": False}
    except Exception as error:  # nothing in a file may end the trial of the others
        return {"reason": f"it cannot be loaded: {type(error).__name__}: {error}", "retry": False}


def _limit_memory(more: int) -> None:
    """Limit the private memory of this process to `more` bytes above what it has now."""
    import resource

    status = Path("/proc/self/status").read_text()  # not on macOS, which has no such limit either
    kib = int(status.partition("VmData:")[2].split()[0])
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    wanted = kib * 1024 + more
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


if __name__ == "__main__":
    main(sys.argv[1:])

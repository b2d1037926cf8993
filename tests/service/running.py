"""Runs the real service in its own process on a free port."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import psutil

from service.settings import ROOT

START_LIMIT_S = 60  # generous: the machine may be busy


class Running:
    """A started service: its URL and its output."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self._out, self._err = folder / "stdout", folder / "stderr"
        self.url = self._wait_until_ready()

    def stdout(self) -> str:
        return self._out.read_text()

    def stderr(self) -> str:
        return self._err.read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)

    def kill(self) -> None:
        """Kill every process at once, as when a container is killed."""
        workers = psutil.Process(self.process.pid).children()
        for process in (self.process, *workers):
            process.kill()
        self.process.wait(20)
        psutil.wait_procs(workers, 20)

    def _wait_until_ready(self) -> str:
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            first = self.stdout().partition("\n")
            if first[1]:
                return first[0].removeprefix("Ganvas is ready: ")
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        self.process.kill()
        raise AssertionError(f"the service did not start:\n{self.stderr()}")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "service", *arguments]


def environment(models: Path, **settings: object) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GANVAS_")}
    chosen = {f"GANVAS_{name.upper()}": str(value) for name, value in settings.items()}
    return {**inherited, "GANVAS_MODELS": str(models), "GANVAS_DEVICE": "cpu", **chosen}


@contextlib.contextmanager
def running(models: Path, folder: Path, port: object = 0, descriptors: object = None, **settings: object) -> Iterator[Running]:
    """Start the service with the models of a folder, by default on a free port. Its output goes into the second folder.

    Args:
        descriptors: their soft and hard limit, as two numbers. Default: the limits of this process.
    """

    def limit() -> None:
        if descriptors:
            resource.setrlimit(resource.RLIMIT_NOFILE, cast("tuple[int, int]", descriptors))

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "stdout").open("w") as out, (folder / "stderr").open("w") as err:
        process = subprocess.Popen(
            command("--port", str(port)), cwd=ROOT, env=environment(models, **settings), stdout=out, stderr=err, text=True,
            preexec_fn=limit,
        )  # fmt: skip
    try:
        yield Running(process, folder)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()

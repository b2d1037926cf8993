"""Runs the service in its own process, for benchmarks that stop it, kill it or send it malformed requests."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from service.settings import ROOT

START_S = 120


class ServiceProcess:
    """A started service.

    Attributes:
        url: address of the service.
        log: file with its stderr.
    """

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self.log = folder / "stderr"
        self._out = folder / "stdout"
        self.url = self._wait()

    def worker(self) -> int:
        """Process id of the worker."""
        (worker,) = psutil.Process(self.process.pid).children()
        pid: int = worker.pid
        return pid

    def stop(self) -> int:
        """Send SIGTERM and wait for the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(START_S)

    def _wait(self) -> str:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            if found := re.match(r"Ganvas is ready: (\S+)\n", self._out.read_text()):
                return found[1]
            time.sleep(0.05)
        raise RuntimeError(f"The service did not start:\n{self.log.read_text()}")


@contextlib.contextmanager
def service_process(*, prefix: Sequence[str] = (), **settings: object) -> Iterator[ServiceProcess]:
    """Start the service of this checkout with this interpreter on a free port. It is killed at the end of the block.

    Args:
        prefix: a command that runs its arguments as a command.
        settings: GANVAS_ variables, in lower case and without the prefix.
    """
    environment = {**os.environ, **{f"GANVAS_{name.upper()}": str(value) for name, value in settings.items()}}
    with tempfile.TemporaryDirectory(prefix="ganvas-") as folder:
        out, err = Path(folder, "stdout"), Path(folder, "stderr")
        with out.open("w") as stdout, err.open("w") as stderr:
            command = [*prefix, sys.executable, "-m", "service", "--port", "0"]
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=stdout, stderr=stderr, text=True)
        try:
            yield ServiceProcess(process, Path(folder))
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()

"""The service serves although nobody reads its output."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from service.settings import ROOT
from tests.service.process.test_drain import until
from tests.service.running import command, environment


def _close() -> None:
    for descriptor in (0, 1, 2):
        os.close(descriptor)


def _break() -> None:
    read, write = os.pipe()
    for descriptor in (1, 2):
        os.dup2(write, descriptor)
    os.close(write)
    os.close(read)


@contextlib.contextmanager
def _without_output(models: Path, prepare: Callable[[], None]) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    with subprocess.Popen(command("--port", "0"), cwd=ROOT, env=environment(models), preexec_fn=prepare) as process:
        try:
            until(lambda: bool(psutil.Process(process.pid).net_connections()), limit_s=60)
            (listening,) = psutil.Process(process.pid).net_connections()
            yield process, f"http://127.0.0.1:{listening.laddr.port}"
        finally:
            process.kill()


@pytest.mark.parametrize("prepare", [_close, _break])
def test_serves_without_streams_also_after_its_worker_died(prepare: Callable[[], None], models_folder: Path) -> None:
    with _without_output(models_folder, prepare) as (process, url):
        assert httpx.get(f"{url}/readyz", timeout=60).status_code == 200
        (worker,) = psutil.Process(process.pid).children()
        worker.kill()
        worker.wait(20)
        assert httpx.get(f"{url}/readyz", timeout=60).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0

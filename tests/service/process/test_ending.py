"""A signal ends the service, even if its worker hangs."""

import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from service.settings import ROOT
from tests.service.onnx_models import generator_card, save, slow_generator_model
from tests.service.process.test_drain import until
from tests.service.running import Running, command, environment, running


@pytest.fixture
def stopped(models_folder: Path, tmp_path: Path) -> Iterator[Running]:
    """A service whose worker does not react to SIGTERM."""
    with running(models_folder, tmp_path / "log", drain_s=5) as service:
        (worker,) = psutil.Process(service.process.pid).children()
        worker.suspend()
        yield service
        assert not worker.is_running()
        url = httpx.URL(service.url)
        socket.create_server((url.host, url.port or 80)).close()  # the port is free


def test_stopped_worker_is_killed_after_the_drain(stopped: Running) -> None:
    assert stopped.stop() == 1
    assert "the worker did not end in time; killing it" in stopped.stderr()


def test_second_signal_kills_a_stopped_worker(stopped: Running) -> None:
    stopped.process.send_signal(signal.SIGTERM)
    until(lambda: not psutil.Process(stopped.process.pid).net_connections())  # two signals at once would count as one
    assert stopped.stop() == 0
    assert "did not end in time" not in stopped.stderr()


def test_batch_that_never_finishes_does_not_outlast_the_drain(tmp_path: Path) -> None:
    save(slow_generator_model(3), tmp_path / "models" / "slow.onnx", generator_card("slow"))
    limits = {"drain_s": 1, "max_batch_rows": 64, "max_batch_ms": 1e9}
    with running(tmp_path / "models", tmp_path / "log", **limits) as service, ThreadPoolExecutor(1) as pool:
        sent = pool.submit(httpx.post, f"{service.url}/v1/sample", json={"n": 64}, timeout=600)
        until(lambda: "ganvas_http_requests_in_flight 2.0" in httpx.get(f"{service.url}/metrics").text)
        (worker,) = psutil.Process(service.process.pid).children()
        assert service.stop() == 0
        assert not worker.is_running()
        assert isinstance(sent.exception(), httpx.TransportError) or sent.result().status_code == 503


@pytest.mark.parametrize("signals", [1, 2])
def test_signal_ends_the_service_while_a_model_loads(signals: int, tmp_path: Path) -> None:
    save(slow_generator_model(600), tmp_path / "slow.onnx", generator_card("slow"))  # it runs once when it is loaded
    with subprocess.Popen(command("--port", "0"), cwd=ROOT, env=environment(tmp_path), stderr=subprocess.DEVNULL) as process:

        def loading() -> bool:
            family = psutil.Process(process.pid).children(recursive=True)
            return any("onnxruntime_pybind" in mapped.path for one in family for mapped in one.memory_maps())

        until(loading, limit_s=60)
        family = psutil.Process(process.pid).children(recursive=True)
        for _ in range(signals):
            process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert psutil.wait_procs(family, 30)[1] == []

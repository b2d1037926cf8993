"""Shutdown answers accepted requests and rejects new ones. A worker that dies is replaced."""

import asyncio
import json
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest
from PIL import Image

from benchmarks.processes import service_process
from benchmarks.serving.load import Request
from benchmarks.shutdown import end_under_load, serve_again_s
from service.http.lifecycle import LINGER_S, QUIET_S, Lifecycle
from service.process.server import LAST_CALL_S
from tests.service.conftest import Problem, image_bytes
from tests.service.onnx_models import generator_card, save, slow_generator_model, stylizer_card, stylizer_model
from tests.service.running import running
from tests.service.slow_readers import RESPONSE_BYTES, large_generator, read_rest, unread_response

ROW_S = 0.15
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def slow_folder(tmp_path: Path) -> Path:
    save(slow_generator_model(ROW_S), tmp_path / "models" / "slow.onnx", generator_card("slow"))
    return tmp_path / "models"


def test_draining_service_is_live_but_not_ready_and_rejects_requests(
    slow_folder: Path, tmp_path: Path, problem: Problem
) -> None:
    with running(slow_folder, tmp_path / "log", max_batch_rows=4) as service, httpx.Client(base_url=service.url) as client:
        assert client.get("/readyz").status_code == 200
        with ThreadPoolExecutor(1) as pool:
            accepted = pool.submit(httpx.post, f"{service.url}/v1/sample", json={"n": 12}, timeout=60)
            until(lambda: "ganvas_http_requests_in_flight 2.0" in client.get("/metrics").text)  # the slow request and this one
            service.process.send_signal(signal.SIGTERM)
            until(lambda: client.get("/readyz").status_code == 503)
            problem(client.get("/readyz"), 503, mentions="shutting down")
            problem(client.get("/v2/health/ready"), 503, mentions="shutting down")
            assert client.get("/v2/health/live").status_code == 200
            assert client.get("/livez").status_code == 200
            assert client.get("/metrics").status_code == 200
            refused = client.post("/v1/sample")
            problem(refused, 503, mentions="shutting down")
            assert refused.headers["retry-after"]
            assert refused.headers["connection"] == "close"
            assert 'ganvas_rejections_total{model="",reason="draining"} 1.0' in client.get("/metrics").text
            assert accepted.result().status_code == 200
        assert service.process.wait(20) == 0


def test_drain_waits_until_a_response_is_read(tmp_path: Path) -> None:
    with (
        running(large_generator(tmp_path / "models"), tmp_path / "log") as service,
        unread_response(service) as connection,
    ):
        service.process.send_signal(signal.SIGTERM)
        time.sleep(QUIET_S + LINGER_S + LAST_CALL_S)  # longer than every other wait of a drain
        announced, came = read_rest(connection)
        assert announced >= RESPONSE_BYTES
        assert came == announced
        assert service.process.wait(20) == 0


def test_drain_ends_after_its_limit(slow_folder: Path, tmp_path: Path) -> None:
    with running(slow_folder, tmp_path / "log", drain_s=1, max_batch_rows=1) as service, ThreadPoolExecutor(1) as pool:
        accepted = pool.submit(httpx.post, f"{service.url}/v1/sample", json={"n": 64}, timeout=60)
        until(lambda: "ganvas_http_requests_in_flight 2.0" in httpx.get(f"{service.url}/metrics").text)
        assert service.stop() == 0
        with pytest.raises(httpx.HTTPError):
            accepted.result().raise_for_status()


def test_second_signal_ends_the_service_at_once(slow_folder: Path, tmp_path: Path) -> None:
    with running(slow_folder, tmp_path / "log", max_batch_rows=1) as service, ThreadPoolExecutor(1) as pool:
        accepted = pool.submit(httpx.post, f"{service.url}/v1/sample", json={"n": 64}, timeout=60)
        until(lambda: "ganvas_http_requests_in_flight 2.0" in httpx.get(f"{service.url}/metrics").text)
        service.process.send_signal(signal.SIGTERM)
        until(lambda: httpx.get(f"{service.url}/readyz").status_code == 503)
        service.process.send_signal(signal.SIGTERM)
        service.process.wait(20)
        assert accepted.exception() is not None or accepted.result().status_code != 200


@pytest.mark.parametrize("seed", [0, 1])
def test_shutdown_under_load_loses_no_request(seed: int, models_folder: Path) -> None:
    sent = [
        Request("/v1/sample", json.dumps({"n": n, "format": image_format}).encode(), JSON)
        for n, image_format in ((1, "png"), (16, "npy"), (24, "zip"))
    ]
    with service_process(models=models_folder, device="cpu") as service:
        responses, _ = asyncio.run(end_under_load(service, sent, seed))
    assert responses["lost"] == 0
    assert responses["answered"] > 0


def test_killed_worker_is_replaced(models_folder: Path) -> None:
    with service_process(models=models_folder, device="cpu") as service:
        first = service.worker()
        asyncio.run(serve_again_s(service, Request("/v1/sample", b"{}", JSON)))
        assert service.worker() != first
        assert "was killed by SIGKILL; starting another" in service.log.read_text()
        assert service.stop() == 0


def test_worker_ends_with_its_parent(models_folder: Path, tmp_path: Path) -> None:
    with running(models_folder, tmp_path / "log") as service:
        (worker,) = psutil.Process(service.process.pid).children()
        service.process.kill()
        worker.wait(20)


def test_hanging_device_fails_livez_and_readyz(tmp_path: Path, problem: Problem) -> None:
    save(slow_generator_model(1.5), tmp_path / "models" / "slow.onnx", generator_card("slow"))
    limits = {"hang_s": 0.2, "timeout_s": 0.5}
    with running(tmp_path / "models", tmp_path / "log", **limits) as service, httpx.Client(base_url=service.url) as client:
        assert client.get("/livez").status_code == 200
        with ThreadPoolExecutor(1) as pool:
            caught = pool.submit(httpx.post, f"{service.url}/v1/sample", json={}, timeout=60)
            until(lambda: client.get("/livez").status_code == 503)
            problem(client.get("/livez"), 503, mentions="slow")
            problem(client.get("/readyz"), 503, mentions="slow")
            problem(caught.result(), 504)
        until(lambda: client.get("/livez").status_code == 200)  # the device was only slow
        assert client.get("/readyz").status_code == 200


def test_worker_that_fails_to_start_ends_the_service(tmp_path: Path) -> None:
    """If the first worker fails to start, the service passes on its message and exit code and starts no other."""
    keys = tmp_path / "keys"
    keys.write_text("# none\n")
    with pytest.raises(AssertionError, match="contains no key"), running(tmp_path, tmp_path / "log", api_keys_file=keys):
        pass


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_drain_waits_for_requests_in_flight_and_for_quiet() -> None:
    clock = Clock()
    lifecycle = Lifecycle(clock)
    assert not lifecycle.should_exit(0, 0, longest_s=60)
    lifecycle.in_flight = 1
    lifecycle.drain()
    assert lifecycle.draining
    assert not lifecycle.should_exit(0, 0, longest_s=60)
    clock.now += 58
    assert not lifecycle.should_exit(0, 0, longest_s=60)
    lifecycle.in_flight = 0
    assert not lifecycle.should_exit(1, 1, longest_s=60)  # answered, but a byte of the response is not sent
    lifecycle.in_flight = 1
    clock.now += 1
    assert not lifecycle.should_exit(0, 0, longest_s=60)
    clock.now += 1
    assert lifecycle.should_exit(5, 0, longest_s=60)


def test_drain_lingers_for_open_connections() -> None:
    clock = Clock()
    lifecycle = Lifecycle(clock)
    lifecycle.drain()
    assert lifecycle.should_exit(0, 0, longest_s=60)  # no connections
    assert not lifecycle.should_exit(1, 0, longest_s=60)
    clock.now += 1.1 * QUIET_S
    assert lifecycle.should_exit(1, 0, longest_s=60)
    lifecycle.rejected()
    assert not lifecycle.should_exit(1, 0, longest_s=60)
    clock.now += LINGER_S
    lifecycle.rejected()
    assert lifecycle.should_exit(1, 0, longest_s=60)  # callers keep asking


def until(condition: Callable[[], bool], limit_s: float = 30) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_hanging_decoder_fails_livez_and_readyz(tmp_path: Path) -> None:
    save(stylizer_model(), tmp_path / "models" / "painters.onnx", stylizer_card())
    large = ("large.png", image_bytes(Image.new("L", (7000, 7000))))  # takes longer than `hang_s`
    with (
        running(tmp_path / "models", tmp_path / "log", hang_s=0.02) as service,
        httpx.Client(base_url=service.url, timeout=60) as client,
    ):
        files, fields = [("image", large)] * 16, {"style": "night", "max_side": "16"}
        with ThreadPoolExecutor(1) as pool:
            caught = pool.submit(httpx.post, f"{service.url}/v1/stylize", files=files, data=fields, timeout=60)
            until(lambda: "Decoding" in client.get("/livez").text)
            until(lambda: "Decoding has taken more than 0.02 s" in client.get("/readyz").text)
            assert caught.result().status_code == 200
        until(lambda: client.get("/livez").status_code == 200)  # the decoder was only slow
        assert client.get("/readyz").status_code == 200

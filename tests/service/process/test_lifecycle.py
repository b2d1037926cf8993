"""Start, shutdown and overload of the real service."""

import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from service.settings import ROOT
from tests.service.conftest import Problem
from tests.service.onnx_models import generator_card, generator_model, save, slow_generator_model
from tests.service.running import Running, command, environment, running

ROW_S = 0.15  # about what one row of the slow model takes


def test_welcome_states_the_address_and_example_commands(service: Running) -> None:
    said = service.stdout()
    assert said.startswith(f"Ganvas is ready: {service.url}\n")
    assert f"curl --fail-with-body {service.url}/v1/sample" in said
    assert '"model": "digits"' in said
    assert "-F model=painters -F style=night" in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_the_service_cleanly(models_folder: Path, tmp_path: Path, number: int) -> None:
    with running(models_folder, tmp_path) as service:
        assert httpx.post(f"{service.url}/v1/sample").status_code == 200
        assert service.stop(number) == 0
        assert "Traceback" not in service.stderr()
        assert " ERROR " not in service.stderr()


def test_port_in_use_is_explained(models_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            command("--port", str(port)), cwd=ROOT, env=environment(models_folder), capture_output=True, text=True
        )
    assert done.returncode == 1
    assert done.stderr.startswith(f"ganvas: cannot listen on 127.0.0.1:{port}: the port is in use; ")
    assert "--port" in done.stderr


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.7", ""])
def test_foreign_host_is_explained(host: str, models_folder: Path) -> None:
    done = subprocess.run(
        command("--port", "0", "--host", host),
        cwd=ROOT, env=environment(models_folder), capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("ganvas: cannot listen on ")
    assert done.stderr.count("\n") == 1


def test_missing_file_of_keys_is_an_invalid_setting(models_folder: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    done = subprocess.run(
        command("--port", "0"), cwd=ROOT, env={**environment(models_folder), "GANVAS_API_KEYS_FILE": str(keys)},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"ganvas: GANVAS_API_KEYS_FILE: {keys} cannot be read: No such file or directory" in done.stderr


def test_missing_device_ends_the_service(models_folder: Path) -> None:
    done = subprocess.run(
        command("--port", "0"), cwd=ROOT, env={**environment(models_folder), "GANVAS_DEVICE": "tensorrt"},
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    if "TensorrtExecutionProvider" not in done.stderr:
        pytest.skip("TensorRT runs here")
    assert done.returncode == 1
    assert "GANVAS_DEVICE=tensorrt" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("folder", ["empty", "missing"])
def test_service_without_models_is_live_but_not_ready(folder: str, tmp_path: Path, problem: Problem) -> None:
    (tmp_path / "empty").mkdir()
    with running(tmp_path / folder, tmp_path / "log") as service, httpx.Client(base_url=service.url) as client:
        assert client.get("/livez").status_code == 200
        problem(client.get("/readyz"), 503, mentions="No model is served")
        problem(client.post("/v1/sample"), 503, mentions="No generator is served")
        problem(client.post("/v1/sample", json={"model": "digits"}), 404, mentions="no generator is served")
        listed = client.get("/v1/models").json()
        assert (listed["models"], listed["refused"]) == ([], [])
        assert service.stop() == 0


def test_overload_is_rejected_and_leaves_no_work_behind(tmp_path: Path, problem: Problem) -> None:
    save(slow_generator_model(ROW_S), tmp_path / "slow.onnx", generator_card("slow"))
    save(generator_model(), tmp_path / "digits.onnx", generator_card())
    limits = {"max_batch_rows": 1, "max_queue_rows": 4, "timeout_s": 20 * ROW_S, "max_n": 100}
    with running(tmp_path, tmp_path / "log", **limits) as service, httpx.Client(base_url=service.url) as client:

        def call(model: str, n: int = 1, timeout: float = 60) -> httpx.Response:
            return client.post("/v1/sample", json={"model": model, "n": n, "seed": 1}, timeout=timeout)

        # Two generators are served, so the model must be named.
        problem(client.post("/v1/sample"), 422, mentions="Several generators are served: digits, slow")

        # Twelve requests and room for two of one caller: some wait, the others are rejected at once.
        with ThreadPoolExecutor(12) as pool:
            responses = [*pool.map(lambda _: call("slow"), range(12))]
        accepted = [response for response in responses if response.status_code == 200]
        refused = [response for response in responses if response.status_code != 200]
        assert 3 <= len(accepted) <= 8
        for response in refused:
            problem(response, 429)
            assert int(response.headers["retry-after"]) >= 1
        assert len({response.content for response in accepted}) == 1

        # A request over the time limit gets 504, and the rest of it leaves the queue.
        problem(call("slow", n=90), 504, mentions="took longer than")
        assert call("slow").status_code == 200

        # If a client hangs up, its rows leave the queue. Another model has its own queue.
        with pytest.raises(httpx.ReadTimeout):
            call("slow", n=18, timeout=2 * ROW_S)
        assert call("digits").status_code == 200
        start = time.monotonic()
        assert call("slow").status_code == 200
        assert time.monotonic() - start < 9 * ROW_S  # without the 16 rows of the client that hung up

        # Requests that were accepted before the signal are answered.
        with ThreadPoolExecutor(3) as pool:
            waiting = [pool.submit(call, "slow", 2) for _ in range(2)]
            time.sleep(ROW_S)
            assert service.stop() == 0
            assert [future.result().status_code for future in waiting] in ([200, 200], [200, 429], [429, 200])
        assert "Traceback" not in service.stderr()


def test_model_failure_is_logged_but_not_returned(tmp_path: Path, problem: Problem) -> None:
    save(generator_model(broken="rows"), tmp_path / "digits.onnx", generator_card())
    with running(tmp_path, tmp_path / "log") as service, httpx.Client(base_url=service.url) as client:
        assert client.post("/v1/sample").status_code == 200
        document = problem(client.post("/v1/sample", json={"n": 3}), 500, mentions="log")
        assert "RuntimeError" not in str(document)
        assert "RuntimeError: digits returned 2 images for 3 rows" in service.stderr()
        assert client.post("/v1/sample").status_code == 200
        problem(client.get("/v1/models/digits/preview.png"), 500, mentions="log")
        assert service.stop() == 0


def test_serving_imports_no_torch_and_no_training() -> None:
    code = "import service.app, service.__main__, sys; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in ("torch", "torchvision", "training", "onnx"):
        assert f"'{name}'" not in done.stdout

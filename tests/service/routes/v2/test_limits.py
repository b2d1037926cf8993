"""Inference requests that take too long, are too many or need too much memory."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np

from tests.service.conftest import Problem
from tests.service.onnx_models import (
    LATENT_SIZE,
    generator_card,
    save,
    slow_generator_model,
    stylizer_card,
    stylizer_model,
)
from tests.service.process.test_drain import until
from tests.service.running import running

SLOW = "/v2/models/slow/infer"


def body(n: int) -> dict:
    return {"inputs": [{"name": "latents", "datatype": "FP32", "shape": [n, LATENT_SIZE], "data": [0] * n * LATENT_SIZE}]}


def test_slow_requests_are_cancelled_and_counted(tmp_path: Path, problem: Problem) -> None:
    save(slow_generator_model(0.5), tmp_path / "slow.onnx", generator_card("slow"))
    options = {"timeout_s": 0.3, "max_batch_rows": 1}
    with running(tmp_path, tmp_path / "log", **options) as service, httpx.Client(base_url=service.url, timeout=60) as client:

        def statistics() -> dict:
            return client.get("/v2/models/slow/stats").json()["model_stats"][0]["inference_stats"]

        document = problem(client.post(SLOW, json=body(8)), 504, mentions="0.3 s")
        assert document["error"] == document["detail"]
        assert statistics()["fail"]["count"] == 1
        assert statistics()["success"]["count"] == 0
        until(lambda: 'ganvas_queue_used_ratio{model="slow"} 0.0' in client.get("/metrics").text)
        assert service.stop() == 0


def test_full_queue_is_429(tmp_path: Path) -> None:
    save(slow_generator_model(0.3), tmp_path / "slow.onnx", generator_card("slow"))
    options = {"max_queue_rows": 1, "max_batch_rows": 1}
    with running(tmp_path, tmp_path / "log", **options) as service:
        with ThreadPoolExecutor(6) as pool:
            responses = [*pool.map(lambda _: httpx.post(f"{service.url}{SLOW}", json=body(1), timeout=60), range(6))]
        rejected = [response for response in responses if response.status_code == 429]
        assert {response.status_code for response in responses} == {200, 429}
        assert all(response.headers["retry-after"] and "is full" in response.json()["error"] for response in rejected)
        assert service.stop() == 0


def test_output_that_needs_too_much_memory_is_413(tmp_path: Path, problem: Problem) -> None:
    save(stylizer_model(), tmp_path / "painters.onnx", stylizer_card())
    image = np.zeros((1, 512, 512, 3), np.uint8)
    head = (
        '{"inputs": [{"name": "images", "datatype": "UINT8", "shape": [1, 512, 512, 3], '
        f'"parameters": {{"binary_data_size": {image.nbytes}}}}}], "parameters": {{"style": "night"WANTED}}}}'
    )
    with (
        running(tmp_path, tmp_path / "log", max_image_memory_mb=4) as service,
        httpx.Client(base_url=service.url, timeout=60) as client,
    ):
        statuses = {}
        for wanted in ("", ', "binary_data_output": true'):
            written = head.replace("WANTED", wanted).encode()
            headers = {"Inference-Header-Content-Length": str(len(written))}
            response = client.post("/v2/models/painters/infer", content=written + image.tobytes(), headers=headers)
            statuses[wanted] = response.status_code
            if not wanted:
                problem(response, 413, mentions="at most 4 MiB")
        assert [*statuses.values()] == [413, 200]  # numbers in JSON take several times the memory of bytes
        assert service.stop() == 0

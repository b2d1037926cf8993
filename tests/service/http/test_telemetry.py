"""Request ids, metrics and logs of the real service."""

import json
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from service.engine.codecs import OpenUpload
from service.http.request_ids import request_id_of
from tests.service.conftest import Problem, image_bytes
from tests.service.onnx_models import (
    generator_card,
    generator_model,
    save,
    slow_generator_model,
    stylizer_card,
    stylizer_model,
)
from tests.service.process.test_drain import until
from tests.service.running import running
from tests.service.slow_readers import large_generator


def samples(client: httpx.Client) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return every value of /metrics by name and labels."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(client: httpx.Client, name: str, **labels: str) -> float:
    return samples(client).get((name, frozenset(labels.items())), 0.0)


@pytest.mark.parametrize("path", ["/v1/sample", "/v1/stylize", "/nope", "/v1/models", "/livez"])
def test_keeps_safe_request_id(client: httpx.Client, path: str) -> None:
    response = client.post(path, headers={"X-Request-ID": "trace-1/ab.c"})
    assert response.headers["x-request-id"] == "trace-1/ab.c"
    if response.status_code >= 400:
        assert response.json()["request_id"] == "trace-1/ab.c"


@pytest.mark.parametrize("given", [None, "", "a" * 129, "a b", 'a"b', "a\nb", "é", "{}"])
def test_generates_id_if_given_one_is_unsafe(given: str | None) -> None:
    made = request_id_of(given)
    assert re.fullmatch("[0-9a-f]{16}", made)
    assert made != request_id_of(given)


def test_problem_documents_of_every_layer_have_the_request_id(client: httpx.Client) -> None:
    for response in (
        client.get("/nope"),  # Starlette's
        client.put("/v1/sample"),
        client.post("/v1/sample", content=b"{"),  # Ganvas's
        client.post("/v1/sample", content=b" " * (2 * 2**20)),  # of the limits
        client.get("/v1/models/nope"),
    ):
        assert response.json()["request_id"] == response.headers["x-request-id"]


def test_counts_batches_waits_and_device_time_by_model(client: httpx.Client) -> None:
    before = {name: value(client, f"ganvas_{name}", model="digits") for name in ("batch_rows_sum", "device_seconds_count")}
    assert client.post("/v1/sample", json={"n": 5}).status_code == 200
    assert value(client, "ganvas_batch_rows_sum", model="digits") == before["batch_rows_sum"] + 5
    assert value(client, "ganvas_device_seconds_count", model="digits") == before["device_seconds_count"] + 1
    assert value(client, "ganvas_queue_wait_seconds_count", model="digits") > 0
    assert value(client, "ganvas_queue_rows", model="digits") == 0
    assert value(client, "ganvas_queue_used_ratio", model="painters") == 0


def test_labels_are_routes_not_paths(client: httpx.Client) -> None:
    before = value(client, "ganvas_http_requests_total", route="other", method="GET", status="404")
    for i in range(20):
        client.get(f"/nope/{i}")
        client.get(f"/v1/models/nope-{i}")
        client.request(f"METHOD{i}", "/nope")
    assert value(client, "ganvas_http_requests_total", route="other", method="GET", status="404") == before + 20
    routes = {dict(labels)["route"] for _, labels in samples(client) if "route" in dict(labels)}
    assert "/v1/models/{name}" in routes
    assert not any("nope" in route for route in routes)
    methods = {dict(labels)["method"] for _, labels in samples(client) if "method" in dict(labels)}
    assert methods <= {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"}


def test_counts_rejections_by_reason(tmp_path: Path) -> None:
    save(slow_generator_model(0.3), tmp_path / "slow.onnx", generator_card("slow"))
    options = {"max_queue_rows": 1, "max_batch_rows": 1}
    with running(tmp_path, tmp_path / "log", **options) as service, httpx.Client(base_url=service.url) as client:
        with ThreadPoolExecutor(6) as pool:
            statuses = [*pool.map(lambda _: httpx.post(f"{service.url}/v1/sample", timeout=60).status_code, range(6))]
        assert set(statuses) == {200, 429}
        refused = value(client, "ganvas_rejections_total", model="slow", reason="queue_full")
        assert refused == statuses.count(429)
        assert value(client, "ganvas_http_requests_total", route="/v1/sample", method="POST", status="429") == refused
        assert service.stop() == 0


def test_rejects_large_uploads_while_others_fill_the_memory(tmp_path: Path) -> None:
    save(stylizer_model(), tmp_path / "painters.onnx", stylizer_card())
    large = image_bytes(Image.new("L", (6000, 6000)))  # small to send and to paint, but large to decode
    upload = OpenUpload(large, name="photo", max_pixels=10**8, max_side=16)
    # Enough for one request, which decodes its images one after the other.
    options = {"codec_threads": 1, "max_image_memory_mb": upload.decode_bytes * 3 // 2 // 2**20}
    with running(tmp_path, tmp_path / "log", **options) as service, httpx.Client(base_url=service.url, timeout=60) as client:

        def call(_: int) -> httpx.Response:
            files = [("image", ("photo.png", large))] * 8
            fields = {"style": "night", "max_side": "16"}
            return httpx.post(f"{service.url}/v1/stylize", files=files, data=fields, timeout=60)

        assert value(client, "ganvas_rejections_total", model="painters", reason="memory_full") == 0
        with ThreadPoolExecutor(4) as pool:
            responses = [*pool.map(call, range(4))]
        refused = [response for response in responses if response.status_code == 429]
        assert {response.status_code for response in responses} == {200, 429}
        assert all("fill the memory" in response.json()["detail"] and response.headers["retry-after"] for response in refused)
        assert value(client, "ganvas_rejections_total", model="painters", reason="memory_full") == len(refused)
        assert value(client, "ganvas_queue_used_ratio", model="painters") == 0
        assert value(client, "ganvas_image_memory_bytes") == 0
        assert call(0).status_code == 200
        assert service.stop() == 0


def test_rejects_request_that_needs_more_memory_than_the_limit(tmp_path: Path, problem: Problem) -> None:
    folder = large_generator(tmp_path / "models")
    save(stylizer_model(), folder / "painters.onnx", stylizer_card())
    photo = ("photo.png", image_bytes(Image.new("L", (3000, 3000))))
    with (
        running(folder, tmp_path / "log", max_image_memory_mb=16) as service,
        httpx.Client(base_url=service.url, timeout=60) as client,
    ):
        problem(client.post("/v1/sample", json={"n": 64}), 413, mentions="at most 16 MiB are allowed")
        problem(client.post("/v1/interpolate", json={"steps": 120}), 413, mentions="fewer or smaller images")
        problem(client.post("/v1/stylize", files={"image": photo}, data={"style": "night"}), 413, mentions="MiB")
        assert client.post("/v1/sample", json={"n": 1}).status_code == 200
        for model, count in (("large", 2), ("painters", 1)):
            assert value(client, "ganvas_rejections_total", model=model, reason="memory_exceeded") == count
        assert value(client, "ganvas_image_memory_bytes") == 0
        assert service.stop() == 0


def test_counts_timeouts(tmp_path: Path) -> None:
    save(slow_generator_model(0.3), tmp_path / "slow.onnx", generator_card("slow"))
    options = {"max_batch_rows": 1, "timeout_s": 0.5}
    with running(tmp_path, tmp_path / "log", **options) as service, httpx.Client(base_url=service.url, timeout=60) as client:
        assert client.post("/v1/sample", json={"n": 20}).status_code == 504
        assert value(client, "ganvas_rejections_total", model="", reason="timed_out") == 1
        assert service.stop() == 0


def test_counts_uploads_rejected_for_memory(models_folder: Path, tmp_path: Path) -> None:
    options = {"max_body_mb": 1, "max_uploads_mb": 1}
    head = b"POST /v1/stylize HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n"
    head += b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    part = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    with running(models_folder, tmp_path / "log", **options) as service, httpx.Client(base_url=service.url) as client:
        for reason in ("uploads_full", "timed_out", "draining"):
            assert samples(client)["ganvas_rejections_total", frozenset({("model", ""), ("reason", reason)})] == 0
        url = httpx.URL(service.url)
        with socket.create_connection((url.host, url.port)) as slow:
            slow.sendall(head + part + bytes(800_000))  # an incomplete upload
            until(lambda: value(client, "ganvas_http_held_bytes") >= 800_000)
            assert client.post("/v1/stylize", files={"image": bytes(700_000)}).status_code == 429
            assert value(client, "ganvas_rejections_total", model="", reason="uploads_full") == 1
        assert service.stop() == 0


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_logs_have_the_request_id(log_format: str, tmp_path: Path) -> None:
    save(generator_model(broken="rows"), tmp_path / "digits.onnx", generator_card())
    options = {"log_format": log_format, "access_log": True}
    with running(tmp_path, tmp_path / "log", **options) as service:
        httpx.post(f"{service.url}/v1/sample", json={"n": 3}, headers={"X-Request-ID": "find-me"})
        httpx.get(f"{service.url}/v1/models/a%0Ab")
        assert service.stop() == 0
        lines = service.stderr().splitlines()
    if log_format == "text":
        assert any(line.endswith("/v1/sample failed [find-me]") for line in lines)
        return
    logged = [json.loads(line) for line in lines]
    failed, answered = (line for line in logged if line.get("request_id") == "find-me")
    assert (failed["level"], failed["logger"]) == ("error", "ganvas.service")
    assert "RuntimeError: digits returned 2 images for 3 rows" in failed["traceback"]
    assert (answered["route"], answered["status"], answered["method"]) == ("/v1/sample", 500, "POST")
    assert answered["ms"] > 0
    assert any(line.get("route") == "/v1/models/{name}" for line in logged)

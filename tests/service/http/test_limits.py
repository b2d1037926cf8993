"""The memory of request bodies and unread responses is bounded."""

from pathlib import Path

import httpx

from tests.service.conftest import Problem
from tests.service.http.test_telemetry import value
from tests.service.process.test_drain import until
from tests.service.running import running
from tests.service.slow_readers import RESPONSE_BYTES, large_generator, unread_response


def test_unread_responses_count_towards_the_limit(tmp_path: Path, problem: Problem) -> None:
    limits = {"max_body_mb": 1, "max_uploads_mb": 20, "send_timeout_s": 3600}
    folder = large_generator(tmp_path / "models")
    with running(folder, tmp_path / "log", **limits) as service, httpx.Client(base_url=service.url, timeout=60) as client:
        with unread_response(service):
            assert client.post("/v1/sample").status_code == 200  # one unread response is within the limit
            with unread_response(service):
                until(lambda: value(client, "ganvas_http_held_bytes") >= 2 * RESPONSE_BYTES)
                refused = client.post("/v1/sample")
                problem(refused, 429, mentions="unread responses")
                assert refused.headers["retry-after"]
                assert client.get("/livez").status_code == 200
        until(lambda: value(client, "ganvas_http_held_bytes") == 0)
        assert client.post("/v1/sample").status_code == 200

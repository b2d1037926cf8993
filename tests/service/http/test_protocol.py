"""Invalid and extreme HTTP on real connections."""

import json
import socket
from pathlib import Path

import httpx
import pytest

from service.http.protocol import MAX_HEAD
from tests.service.http.test_telemetry import value
from tests.service.process.test_drain import until
from tests.service.running import Running, running
from tests.service.slow_readers import RESPONSE_BYTES, large_generator, read_rest, unread_response


def exchange(service: Running, *parts: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes and read until the server closes the connection. Returns status (0 without a response), headers and body."""
    url = httpx.URL(service.url)
    received = b""
    with socket.create_connection((url.host, url.port or 80), timeout=30) as connection:
        try:
            for part in parts:
                connection.sendall(part)
            while data := connection.recv(65536):
                received += data
        except (ConnectionResetError, BrokenPipeError):
            pass
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:] if ": " in line)}
    return int(lines[0].split()[1]) if received else 0, headers, body


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x00" * 100,
        b"POST /v1/sample HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/sample HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /v1/sample HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /livez HTTP/1.1\r\nBad Header\r\n\r\n",
    ],
)
def test_invalid_http_gets_a_problem_document(service: Running, data: bytes) -> None:
    status, headers, body = exchange(service, data)
    assert status == 400
    assert headers["content-type"] == "application/problem+json"
    document = json.loads(body)
    assert document["request_id"] == headers["x-request-id"]
    assert document["status"] == 400


def test_rejects_endless_head(service: Running) -> None:
    endless = (b"X-%d: %s\r\n" % (i, b"a" * 8000) for i in range(1000))
    status, _, body = exchange(service, b"GET /livez HTTP/1.1\r\nHost: x\r\n", *endless)
    assert status in (431, 0)  # 0: the response was lost with the connection, because the client kept sending
    if status:
        assert json.loads(body)["detail"].endswith(f"{MAX_HEAD} bytes.")


def test_rejects_endless_header(service: Running) -> None:
    status, _, _ = exchange(service, b"GET /livez HTTP/1.1\r\nX: ", *(b"a" * 8000 for _ in range(20)))
    assert status in (431, 0)


def test_accepts_long_head_below_the_limit(service: Running) -> None:
    padding = b"X-Padding: " + b"a" * (MAX_HEAD // 2) + b"\r\n"
    request = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    status, _, _ = exchange(service, request, padding, b"\r\n")
    assert status == 200


def test_pipelined_requests_are_answered_in_order(service: Running) -> None:
    two = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /nope HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    status, _, rest = exchange(service, two)
    assert status == 200
    assert b"HTTP/1.1 404" in rest


def test_disconnects_client_that_does_not_read(tmp_path: Path) -> None:
    folder = large_generator(tmp_path / "models")
    with running(folder, tmp_path / "log", send_timeout_s=0.5) as service, httpx.Client(base_url=service.url) as client:
        with unread_response(service) as connection:
            until(lambda: "read nothing of its response for 0.5 s" in service.stderr())
            until(lambda: value(client, "ganvas_http_held_bytes") == 0)
            assert read_rest(connection)[1] < RESPONSE_BYTES
        assert service.stop() == 0


def test_slow_reader_gets_the_whole_response(tmp_path: Path) -> None:
    folder = large_generator(tmp_path / "models")
    with running(folder, tmp_path / "log", send_timeout_s=2) as service, unread_response(service) as connection:
        announced, came = read_rest(connection, pause_s=0.04)  # the whole response takes several times this limit
        assert announced >= RESPONSE_BYTES
        assert came == announced


def test_next_pipelined_request_waits_until_the_response_is_read(tmp_path: Path) -> None:
    folder = large_generator(tmp_path / "models")
    with (
        running(folder, tmp_path / "log") as service,
        httpx.Client(base_url=service.url) as client,
        unread_response(service) as connection,
    ):
        connection.sendall(b"POST /v1/sample HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        for _ in range(10):  # long enough for the second request to run
            assert client.post("/v1/sample", json={"seed": "none"}).status_code == 422
            assert value(client, "ganvas_batch_rows_sum", model="large") == 64
        announced, came = read_rest(connection)
        assert came == announced
        assert connection.recv(12) == b"HTTP/1.1 200"

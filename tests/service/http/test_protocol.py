"""Invalid, extreme and hostile HTTP on real connections."""

import contextlib
import json
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from service.process.server import MAX_HEAD
from tests.service.http.test_telemetry import value
from tests.service.process.test_drain import until
from tests.service.running import Running, running
from tests.service.slow_readers import RESPONSE_BYTES, large_generator, read_rest, unread_response

JSON_HEAD = b"POST /v1/sample HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
BODY = b'{"model": "digits", "seed": 3}'


def connect(service: Running, timeout: float = 30) -> socket.socket:
    url = httpx.URL(service.url)
    return socket.create_connection((url.host, url.port or 80), timeout=timeout)


def exchange(service: Running, *parts: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes and read until the server closes the connection. Returns status (0 without a response), headers and body."""
    received = b""
    with connect(service) as connection:
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
    ("status", "data"),
    [
        (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),  # TLS
        (0, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        (400, b"GET\r\n\r\n"),
        (400, b"\x00" * 100),
        (400, b"POST /v1/sample HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"),
        (400, b"POST /v1/sample HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
        (400, b"POST /v1/sample HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n"),
        (400, b"GET /livez HTTP/1.1\r\nBad Header\r\n\r\n"),
        (431, b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 101 + b"\r\n"),
        (499, JSON_HEAD + CHUNKED + b"zz\r\n"),
        (499, JSON_HEAD + CHUNKED + b"fffffffffffffffff\r\n"),
    ],
)
def test_invalid_http_is_rejected(service: Running, client: httpx.Client, status: int, data: bytes) -> None:
    assert exchange(service, data)[0] == status
    assert client.get("/livez").status_code == 200


def test_length_and_chunks_together_are_one_request(service: Running) -> None:
    """Servers that disagree about the end of such a request let a caller hide a second one in it."""
    hidden = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"
    both = JSON_HEAD + b"Content-Length: 2\r\n" + CHUNKED + b"2\r\n{}\r\n0\r\n\r\n" + hidden
    status, _, body = exchange(service, both)
    assert status == 200
    assert b"HTTP/1.1" not in body  # the hidden request is not answered, and the connection is closed


def test_rejects_endless_head(service: Running) -> None:
    endless = (b"X-%d: %s\r\n" % (i, b"a" * 8000) for i in range(1000))
    status, _, _ = exchange(service, b"GET /livez HTTP/1.1\r\nHost: x\r\n", *endless)
    assert status in (431, 0)  # 0: the response was lost with the connection, because the client kept sending


def test_rejects_endless_header(service: Running) -> None:
    status, _, _ = exchange(service, b"GET /livez HTTP/1.1\r\nX: ", *(b"a" * 8000 for _ in range(100)))
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


def test_deep_pipelines_do_not_stop_other_callers(service: Running, client: httpx.Client) -> None:
    deep = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 10_000
    with contextlib.ExitStack() as opened:
        for _ in range(16):
            connection = opened.enter_context(connect(service))
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while connection.send(deep):
                    pass
        assert [client.get("/livez").status_code for _ in range(20)] == [200] * 20


@pytest.mark.parametrize("packets", [1, 2])
def test_upgrade_is_ignored_and_the_body_read(service: Running, packets: int) -> None:
    head = JSON_HEAD + UPGRADE + b"Content-Length: %d\r\n\r\n" % len(BODY)
    with connect(service) as connection:
        for data in [head + BODY] if packets == 1 else [head, BODY]:
            connection.sendall(data)
        assert connection.recv(12) == b"HTTP/1.1 200"


def test_no_request_hides_in_the_body_of_an_upgrade(service: Running, client: httpx.Client) -> None:
    hidden = b"GET /v1/models/digits HTTP/1.1\r\nHost: internal\r\nConnection: close\r\n\r\n"
    head = b"POST /v1/sample HTTP/1.1\r\nHost: x\r\n" + UPGRADE

    def shown() -> float:
        return value(client, "ganvas_http_requests_total", route="/v1/models/{name}", method="GET", status="200")

    before = shown()
    for line_ends in (0, 100_000):  # which a server skips between requests
        body = b"\r\n" * line_ends + hidden
        with connect(service) as connection, contextlib.suppress(ConnectionError):
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
    assert shown() == before
    assert client.get("/v1/models/digits").status_code == 200
    assert shown() == before + 1


def test_trailers_are_bounded(service: Running, client: httpx.Client) -> None:
    (worker,) = psutil.Process(service.process.pid).children()
    before = worker.memory_info().rss
    sent = 0
    with connect(service) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(b"POST /nope HTTP/1.1\r\nHost: x\r\n" + CHUNKED + b"0\r\n")
        while sent < 64 * 2**20:
            connection.sendall(b"ab:cd\r\n" * 9362)
            sent += 9362 * 7
    assert sent < 64 * 2**20
    assert worker.memory_info().rss < before + 32 * 2**20
    assert client.get("/livez").status_code == 200


@pytest.mark.parametrize("packets", [1, 2])
def test_trailers_are_not_headers(models_folder: Path, tmp_path: Path, packets: int) -> None:
    keys = tmp_path / "keys"
    keys.write_text("alpha\n")
    chunks = b"%x\r\n%s\r\n0\r\n" % (len(BODY), BODY)
    trailers = b"X-API-Key: alpha\r\nX-Request-Id: from-a-trailer\r\n\r\n"
    with running(models_folder, tmp_path / "log", api_keys_file=keys) as service, connect(service) as connection:
        for data in [JSON_HEAD + CHUNKED + chunks + trailers] if packets == 1 else [JSON_HEAD + CHUNKED, chunks + trailers]:
            connection.sendall(data)
        received = connection.recv(65536)
        assert received.startswith(b"HTTP/1.1 401")
        assert b"from-a-trailer" not in received


DRIBBLES = {
    "head": (b"GET /livez HTTP/1.1\r\nHost: x\r\n", b"a: b\r\n"),
    "line ends between requests": (b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\n"),
    "nothing after a response": (b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", b""),
    "body": (JSON_HEAD + b"Content-Length: 3000\r\n\r\n", b" "),
    "chunk extension": (JSON_HEAD + CHUNKED + b"1;", b"a"),
    "trailers": (JSON_HEAD + CHUNKED + b"0\r\n", b"a: b\r\n"),
    "body after an early 404": (b"POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n", b"x"),
    "body of a GET": (b"GET /v1/models HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n", b"x"),
    "chunks after a 415": (b"POST /v1/stylize HTTP/1.1\r\nHost: x\r\nContent-Type: a/b\r\n" + CHUNKED, b"1\r\nx\r\n"),
}


def test_slow_bytes_keep_no_connection_open(models_folder: Path, tmp_path: Path) -> None:
    with running(models_folder, tmp_path / "log", timeout_s=5) as service, contextlib.ExitStack() as opened:
        waiting = {name: opened.enter_context(connect(service)) for name in DRIBBLES}
        for name, connection in waiting.items():
            connection.sendall(DRIBBLES[name][0])
            connection.setblocking(False)

        def all_closed() -> bool:
            time.sleep(1)
            for name, connection in [*waiting.items()]:
                try:
                    connection.sendall(DRIBBLES[name][1])
                    while connection.recv(65536):
                        pass
                except BlockingIOError:
                    continue
                except ConnectionError:
                    pass
                del waiting[name]
            return not waiting

        until(all_closed, limit_s=90)


def test_idle_connections_do_not_shut_out_health_checks(models_folder: Path, tmp_path: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with running(models_folder, tmp_path / "log", descriptors=(1024, hard)) as service, contextlib.ExitStack() as opened:
        for _ in range(1100):
            connection = opened.enter_context(connect(service))
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n")
        assert httpx.get(f"{service.url}/livez", timeout=30).status_code == 200
        assert service.stop() == 0


INCOMPLETE: dict[str, bytes] = {
    "head": b"GET /livez HTTP/1.1\r\nHost: x\r\n",
    "body": JSON_HEAD + b"Content-Length: 100\r\n\r\n{",
    "nothing": b"",
}


@pytest.mark.parametrize("sent", INCOMPLETE)
def test_connections_that_wait_for_their_client_make_room(sent: str, models_folder: Path, tmp_path: Path) -> None:
    """At the limit of connections, those that wait for their client are closed long before they time out."""
    started = running(models_folder, tmp_path / "log", descriptors=(256, 256), timeout_s=3600)
    with started as service, contextlib.ExitStack() as opened:
        for _ in range(400):
            connection = opened.enter_context(connect(service))
            connection.sendall(INCOMPLETE[sent])
        answered = [httpx.get(f"{service.url}/livez", timeout=60).status_code for _ in range(3)]
        assert answered == [200] * 3
        assert httpx.post(f"{service.url}/v1/sample", timeout=60).status_code == 200


def test_disconnects_client_that_does_not_read(tmp_path: Path) -> None:
    folder = large_generator(tmp_path / "models")
    with running(folder, tmp_path / "log", send_timeout_s=0.5) as service, httpx.Client(base_url=service.url) as client:
        with unread_response(service) as connection:
            until(lambda: value(client, "ganvas_http_held_bytes") > RESPONSE_BYTES)
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


def test_response_before_the_end_of_a_body_closes_the_connection(service: Running) -> None:
    status, headers, body = exchange(service, b"POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\nsome")
    assert status == 404
    assert headers["connection"] == "close"
    assert json.loads(body)["status"] == 404


def test_client_that_reuses_connections_gets_each_413(service: Running) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(40):
            yield b"0" * 65536

    with httpx.Client(base_url=service.url, timeout=30) as client:
        statuses = [client.post("/v1/sample", content=chunks()).status_code for _ in range(20)]
    assert statuses == [413] * 20


EXPECT = b"Host: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: "


def test_client_that_asks_before_it_sends_is_told_at_once(service: Running) -> None:
    for head in (
        b"POST /nope HTTP/1.1\r\n" + EXPECT + b"30000\r\n\r\n",
        b"POST /v1/sample HTTP/1.1\r\n" + EXPECT + b"90000000\r\n\r\n",
    ):
        status, headers, _ = exchange(service, head)  # no `100 Continue` comes before it
        assert status == (404 if b"nope" in head else 413)
        assert headers["connection"] == "close"


def test_client_that_asks_before_it_sends_may_send(service: Running) -> None:
    with connect(service) as connection:
        connection.sendall(b"POST /v1/sample HTTP/1.1\r\n" + EXPECT + b"%d\r\n\r\n" % len(BODY))
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODY)
        assert connection.recv(12) == b"HTTP/1.1 200"

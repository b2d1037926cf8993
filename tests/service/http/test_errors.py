"""Errors that do not depend on the fields of a request: route, method, size, invalid bytes."""

import itertools
import socket
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.service.conftest import LIMITS, Problem, image_bytes
from tests.service.running import Running

LIMIT = LIMITS["max_body_mb"] * 2**20
POST_ROUTES = ["/v1/sample", "/v1/interpolate", "/v1/stylize"]
GET_ROUTES = ["/v1/models", "/v1/models/digits", "/v1/models/digits/preview.png", "/livez", "/readyz", "/metrics", "/"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/v1",
        "/v1/",
        "/v2/sample",
        "/v1/sample/x",
        "/v1/sample/",
        "/v1/models/",
        "/docs/",
        "/v1/models/a/b",
        "/%00",
        "/v1/%2e%2e",
        "/é",
        "/a" * 3000,
    ],
)
def test_unknown_route_is_404(client: httpx.Client, problem: Problem, method: str, path: str) -> None:
    problem(client.request(method, path), 404, mentions="docs.json")


@pytest.mark.parametrize(("method", "path"), [("GET", "/v2/nope"), ("GET", "/v2/models/digits/infer"), ("PUT", "/v2")])
def test_documents_below_v2_have_the_member_error(client: httpx.Client, method: str, path: str) -> None:
    document = client.request(method, path).json()
    assert document["error"] == document["detail"]
    assert "error" not in client.request(method, "/v1/nope").json()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", POST_ROUTES)
def test_post_route_rejects_other_methods(client: httpx.Client, problem: Problem, method: str, path: str) -> None:
    response = client.request(method, path)
    problem(response, 405, mentions="POST")
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", GET_ROUTES)
def test_get_route_rejects_other_methods(client: httpx.Client, problem: Problem, method: str, path: str) -> None:
    response = client.request(method, path, content=b"{}")
    problem(response, 405)
    assert "GET" in response.headers["allow"]


def test_response_to_head_has_no_body(client: httpx.Client) -> None:
    assert client.head("/v1/models").status_code == 200
    missing = client.head("/v1/models/nope")
    assert missing.status_code == 404
    assert missing.content == b""


@pytest.mark.parametrize("path", [*POST_ROUTES, "/nope", "/v1/models"])
def test_rejects_too_large_content_length(client: httpx.Client, problem: Problem, path: str) -> None:
    problem(client.post(path, content=b" " * (LIMIT + 1)), 413, mentions=str(LIMIT))


def test_rejects_too_large_chunked_body(client: httpx.Client, problem: Problem) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        yield from itertools.repeat(b"0" * 65536, LIMIT // 65536 + 4)

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    problem(client.post("/v1/stylize", content=chunks(), headers=headers), 413, mentions=str(LIMIT))


def test_accepts_body_of_exactly_the_limit(client: httpx.Client) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="style"\r\n\r\nnight\r\n'
    head += b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    head += image_bytes(Image.new("RGB", (16, 16)))
    tail = b"\r\n--x--\r\n"
    body = head + bytes(LIMIT - len(head) - len(tail)) + tail  # what follows the end of a PNG is ignored
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert client.post("/v1/stylize", content=body, headers=headers).status_code == 200
    assert client.post("/v1/stylize", content=body + b" ", headers=headers).status_code == 413


@pytest.mark.parametrize("path", [*POST_ROUTES, *GET_ROUTES])
def test_rejects_pickles(client: httpx.Client, problem: Problem, path: str) -> None:
    headers = {"Content-Type": "application/vnd.bentoml+pickle"}
    problem(client.post(path, content=b"cos\nsystem\n(S'false'\ntR.", headers=headers), 415, mentions="Pickles")


@pytest.mark.parametrize("path", [*POST_ROUTES, *GET_ROUTES, "/nope"])
def test_every_response_has_a_request_id(client: httpx.Client, path: str) -> None:
    given = client.get(path, headers={"X-Request-ID": "my-own.name_7"})
    assert given.headers["x-request-id"] == "my-own.name_7"
    first, second = (client.get(path).headers["x-request-id"] for _ in range(2))
    assert len(first) == 16
    assert first != second


@pytest.mark.parametrize("name", ["", "a b", "x" * 129, "ä", '"><script>', "%0a"])
def test_replaces_unsafe_request_id(client: httpx.Client, name: str) -> None:
    response = client.post("/v1/sample", headers=[(b"x-request-id", name.encode())])
    assert response.headers.get_list("x-request-id") != [name]
    assert len(response.headers["x-request-id"]) == 16


def test_random_bytes_never_cause_500(client: httpx.Client) -> None:
    random = np.random.default_rng(0)
    types = ["application/json", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "image/png"]
    for path, content_type, size in itertools.product(POST_ROUTES, types, [0, 1, 100, 10_000]):
        content = random.bytes(size)
        response = client.post(path, content=content, headers={"Content-Type": content_type})
        assert response.status_code < 500
        if response.status_code != 200:  # an empty body is a valid sample request
            assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "raw",
    [b"garbage\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"POST /v1/sample HTTP/1.1\r\nContent-Length: -5\r\n\r\n", b"\0" * 100],
)
def test_service_survives_invalid_http(service: Running, client: httpx.Client, raw: bytes) -> None:
    url = httpx.URL(service.url)
    with socket.create_connection((url.host, url.port or 80), timeout=5) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        assert b"500" not in connection.recv(65536)
    assert client.get("/livez").status_code == 200


def test_service_survives_aborted_upload(service: Running, client: httpx.Client) -> None:
    url = httpx.URL(service.url)
    head = b"POST /v1/%s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 1000\r\n\r\n{"
    for route, content_type in ((b"sample", b"application/json"), (b"stylize", b"multipart/form-data; boundary=x")):
        with socket.create_connection((url.host, url.port or 80), timeout=5) as connection:
            connection.sendall(head % (route, content_type))
    assert client.post("/v1/sample").status_code == 200

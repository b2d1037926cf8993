"""BentoML fetches a URL that is given in place of a file. This service never does: a listener notices every connection."""

import json
import socket
from collections.abc import Iterator

import httpx
import pytest


@pytest.fixture
def trap() -> Iterator[socket.socket]:
    """A listener that nobody must connect to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.3)
        yield listener


def attempts(url: str) -> Iterator[dict]:
    part = '--x\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n--x--\r\n'
    for field in ("image", "style", "model", "file", "url"):
        yield {"content": part.format(field, url), "headers": {"Content-Type": "multipart/form-data; boundary=x"}}
        yield {"data": {field: url}}
        yield {"json": {field: url}}
        yield {"json": {field: [url]}}
    yield {"content": part.format("image", f'"{url}"'), "headers": {"Content-Type": "multipart/form-data; boundary=x"}}
    for content_type in ("application/json", "text/plain", "image/png", "application/octet-stream", None):
        headers = {} if content_type is None else {"Content-Type": content_type}
        yield {"content": url, "headers": headers}
        yield {"content": json.dumps(url), "headers": headers}
    pickled = b"X" + len(url).to_bytes(4, "little") + url.encode() + b"."
    yield {"content": pickled, "headers": {"Content-Type": "application/vnd.bentoml+pickle"}}
    yield {"content": pickled, "headers": {"Content-Type": "application/vnd.bentoml+pickle; q=1"}}
    yield {"content": pickled, "headers": {"Content-Type": "Application/VND.BentoML+Pickle"}}


@pytest.mark.parametrize("route", ["/v1/stylize", "/v1/sample"])
def test_urls_in_requests_are_never_fetched(client: httpx.Client, trap: socket.socket, route: str) -> None:
    url = f"http://127.0.0.1:{trap.getsockname()[1]}/photo.png"
    for attempt in attempts(url):
        response = client.post(route, **attempt)
        assert 400 <= response.status_code < 500, attempt
        assert response.headers["content-type"] == "application/problem+json"
    with pytest.raises(TimeoutError):
        trap.accept()


def test_trap_notices_a_connection(trap: socket.socket) -> None:
    with socket.create_connection(trap.getsockname()):
        trap.accept()[0].close()

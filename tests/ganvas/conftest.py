"""The real service for the client's tests, and a gateway whose responses a test sets. The gateway returns errors that a real
service does not return on demand."""

import asyncio
import contextlib
import inspect
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ganvas
from tests.service.onnx_models import generator_card, generator_model, save, stylizer_card, stylizer_model
from tests.service.running import Running, running

LIMITS = {"max_body_mb": 1, "max_pixels": 1_000_000, "max_n": 40, "max_side": 256, "default_side": 128}


@pytest.fixture(autouse=True)
def _no_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    proxies = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
    for name in ("GANVAS_URL", "GANVAS_API_KEY", "SSL_CERT_FILE", "SSL_CERT_DIR", *proxies):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save(generator_model(), folder / "digits.onnx", generator_card())
    save(stylizer_model(), folder / "painters.onnx", stylizer_card())
    (folder / "broken.onnx").write_bytes(b"not a model")
    return folder


@pytest.fixture(scope="session")
def service(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(models_folder, tmp_path_factory.mktemp("log"), **LIMITS) as started:
        yield started
        assert "Traceback" not in started.stderr()


@pytest.fixture(scope="session")
def client(service: Running) -> Iterator[ganvas.Client]:
    with ganvas.Client(service.url) as opened:
        yield opened


Ask = Callable[..., Any]


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Call a method of a fresh client of either kind: ask(url, "sample", 3, seed=7)."""

    def call(url: str, method: str, *args: Any, options: dict[str, Any] | None = None, **kwargs: Any) -> Any:
        if request.param == "sync":
            with ganvas.Client(url, **(options or {})) as client:
                return getattr(client, method)(*args, **kwargs)

        async def run() -> Any:
            async with ganvas.AsyncClient(url, **(options or {})) as client:
                awaitable = getattr(client, method)(*args, **kwargs)
                assert inspect.isawaitable(awaitable)
                return await awaitable

        return asyncio.run(run())

    return call


def photo(width: int = 50, height: int = 30, shade: int = 0) -> np.ndarray:
    """[height, width, 3], smooth enough to survive a JPEG."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // width, y * 255 // height, (shade + x + y) % 256], axis=2).astype(np.uint8)


def draw_photos(folder: Path, count: int, side: int = 24) -> list[Path]:
    """Write `count` tiny photos, each different, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"photo-{i:04d}.png" for i in range(count)]
    for i, path in enumerate(paths):
        Image.fromarray(photo(side, side, shade=i % 256)).save(path)
    return paths


@dataclass
class Gateway:
    """A server on a real port. The test sets its next responses; when they are used up, it responds with 404."""

    url: str
    responses: deque[tuple[int, dict[str, str], bytes]] = field(default_factory=deque)
    seen: list[dict[str, str]] = field(default_factory=list)

    def will(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.responses.append((status, {name.replace("_", "-"): value for name, value in headers.items()}, body))


HANG_UP = 0
"""In place of a status: close the connection without a response."""


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            gateway_state.seen.append(dict(self.headers))
            status, headers, body = gateway_state.responses.popleft() if gateway_state.responses else (404, {}, b"")
            if status == HANG_UP:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)
            # If the body is shorter than stated, the client waits for the rest until the connection closes.
            self.close_connection = int(headers.get("Content-Length", len(body))) != len(body)

        do_GET = do_POST = respond  # noqa: N815  http.server's names

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that rejects a response closes the connection."""

    with Server(("127.0.0.1", 0), Handler) as server:
        gateway_state = Gateway(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield gateway_state
        server.shutdown()
        thread.join()

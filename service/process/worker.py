"""The worker process: it holds the models and serves HTTP. `python -m service` starts it, and starts another when it dies.

It runs BentoML's application in uvicorn, as BentoML's own workers do. After SIGTERM it finishes the accepted requests and exits
with 0; a second SIGTERM ends it at once. It also ends when the process that started it dies.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

from ganvas.api import MODELS
from service.settings import ROOT, settings

if TYPE_CHECKING:
    from service.engine.models import Models

logger = logging.getLogger("ganvas.service")

BACKLOG = 2048  # connections that the kernel holds, as in BentoML
LAST_CALL_S = 1.0  # for requests on connections that are open when the port closes
CUT_OFF_S = 1  # for requests that are in flight at the end of the drain
SWITCH_INTERVAL_S = 0.001  # how soon a thread that waits for Python's lock gets it


def main() -> int:
    """Serve on the given socket until a signal comes, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m service.process.worker", description=__doc__)
    parser.add_argument("--socket", type=int, required=True, help="file descriptor of the listening socket")
    parser.add_argument("--ready", type=int, required=True, help="file descriptor to write a byte to when ready")
    parser.add_argument("--parent", type=int, required=True, help="file descriptor that closes when the parent dies")
    parser.add_argument("--url", required=True, help="address for the welcome message")
    options = parser.parse_args()
    settings()
    # Until uvicorn installs its handlers, no request is accepted, so the process can exit at once.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    threading.Thread(target=_exit_with_parent, args=(options.parent,), name="parent", daemon=True).start()
    with socket.socket(fileno=options.socket) as listener:
        return _serve(listener, options.url, options.ready)


def _exit_with_parent(descriptor: int) -> None:
    os.read(descriptor, 1)  # nothing is ever written: it returns when the other end closes
    signal.raise_signal(signal.SIGTERM)


def _serve(listener: socket.socket, url: str, ready: int) -> int:
    _configure_bentoml()
    from service.process import logs

    logs.set_up(settings().log_format)
    sys.setswitchinterval(SWITCH_INTERVAL_S)

    from service.engine.errors import DeviceError
    from service.engine.models import models
    from service.http.api_keys import KeysError

    try:
        served = models()
    except DeviceError as error:
        return fail(str(error))

    import bentoml
    import uvicorn
    from bentoml._internal.context import server_context

    from service.app import Ganvas
    from service.http.lifecycle import lifecycle
    from service.http.protocol import BoundedProtocol
    from service.process.versions import versions

    class Server(uvicorn.Server):
        """uvicorn's server, but it keeps answering while the service drains."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                sys.stdout.write(welcome(served, url))
                sys.stdout.flush()
                os.write(ready, b"1")

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            if lifecycle().draining:
                self.should_exit = self.force_exit = True
            lifecycle().drain()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # No new connection is accepted from here on. Callers with open connections are answered before these close.
            callers = [caller for listening in sockets or [] for caller in _pending(listening)]
            for server in self.servers:
                server.close()
            for listening in sockets or []:
                listening.close()
            for caller in callers:
                await asyncio.get_running_loop().connect_accepted_socket(self._protocol, caller)
            last = time.monotonic() + LAST_CALL_S
            while self.server_state.connections and time.monotonic() < last:  # noqa: ASYNC110  # a set, not an event
                await asyncio.sleep(0.02)
            await super().shutdown(sockets)

        def _protocol(self) -> BoundedProtocol:
            return BoundedProtocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

        async def on_tick(self, counter: int) -> bool:
            if await super().on_tick(counter):
                return True
            connections = cast("set[BoundedProtocol]", self.server_state.connections)
            unsent = sum(connection.unsent for connection in connections) if lifecycle().draining else 0
            return lifecycle().should_exit(len(connections), unsent, settings().drain_s)

    ganvas = cast("bentoml.Service[Any]", Ganvas)  # the decorator turns the class into this
    server_context.service_type = "entry_service"
    server_context.service_name = server_context.bento_name = ganvas.name
    server_context.bento_version = versions()["ganvas"]
    try:
        app: Any = ganvas.to_asgi()
    except KeysError as error:
        return fail(f"GANVAS_API_KEYS_FILE: {error}")
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        log_config=None,
        log_level="error",  # warnings are only about malformed requests
        access_log=False,
        server_header=False,
        ws="none",
        proxy_headers=False,  # `service.http.callers` decides whose X-Forwarded-For is believed
        backlog=BACKLOG,
        timeout_graceful_shutdown=CUT_OFF_S,
    )
    Server(config).run(sockets=[listener])
    logger.info("Shutdown complete.")
    return 0


def _pending(listener: socket.socket) -> list[socket.socket]:
    """Accept the connections that wait in the kernel; closing the port would reset them."""
    listener.setblocking(False)
    callers = []
    with contextlib.suppress(OSError):  # BlockingIOError: no more
        while True:
            callers.append(listener.accept()[0])
    return callers


def _configure_bentoml() -> None:
    """Set the environment variables that BentoML reads while it is imported."""
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    os.environ.setdefault("BENTOML_HOME", str(_writable_home()))


def _writable_home() -> Path:
    home = ROOT / ".bentoml"
    try:
        home.mkdir(exist_ok=True)
        tempfile.TemporaryFile(dir=home).close()
    except OSError:
        return Path(tempfile.gettempdir()) / "ganvas-bentoml"
    return home


def welcome(models: "Models", url: str) -> str:
    """Address and example commands for the served models."""
    lines = [f"Ganvas is ready: {url}", "Open it in a browser for the studio, or type:", ""]
    lines += [f"  {model.example_command(url, _photo())}" for model in models.all()]
    lines += [f"  curl {url}{MODELS}"]
    if not models.all():
        lines += ["", "No model is served. Put an exported model into the models folder."]
    return "\n".join([*lines, "", "Press Ctrl-C to stop.", ""])


def _photo() -> str:
    """The photo of the documentation, if this is a checkout."""
    photo = ROOT / "docs" / "images" / "photo.jpg"
    return os.path.relpath(photo) if photo.is_file() else "photo.jpg"


def fail(message: str) -> int:
    """Print an error to stderr and return the exit code."""
    sys.stderr.write(f"ganvas: {message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())

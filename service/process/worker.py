"""The worker process: it holds the models and serves HTTP. `python -m service` starts it, and starts another when it dies.

It runs BentoML's application in Granian. After SIGTERM it finishes the accepted requests and exits with 0; a second SIGTERM
ends it at once. It also ends when the process that started it dies.
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
from typing import TYPE_CHECKING, Any, NoReturn, cast

from ganvas.api import MODELS
from service.settings import ROOT, misspelt, settings

if TYPE_CHECKING:
    from service.engine.models import Models

logger = logging.getLogger("ganvas.service")

INVALID_SETTING = 2  # exit code, as for a setting that `service.settings` rejects
ORPHAN_S = 5.0  # from the end of the drain to the exit, if the process that would kill this one is dead
INVALID_SETTING = 2  # exit code
SWITCH_INTERVAL_S = 0.001  # how soon a thread that waits for Python's lock gets it


def main() -> int:
    """Serve on the given socket until a signal comes, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m service.process.worker", description=__doc__)
    parser.add_argument("--socket", type=int, required=True, help="file descriptor of the listening socket")
    parser.add_argument("--ready", type=int, required=True, help="file descriptor to write GANVAS_DRAIN_S to when ready")
    parser.add_argument("--parent", type=int, required=True, help="file descriptor that closes when the parent dies")
    parser.add_argument("--url", required=True, help="address for the welcome message")
    options = parser.parse_args()
    settings()
    # Until the server installs its handlers, no request is accepted, so a signal ends the process at once. A handler in Python
    # would wait until the model that is being loaded returns to Python.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    threading.Thread(target=_exit_with_parent, args=(options.parent,), name="parent", daemon=True).start()
    with socket.socket(fileno=options.socket) as listener:
        return _serve(listener, options.url, options.ready)


def _exit_with_parent(descriptor: int) -> None:
    os.read(descriptor, 1)  # nothing is ever written: it returns when the other end closes
    signal.raise_signal(signal.SIGTERM)
    time.sleep(settings().drain_s + ORPHAN_S)
    end(1)


def _serve(listener: socket.socket, url: str, ready: int) -> int:
    _configure_bentoml()
    from service.process import logs

    logs.set_up(settings().log_format)
    for name, setting in misspelt().items():
        logger.warning("%s is not a setting and has no effect. Is %s meant?", name, setting)
    sys.setswitchinterval(SWITCH_INTERVAL_S)

    from service.engine.errors import DeviceError
    from service.engine.models import models
    from service.http.api_keys import KeysError

    try:
        served = models()
    except DeviceError as error:
        return fail(str(error))

    import bentoml
    import uvloop
    from bentoml._internal.context import server_context

    from service.app import Ganvas
    from service.http.protocol import Protocol
    from service.process.server import serve
    from service.process.versions import versions

    def started() -> None:
        with contextlib.suppress(OSError):  # nobody reads it: a closed pipe, a full disk
            sys.stdout.write(welcome(served, url))
            sys.stdout.flush()
        os.write(ready, str(settings().drain_s).encode())

    ganvas = cast("bentoml.Service[Any]", Ganvas)  # the decorator turns the class into this
    server_context.service_type = "entry_service"
    server_context.service_name = server_context.bento_name = ganvas.name
    server_context.bento_version = versions()["ganvas"]
    try:
        app = Protocol(ganvas.to_asgi(), started)
    except KeysError as error:
        return fail(f"GANVAS_API_KEYS_FILE: {error}", INVALID_SETTING)
    if not asyncio.Runner(loop_factory=uvloop.new_event_loop).run(serve(app, listener)):
        return fail("the application failed to start; the log says why")
    logger.info("Shutdown complete.")
    return 0


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


def fail(message: str, code: int = 1) -> int:
    """Print an error to stderr and return the exit code."""
    sys.stderr.write(f"ganvas: {message}\n")
    return code


def end(code: int) -> NoReturn:
    """End the process now. `sys.exit` would first wait for every thread, also for one whose model or image never finishes."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    end(main())

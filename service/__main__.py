"""Run the service: `python -m service --port 3000`. It says what to open and what to type when it is ready.

One process serves: BentoML's application in uvicorn, as BentoML's own workers run it, without the supervisor in front,
which would import everything a second time. SIGTERM and Ctrl-C let the accepted requests finish, then exit with 0.
Settings are environment variables; see `service/settings.py`.
"""

import argparse
import errno
import logging
import math
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from service.settings import ROOT, settings

if TYPE_CHECKING:
    from service.engine.models import Models

BACKLOG = 2048  # connections that the kernel holds, as BentoML's own default
LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, serve until a signal comes, and return the exit code."""
    options = _parser().parse_args(arguments)
    settings()
    try:
        listener = _listen(options.host, options.port)
    except OSError as error:
        busy = error.errno == errno.EADDRINUSE
        reason = "it is in use; choose another with --port" if busy else error.strerror or str(error)
        return _fail(f"cannot listen on {options.host}:{options.port}: {reason}")
    with listener, tempfile.TemporaryDirectory(prefix="ganvas-metrics-") as metrics:
        return _serve(listener, options.host, metrics)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m service", description="Serve the exported models over HTTP.")
    parser.add_argument("--port", type=_port, default=3000, help="TCP port; 0 takes a free one (default: %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for all (default: %(default)s)")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, not {text!r}")
    return int(text)


def _listen(host: str, port: int) -> socket.socket:
    """Take the port before anything slow is imported: a busy one is known at once, and early callers wait in line."""
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def _serve(listener: socket.socket, host: str, metrics: str) -> int:
    _configure_bentoml(metrics)
    logging.basicConfig(format=LOG_FORMAT, level=logging.WARNING)
    logging.getLogger("ganvas").setLevel(logging.INFO)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of every broken form
    # uvicorn gives signals back to the handlers before its own, once it has shut down: these make that an exit of 0.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))

    from service.engine.models import models
    from service.engine.sessions import DeviceError

    try:
        served = models()
    except DeviceError as error:
        return _fail(str(error))

    import bentoml
    import uvicorn
    from bentoml._internal.context import server_context

    from service.endpoints import Ganvas
    from service.openapi import version

    port = listener.getsockname()[1]

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                sys.stdout.write(welcome(served, f"http://{_shown(host)}:{port}"))
                sys.stdout.flush()

    ganvas = cast("bentoml.Service[Any]", Ganvas)  # what the decorator makes of the class
    # Labels of the metrics, set as BentoML's worker does.
    server_context.service_type = "entry_service"
    server_context.service_name = server_context.bento_name = ganvas.name
    server_context.bento_version = version()
    app: Any = ganvas.to_asgi()
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="error",  # below it are only other people's broken requests
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=math.ceil(settings().timeout_s),
    )
    Server(config).run(sockets=[listener])
    return 0


def _configure_bentoml(metrics: str) -> None:
    """Set what BentoML reads from the environment while it is imported."""
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    os.environ.setdefault("BENTOML_HOME", str(_writable_home()))
    # Counters are kept in files; a folder of this run's own starts them at zero and does not grow from run to run.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics


def _writable_home() -> Path:
    home = ROOT / ".bentoml"
    try:
        home.mkdir(exist_ok=True)
        tempfile.TemporaryFile(dir=home).close()
    except OSError:
        return Path(tempfile.gettempdir()) / "ganvas-bentoml"
    return home


def _shown(host: str) -> str:
    if host in ("127.0.0.1", "0.0.0.0", "::", "::1"):  # noqa: S104
        return "localhost"
    return f"[{host}]" if ":" in host else host


def welcome(models: "Models", url: str) -> str:
    """What to open and what to type, for the models that are really served."""
    lines = [f"Ganvas is ready: {url}", "Open it in a browser for the studio, or type:", ""]
    for generator in models.generators.values():
        name = generator.card.name
        body = f'{{"model": "{name}", "n": 16, "seed": 7}}'
        lines += [f"  curl {url}/v1/sample -H 'Content-Type: application/json' -d '{body}' -o {name}.png"]
    for stylizer in models.stylizers.values():
        name, style = stylizer.card.name, stylizer.card.styles[0].name
        lines += [f"  curl {url}/v1/stylize -F image=@{_photo()} -F model={name} -F style={style} -o {style}.jpg"]
    lines += [f"  curl {url}/v1/models"]
    if not models.all():
        lines += ["", "No model is served; put an exported one into the models folder and start again."]
    return "\n".join([*lines, "", "Ctrl-C ends it.", ""])


def _photo() -> str:
    """A photo that the reader has: the documentation's, in a checkout."""
    photo = ROOT / "docs" / "images" / "photo.jpg"
    return os.path.relpath(photo) if photo.is_file() else "photo.jpg"


def _fail(message: str) -> int:
    sys.stderr.write(f"ganvas: {message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())

"""What the Dockerfile says, as far as it can be told without building it; tests/container builds it."""

import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from service.settings import ROOT

Instruction = tuple[str, str]

DOCKERFILE = (ROOT / "Dockerfile").read_text()
IMAGES = ("gpu", "cpu", "training")


def instructions() -> list[Instruction]:
    """Word and rest of each, without comments, continued lines joined."""
    lines = [line for line in DOCKERFILE.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n", "", "\n".join(lines))
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def stages() -> dict[str, list[Instruction]]:
    """The instructions of every stage, by its name."""
    found: dict[str, list[Instruction]] = {}
    for word, rest in instructions():
        if word == "FROM":
            found[rest.split(" AS ")[1]] = []
        elif found:
            list(found.values())[-1].append((word, rest))
    return found


def test_the_base_is_pinned_to_a_patch() -> None:
    assert re.search(r"^ARG BASE=python:3\.\d+\.\d+-slim-[a-z]+$", DOCKERFILE, re.MULTILINE)


def test_a_new_commit_builds_no_layer_anew() -> None:
    """The commit is in the last instructions of each image, and known to nothing before it."""
    for name, stage in stages().items():
        mentions = [index for index, (_, rest) in enumerate(stage) if "REVISION" in rest]
        assert mentions == ([len(stage) - 3, len(stage) - 1] if name in IMAGES else []), name
        if mentions:
            assert stage[-3:] == [
                ("ARG", "REVISION=unknown"),
                ("RUN", "true"),
                ("LABEL", 'org.opencontainers.image.revision="${REVISION}"'),
            ]


@contextmanager
def answering(status: int) -> Iterator[int]:
    """The port of a server that is ready or not."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def healthy(port: int) -> bool:
    """What the image's health check says of a port, where there is a proxy that answers nobody."""
    (check,) = (rest for word, rest in stages()["service"] if word == "HEALTHCHECK")
    python, *arguments = json.loads(check.partition("CMD ")[2])
    assert python == "python"
    assert any("3000" in word for word in arguments)
    command = [sys.executable, *(word.replace("3000", str(port)) for word in arguments)]
    proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy"), "http://127.0.0.1:9")
    without = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    return subprocess.run(command, env={**without, **proxies}, capture_output=True, timeout=60).returncode == 0


@pytest.mark.parametrize(("status", "expected"), [(200, True), (503, False)])
def test_the_health_check_asks_the_service_itself(status: int, expected: bool) -> None:
    with answering(status) as port:
        assert healthy(port) is expected


def test_the_health_check_fails_where_nothing_answers() -> None:
    with answering(200) as port:
        pass
    assert not healthy(port)

"""Checks of the Dockerfile that need no build. tests/container builds it."""

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
    """Keyword and arguments of each instruction, without comments and with continued lines joined."""
    lines = [line for line in DOCKERFILE.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n", "", "\n".join(lines))
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def stages() -> dict[str, list[Instruction]]:
    """The instructions of each stage, by its name."""
    found: dict[str, list[Instruction]] = {}
    for word, rest in instructions():
        if word == "FROM":
            found[rest.split(" AS ")[1]] = []
        elif found:
            list(found.values())[-1].append((word, rest))
    return found


def test_base_image_is_pinned_to_a_patch_version() -> None:
    assert re.search(r"^ARG BASE=python:3\.\d+\.\d+-slim-[a-z]+$", DOCKERFILE, re.MULTILINE)


def test_new_commit_rebuilds_only_the_label() -> None:
    """Only the last instructions of each image mention the commit."""
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
    """The port of a server whose /readyz returns a status."""

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
    """Run the health check of the image for a port, with a dead proxy in the environment."""
    (check,) = (rest for word, rest in stages()["service"] if word == "HEALTHCHECK")
    python, *arguments = json.loads(check.partition("CMD ")[2])
    assert python == "python"
    assert any("3000" in word for word in arguments)
    command = [sys.executable, *(word.replace("3000", str(port)) for word in arguments)]
    proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy"), "http://127.0.0.1:9")
    without = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    return subprocess.run(command, env={**without, **proxies}, capture_output=True, timeout=60).returncode == 0


@pytest.mark.parametrize(("status", "expected"), [(200, True), (503, False)])
def test_health_check_ignores_proxies(status: int, expected: bool) -> None:
    with answering(status) as port:
        assert healthy(port) is expected


def test_health_check_fails_without_a_server() -> None:
    with answering(200) as port:
        pass
    assert not healthy(port)

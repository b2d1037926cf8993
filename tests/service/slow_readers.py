"""Callers that request more than the kernel buffers, and read it slowly."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.service.onnx_models import LATENT_SIZE, generator_card, generator_model, save
from tests.service.running import Running

LARGE_SIDE = 256  # pixels
RESPONSE_BYTES = 64 * LARGE_SIDE**2 * 3  # of images; Linux buffers at most 4 MB for the sender, and little for the reader
RECEIVE_BUFFER = 64 * 2**10


def large_generator(folder: Path) -> Path:
    """Write a generator of large images into a folder."""
    card = generator_card("large", height=LARGE_SIDE, width=LARGE_SIDE, channels=3)
    save(generator_model(LATENT_SIZE, LARGE_SIDE, 3), folder / "large.onnx", card)
    return folder


@contextlib.contextmanager
def unread_response(service: Running) -> Iterator[socket.socket]:
    """A connection on which a response of at least `RESPONSE_BYTES` has begun to arrive and nothing was read."""
    url = httpx.URL(service.url)
    body = json.dumps({"n": 64, "format": "npy"}).encode()
    head = f"POST /v1/sample HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        connection.settimeout(60)
        connection.connect((url.host, url.port or 80))
        connection.sendall(head.encode() + body)
        assert connection.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 200"
        yield connection


def read_rest(connection: socket.socket, pause_s: float = 0) -> tuple[int, int]:
    """Read a response to its end, with a pause before each read. Returns the announced and the received bytes of its body."""
    received = bytearray()
    announced = end = 0
    with contextlib.suppress(ConnectionResetError):
        while not end or len(received) < end:
            time.sleep(pause_s)
            data = connection.recv(min(2**20, end - len(received)) if end else 2**20)
            received += data
            if not end and b"\r\n\r\n" in received:
                head = bytes(received).partition(b"\r\n\r\n")[0]
                fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:])
                announced = int(fields[b"content-length"])
                end = len(head) + 4 + announced
            if not data:
                break
    return announced, len(received) - (end - announced)

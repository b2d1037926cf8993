"""The open connections of this process, as the kernel sees them. The HTTP server does not show them."""

import fcntl
import os
import socket
import struct
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from service.http.protocol import Client


class Connection(NamedTuple):
    """One connection.

    Attributes:
        descriptor: of the socket, which the server owns and may close at any time.
        client: address and port of the other end.
        unsent: bytes that the client has not acknowledged. If this is 0, nothing waits in the server either: it writes until
            the kernel's buffer is full.
    """

    descriptor: int
    client: Client
    unsent: int


def descriptors() -> list[int]:
    """Return the open descriptors of this process."""
    return [int(name) for name in os.listdir("/dev/fd")]  # noqa: PTH208  # a Path for each would take three times as long


def connections() -> list[Connection]:
    """Return the open TCP connections of this process."""
    found = []
    for descriptor in descriptors():
        with suppress(OSError), _borrowed(descriptor) as opened:  # OSError: it is not a connected socket, or no longer open
            if opened.family in (socket.AF_INET, socket.AF_INET6):
                client = _client(opened)
                unsent = struct.unpack("i", fcntl.ioctl(opened, termios.TIOCOUTQ, bytes(4)))[0]
                found.append(Connection(opened.fileno(), client, unsent))
    return found


def disconnect(connection: Connection) -> None:
    """End a connection, so that the server closes it."""
    with suppress(OSError), _borrowed(connection.descriptor) as opened:
        if _client(opened) == connection.client:
            opened.shutdown(socket.SHUT_RDWR)


def _client(opened: socket.socket) -> Client:
    host, port = opened.getpeername()[:2]
    return host.partition("%")[0], port  # without the zone of an IPv6 address, as the server states it


@contextmanager
def _borrowed(descriptor: int) -> Iterator[socket.socket]:
    opened = socket.socket(fileno=descriptor)
    try:
        yield opened
    finally:
        opened.detach()

"""Granian, the HTTP server, on a socket that is already bound. It serves until the drain is over.

Granian's own classes bind their socket themselves, and stop accepting connections at the first signal. Here the supervisor
holds the socket, and new connections are answered with 503 while the service drains.
"""

import asyncio
import ctypes
import os
import resource
import signal
import socket
import struct
import sys
import time
from typing import Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server as EmbeddedServer
from starlette.types import ASGIApp

from service.http.lifecycle import lifecycle
from service.http.protocol import Client, Protocol
from service.process.connections import connections, descriptors, disconnect
from service.settings import settings

BACKLOG = 2048  # connections that the kernel holds, as in BentoML
MAX_HEAD = 64 * 2**10  # bytes
HEAD_S = 20.0  # longest time from the connection, or from the response before, to the last byte of a head
MAX_CONNECTIONS = 8192
OTHER_DESCRIPTORS = 1024  # kept free for files: uploads, models
LAST_CALL_S = 2.0  # longest wait for connections that are open when the port closes
TICK_S = 0.05
LOOK_S = 1.0  # between two counts of the connections
PATIENCE_S = 2.0  # before a connection that waits for its client is closed because others cannot connect
SO_ATTACH_FILTER = 26  # of Linux; the module socket does not have it
OWN_LOGGING = {"incremental": True, "formatters": {}, "handlers": {}, "loggers": {}}  # Granian's would replace the service's


class Server(EmbeddedServer):
    """Granian with the service's limits.

    Args:
        app: the ASGI application.
        listener: a listening socket, which Granian takes over.

    Attributes:
        port: another descriptor of the listening socket.
    """

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        super().__init__(
            app,
            interface=Interfaces.ASGI,
            http=HTTPModes.http1,
            websockets=False,
            backlog=BACKLOG,
            backpressure=max_connections(),
            http1_settings=HTTP1Settings(header_read_timeout=round(HEAD_S * 1000), max_buffer_size=MAX_HEAD),
            log_level=LogLevels.error,
            log_dictconfig=OWN_LOGGING,
        )
        self._listener = listener
        self.port = listener.dup()

    def _init_shared_socket(self) -> None:
        if sys.platform == "linux":
            # A client that reads nothing of its response for this long is disconnected.
            timeout_ms = round(settings().send_timeout_s * 1000)
            self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout_ms)
        holder: Any = SocketHolder  # its type stub lacks the arguments
        self._shd = holder(self._listener.detach(), False, BACKLOG)


def max_connections() -> int:
    """Number of connections that are open at once. Further ones wait in the kernel."""
    available = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return min(MAX_CONNECTIONS, max(available - OTHER_DESCRIPTORS, available // 2))


async def serve(app: Protocol, listener: socket.socket) -> bool:
    """Serve until the drain is over. Returns False if the application failed to start."""
    draining = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, _drain, draining)
    server = Server(app, listener)
    serving = asyncio.create_task(server.serve())
    drained = asyncio.create_task(_drained(draining))
    relief = asyncio.create_task(_make_room(app.answering, max_connections()))
    await asyncio.wait({serving, drained}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        drained.cancel()
        return False
    refuse_connections(server.port)
    since = lifecycle().draining_since or 0  # by the same clock
    last = min(time.monotonic() + LAST_CALL_S, since + settings().drain_s)
    while connections() and time.monotonic() < last:  # noqa: ASYNC110  # they are answered before the port closes
        await asyncio.sleep(TICK_S)
    server.port.close()
    server.stop()  # type: ignore[no-untyped-call]
    relief.cancel()
    await asyncio.wait({serving}, timeout=LAST_CALL_S)
    return True


def refuse_connections(listener: socket.socket) -> None:
    """Let the kernel drop new connections from now on. Those that it has accepted still reach the server.

    When Granian stops, it closes connections on which it has read nothing, also if a request is on its way.
    """
    if sys.platform == "linux":
        drop = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))  # one BPF instruction: return 0 bytes
        program = struct.pack("HL", 1, ctypes.addressof(drop))
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


def _drain(draining: asyncio.Event) -> None:
    if lifecycle().draining:
        os._exit(0)  # the second signal
    lifecycle().drain()
    draining.set()


async def _drained(draining: asyncio.Event) -> None:
    await draining.wait()
    while True:
        opened = connections()
        if lifecycle().should_exit(len(opened), sum(connection.unsent for connection in opened), settings().drain_s):
            return
        await asyncio.sleep(TICK_S)


async def _make_room(answering: set[Client], limit: int) -> None:
    """While most of the possible connections are open, close those that wait longest for their clients.

    Otherwise idle connections could keep out everybody else, and the health checks, until they time out.
    """
    waiting: dict[Client, float] = {}  # since when
    while True:
        await asyncio.sleep(LOOK_S)
        if len(descriptors()) < 0.75 * limit:
            waiting = {}
            continue
        opened = connections()
        now = time.monotonic()
        waiting = {one.client: waiting.get(one.client, now) for one in opened if one.client not in answering}
        if len(opened) > 0.75 * limit:
            late = [one for one in opened if waiting.get(one.client, now) <= now - PATIENCE_S]
            late.sort(key=lambda one: waiting[one.client])
            for one in late[: len(opened) - limit // 2]:
                disconnect(one)

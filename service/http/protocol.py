"""uvicorn's HTTP/1.1 protocol (with httptools), with bounds that uvicorn does not have.

The head of a request has a limit in bytes and in seconds. Otherwise a client that sends endless headers, or one byte per hour,
would cost memory and sockets. Invalid HTTP gets a problem document as well.

For uvicorn, a response is sent when it is in the connection's buffer. Here it is sent when the buffer is empty. Until then
`send` waits, so the middleware still counts the request. A client that reads nothing for a while is disconnected. Otherwise it
could keep the response in memory and delay a shutdown without a limit.
"""

import asyncio
import fcntl
import json
import logging
import sys
import termios
from http import HTTPStatus
from typing import Any

from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ganvas.api import REQUEST_ID_HEADER
from service.http.problems import MEDIA_TYPE, HeadTooLarge, Malformed, Problem
from service.http.request_ids import REQUEST_ID, request_id_of
from service.settings import settings

logger = logging.getLogger("ganvas.service")

MAX_HEAD = 64 * 2**10  # bytes; checked after each read, so a head may exceed it by one read
HEAD_S = 20.0  # longest time from the connection, or from the first byte of a head, to the last byte of the head


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._application = self.app
        self.app = self._respond
        self._head_bytes = 0
        self._in_head = True
        self._head_timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None
        self._left: int | None = None  # bytes that were unread at the last check

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        # When more than the upper limit waits, writing pauses until everything is sent.
        transport.set_write_buffer_limits(high=HIGH_WATER_LIMIT, low=0)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client or the service has closed the connection."""
        self._stop_timer()
        if self._send_timer is not None:
            self._send_timer.cancel()
        super().connection_lost(exc)

    @property
    def unsent(self) -> int:
        """Bytes of responses that wait in the connection's buffer."""
        return self.transport.get_write_buffer_size()

    def data_received(self, data: bytes) -> None:
        """Bytes have arrived."""
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD:
            self._reject(HeadTooLarge(f"The request's head is larger than the limit of {MAX_HEAD} bytes."))
        elif self._head_timer is None:
            self._await_head()

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        """A head is complete."""
        self._in_head = False
        self._head_bytes = 0
        self._stop_timer()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """A response is complete, but may wait in the buffer."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """The buffer is full."""
        super().pause_writing()
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """The client sent invalid HTTP."""
        self._reject(Malformed(msg))

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application with a `send` that returns when the data has left the buffer."""

        async def send_through(message: Message) -> None:
            await send(message)
            await self._sent()

        await self._sent()  # a pipelined request waits until the previous response is read
        await self._application(scope, receive, send_through)

    async def _sent(self) -> None:
        if self.flow.write_paused:
            await self.flow.drain()

    def _watch(self) -> None:
        """Check after a while whether the client has read anything."""
        self._left = None
        if self._send_timer is None:
            self._send_timer = self.loop.call_later(settings().send_timeout_s, self._check)

    def _check(self) -> None:
        self._send_timer = None
        if not self.unsent:
            return
        left = self.unsent + self._unacknowledged()
        if self._left is not None and left >= self._left:
            logger.warning("A client read nothing of its response for %g s and was disconnected.", settings().send_timeout_s)
            self.transport.abort()
            return
        self._left = left
        self._send_timer = self.loop.call_later(settings().send_timeout_s, self._check)

    def _unacknowledged(self) -> int:
        """Bytes in the kernel's buffer. The connection's own buffer shrinks by megabytes at a time: minutes on a slow line."""
        descriptor = self.transport.get_extra_info("socket").fileno()
        try:
            return int.from_bytes(fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
        except OSError:  # not every kernel supports this for sockets
            return 0

    def _reject(self, problem: Problem) -> None:
        token = REQUEST_ID.set(request_id_of(None))
        try:
            body = json.dumps(problem.document()).encode()
            head = (
                f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\ncontent-type: {MEDIA_TYPE}\r\n"
                f"content-length: {len(body)}\r\n{REQUEST_ID_HEADER.lower()}: {REQUEST_ID.get()}\r\nconnection: close\r\n\r\n"
            )
        finally:
            REQUEST_ID.reset(token)
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_S, self.transport.close)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

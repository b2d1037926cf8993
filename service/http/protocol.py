"""HTTP/1.1 as uvicorn speaks it with httptools, with bounds that neither of them has.

A request's head may have so many bytes, and may take so long: else a caller who sends headers without end, or a byte an
hour, costs memory and sockets. What is no HTTP is answered with a problem document as well.

uvicorn counts an answer as given once it is in the connection's buffer. Here it is given once the buffer is empty: until then
whoever sends an answer waits, and the layers around the application still hold its request. A caller who takes nothing of it
for a while is cut off: else the answer, and the drain that waits for it, would be at its mercy.
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

MAX_HEAD = 64 * 2**10  # bytes; one read more of it may come before it is noticed
HEAD_S = 20.0  # from the connection, or from a head's first byte, to its last


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._application = self.app
        self.app = self._answer
        self._head_bytes = 0
        self._in_head = True
        self._head_timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None
        self._left: int | None = None  # bytes that were not taken when we last looked

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A caller has connected."""
        super().connection_made(transport)
        # Once more than the upper limit waits, the flow is paused until all of it is sent.
        transport.set_write_buffer_limits(high=HIGH_WATER_LIMIT, low=0)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The caller, or we, have hung up."""
        self._stop_timer()
        if self._send_timer is not None:
            self._send_timer.cancel()
        super().connection_lost(exc)

    @property
    def unsent(self) -> int:
        """Bytes of answers that the network has not taken yet."""
        return self.transport.get_write_buffer_size()

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD:
            self._refuse(HeadTooLarge(f"The request's head is over the limit of {MAX_HEAD} bytes"))
        elif self._head_timer is None:
            self._await_head()

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        """A head is whole."""
        self._in_head = False
        self._head_bytes = 0
        self._stop_timer()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """An answer is whole, though it may wait in the buffer."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """The buffer is full."""
        super().pause_writing()
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP."""
        self._refuse(Malformed(msg))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application with a `send` that returns once what it sent has left."""

        async def send_through(message: Message) -> None:
            await send(message)
            await self._sent()

        await self._sent()  # whoever asks for more before reading gets nothing more made
        await self._application(scope, receive, send_through)

    async def _sent(self) -> None:
        if self.flow.write_paused:
            await self.flow.drain()

    def _watch(self) -> None:
        """Look after a while whether what was just written has left."""
        self._left = None
        if self._send_timer is None:
            self._send_timer = self.loop.call_later(settings().send_timeout_s, self._look)

    def _look(self) -> None:
        self._send_timer = None
        if not self.unsent:
            return
        left = self.unsent + self._unacknowledged()
        if self._left is not None and left >= self._left:
            logger.warning("a caller took nothing of its answer for %g seconds and was cut off", settings().send_timeout_s)
            self.transport.abort()
            return
        self._left = left
        self._send_timer = self.loop.call_later(settings().send_timeout_s, self._look)

    def _unacknowledged(self) -> int:
        """Bytes that the kernel still holds. Our own buffer shrinks by megabytes at a time, which takes a slow line minutes."""
        descriptor = self.transport.get_extra_info("socket").fileno()
        try:
            return int.from_bytes(fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
        except OSError:  # not every kernel tells it of a socket
            return 0

    def _refuse(self, problem: Problem) -> None:
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

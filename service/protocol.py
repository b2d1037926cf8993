"""HTTP/1.1 as uvicorn speaks it with httptools, with bounds that neither of them has.

A request's head may have so many bytes, and may take so long: else a caller who sends headers without end, or a byte an
hour, costs memory and sockets. What is no HTTP is answered with a problem document as well.

uvicorn counts an answer as given once it is in the connection's buffer. Here it is given once the buffer is empty: until then
whoever sends an answer waits, and the layers around the application still hold its request.
"""

import asyncio
import json
from http import HTTPStatus
from typing import Any

from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.problems import MEDIA_TYPE, HeadTooLarge, Malformed, Problem
from service.request_ids import HEADER, REQUEST_ID, request_id_of

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

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A caller has connected."""
        super().connection_made(transport)
        # Once more than the upper limit waits, the flow is paused until all of it is sent.
        transport.set_write_buffer_limits(high=HIGH_WATER_LIMIT, low=0)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The caller, or we, have hung up."""
        self._stop_timer()
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

    def _refuse(self, problem: Problem) -> None:
        token = REQUEST_ID.set(request_id_of(None))
        try:
            body = json.dumps(problem.document()).encode()
            head = (
                f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\ncontent-type: {MEDIA_TYPE}\r\n"
                f"content-length: {len(body)}\r\n{HEADER.lower()}: {REQUEST_ID.get()}\r\nconnection: close\r\n\r\n"
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

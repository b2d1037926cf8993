"""What the HTTP server leaves to the application: when a body ends, how much of a response waits, and who waits for whom.

Granian parses HTTP, and limits heads, trailers and idle connections. This outermost layer adds:

- A response is passed on in parts, and `send` returns when the server has taken the last one. Granian would accept a body of
  any size at once, so the middleware could not count what a slow client has not read.
- If a response starts before the body of its request has arrived, the rest is read and dropped for a moment: a connection that
  closes while its client still sends is reset, and the client never reads the response. If more follows, the connection closes.
  A client that waits for `100 Continue` gets its response instead, at once.
- A body of known length ends with its last byte. Granian would announce the end in a message of its own, which costs a switch
  between threads for each request.
"""

import asyncio
import contextlib
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

PART = 128 * 2**10  # bytes
QUEUED_PARTS = 4  # of one response, which Granian holds before it makes `send` wait
CLOSE = (b"connection", b"close")
DROP_S, DROP_BYTES = 2.0, 64 * 2**20  # the most that is read of a body whose response is known


Client = tuple[str, int]
"""Address and port."""


class Protocol:
    """ASGI middleware between Granian and the application.

    Args:
        app: the next layer.
        started: called when the application has started and the server is about to accept connections.

    Attributes:
        answering: clients whose request has arrived completely and whose response is not sent. Every other connection waits for
            its client.
    """

    def __init__(self, app: ASGIApp, started: Callable[[], None]) -> None:
        self.app = app
        self.started = started
        self.answering: set[Client] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http":
            scope.pop("extensions", None)  # of Granian; a file that it sends by itself would not be counted
            host, port = scope["client"]
            exchange = _Exchange(scope, receive, send, (host, int(port)), self.answering)
            try:
                await self.app(scope, exchange.receive, exchange.send)
            finally:
                self.answering.discard(exchange.client)
            return

        async def send_lifespan(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self.started()
            await send(message)

        await self.app(scope, receive, send_lifespan)


class _Exchange:
    """One request and its response."""

    __slots__ = ("_answering", "_awaits_continue", "_ended", "_left", "_receive", "_send", "client")

    def __init__(self, scope: Scope, receive: Receive, send: Send, client: Client, answering: set[Client]) -> None:
        self.client = client
        self._receive = receive
        self._send = send
        self._answering = answering
        self._left = _body_length(scope)  # bytes of the body that have not arrived; None if unknown
        self._awaits_continue = _expects_continue(scope)  # the server sends `100 Continue` when the body is read
        self._ended = False  # whether the application has seen the end of the body
        if self._left == 0:
            answering.add(client)

    async def receive(self) -> Message:
        """Return the next part of the body or, after its end, that the client has disconnected."""
        if self._left == 0 and not self._ended:
            self._ended = True
            return {"type": "http.request", "body": b"", "more_body": False}
        self._awaits_continue = False
        message = await self._receive()
        if message["type"] != "http.request":
            return message
        if self._ended:  # the end that Granian announces after the last byte
            return await self._receive()
        if self._left is not None:
            self._left -= len(message["body"])
            if self._left == 0:
                message["more_body"] = False
        if not message["more_body"]:
            self._ended = True
            self._answering.add(self.client)
        return message

    async def send(self, message: Message) -> None:
        """Pass a message on in parts."""
        if message["type"] == "http.response.start":
            await self._drop_body()
            if not self._ended and self._left != 0:
                message = {**message, "headers": [*message["headers"], CLOSE]}
            await self._send(message)
        elif len(body := message.get("body", b"")) <= PART:
            await self._send(message)
        else:
            for start in range(0, len(body), PART):
                await self._send_part(body[start : start + PART])
            for _ in range(QUEUED_PARTS):  # when the server has room for these, it has taken all parts of the body
                await self._send_part(b"")
            await self._send({**message, "body": b""})

    async def _drop_body(self) -> None:
        """Read what is left of the body, within limits."""
        if self._awaits_continue:
            return  # otherwise the client would send its body now
        dropped = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DROP_S):
                while not self._ended and self._left != 0 and dropped < DROP_BYTES:
                    message = await self.receive()
                    if message["type"] != "http.request":
                        return
                    dropped += len(message["body"])

    async def _send_part(self, part: bytes) -> None:
        await self._send({"type": "http.response.body", "body": part, "more_body": True})


def _expects_continue(scope: Scope) -> bool:
    return any(name == b"expect" and value.lower() == b"100-continue" for name, value in scope["headers"])


def _body_length(scope: Scope) -> int | None:
    length: int | None = 0
    for name, value in scope["headers"]:
        if name == b"transfer-encoding":
            return None
        if name == b"content-length":
            length = int(value)
    return length

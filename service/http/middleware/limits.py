"""The outermost layer: what comes in is bounded, what goes out as an error is a problem document.

It lies around BentoML's whole application, so that BentoML's and Starlette's own errors (an unknown path, a wrong
method, a failure inside them) leave in the same form as ours.
"""

import http.client
import logging
from typing import Any

from prometheus_client import Gauge
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.engine.metrics import rejected
from service.http.problems import BY_STATUS, MEDIA_TYPE, Internal, Problem, QueueFull, TooLarge, Unsupported
from service.http.request_ids import REQUEST_ID

logger = logging.getLogger("ganvas.service")

PICKLE = "application/vnd.bentoml+pickle"
KEPT = ("allow", "retry-after", "server")  # headers of a foreign error that its problem document keeps

HELD = Gauge(
    "ganvas_http_held_bytes", "Bytes of request bodies and of answers that are not sent yet.", multiprocess_mode="livesum"
)


class Boundary:
    """ASGI middleware that bounds what is in memory of bodies, and rewrites every foreign error as a problem document.

    Args:
        app: what lies inside.
        max_body: bytes of a request body, as announced and as counted while it comes in.
        max_held: bytes of all bodies in hand, over which nobody new is let in. A request's count until it is answered, an
            answer's until it is sent.
    """

    def __init__(self, app: ASGIApp, max_body: int, max_held: int) -> None:
        self.app = app
        self.max_body = max_body
        self.max_held = max(max_held, max_body)
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass on what is not HTTP."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self.max_body:
            await self._too_large().response()(scope, receive, send)
        elif headers.get("content-type", "").startswith(PICKLE):
            # BentoML refuses pickles as well, but logs a traceback for each.
            await Unsupported("Pickles are never read").response()(scope, receive, send)
        else:
            await self._pass_on(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        received = 0
        held = 0  # for this request

        def hold(size: int) -> None:
            nonlocal held
            held += size
            self._held += size
            HELD.inc(size)

        async def bounded_receive() -> Message:
            nonlocal received
            message = await receive()
            size = len(message.get("body", b""))
            received += size
            hold(size)
            if received > self.max_body:
                raise self._too_large()
            if self._held > self.max_held and message["type"] == "http.request" and not answer.started:
                rejected("uploads_full")
                raise QueueFull("As many uploads and unread answers are in hand as there may be; try again in a second")
            return message

        async def holding_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                hold(-held)  # what the answer was made of is gone
            size = len(message.get("body", b""))
            hold(size)
            try:
                await send(message)  # which waits for the caller to read, see `service.http.protocol`
            finally:
                hold(-size)

        answer = _Answer(scope, holding_send)
        try:
            await self.app(scope, bounded_receive, answer.send)
        except Problem as problem:  # of the body, at a route that does not read it as ours do
            if answer.started:
                raise
            await problem.response()(scope, receive, send)
        except Exception:
            logger.exception("%s %r failed", scope["method"], scope["path"][:200])
            if not answer.started:
                await Internal("The service failed; its log says why").response()(scope, receive, send)
            elif not answer.replaced:
                raise  # the server closes the connection: the caller sees that the answer is not whole
        finally:
            hold(-held)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body is over the limit of {self.max_body} bytes")


class _Answer:
    """One answer on its way out; a foreign error is held back until it is whole, then replaced."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.started = False
        self.replaced = False
        self._scope = scope
        self._send = send
        self._start: Message | None = None
        self._body = b""

    async def send(self, message: Message) -> None:
        """Send on, or hold back, one ASGI message."""
        if message["type"] == "http.response.start":
            self.started = True
            media_type = Headers(raw=message["headers"]).get("content-type", "")
            if message["status"] >= 400 and not media_type.startswith(MEDIA_TYPE):
                self._start = message
                return
        if self._start is None:
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if not message.get("more_body", False):
            await self._send_problem(self._start)

    async def _send_problem(self, start: Message) -> None:
        status, headers = start["status"], Headers(raw=start["headers"])
        kept = {name: headers[name] for name in KEPT if name in headers}
        answer = JSONResponse(self._document(status, headers), status, kept, media_type=MEDIA_TYPE)
        await self._send({**start, "headers": answer.raw_headers})
        await self._send({"type": "http.response.body", "body": answer.body})
        self.replaced = True

    def _document(self, status: int, headers: Headers) -> dict[str, Any]:
        path, method = self._scope["path"][:200], self._scope["method"]
        text = self._body.decode("utf-8", "replace").strip()
        phrase = http.client.responses.get(status, "Error")
        if status == 404:
            detail = f"There is no {path!r}; /docs.json lists every route"
        elif status == 405:
            detail = f"{path!r} does not take {method}, only {headers.get('allow', 'other methods')}"
        elif status >= 500 and status != 503:
            detail = "The service failed; its log says why"
        else:  # Starlette and BentoML's health checks say what is wrong in plain text
            detail = text if text and headers.get("content-type", "").startswith("text/plain") else phrase
        if status in BY_STATUS:
            return BY_STATUS[status](detail).document()
        document = {"type": "about:blank", "title": phrase, "status": status, "detail": detail}
        return {**document, "request_id": REQUEST_ID.get()}

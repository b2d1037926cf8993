"""Bounds the memory of request and response bodies, and turns every error response into a problem document.

This is the innermost middleware. It wraps BentoML's whole application, so BentoML's and Starlette's own errors (an unknown
path, a wrong method, a failure inside them) get the same form as Ganvas's.
"""

import http.client
import logging
from typing import Any

from prometheus_client import Gauge
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.engine.callers import CALLER
from service.engine.metrics import rejected
from service.engine.shares import FairShare
from service.http.json_response import JsonResponse
from service.http.problems import BY_STATUS, FAILED, MEDIA_TYPE, Internal, Problem, QueueFull, TooLarge, Unsupported
from service.http.request_ids import REQUEST_ID
from service.http.v2_errors import with_error

logger = logging.getLogger("ganvas.service")

PICKLE = "application/vnd.bentoml+pickle"
KEPT_HEADERS = ("allow", "retry-after", "server")  # headers of a foreign error that its problem document keeps

HELD = Gauge("ganvas_http_held_bytes", "Bytes of request bodies and of unsent responses.", multiprocess_mode="livesum")


class RequestLimits:
    """ASGI middleware that bounds the bodies in memory and rewrites every foreign error as a problem document.

    Args:
        app: the next layer.
        max_body: bytes of one request body, as announced and as counted while it arrives.
        max_held: bytes of all bodies in memory; above it, new requests are rejected. Callers share it. A request body counts
            until its response starts, a response until it is sent.
    """

    def __init__(self, app: ASGIApp, max_body: int, max_held: int) -> None:
        self.app = app
        self.max_body = max_body
        self._share = FairShare(max(max_held, max_body))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one HTTP request; pass on everything else."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self.max_body:
            await self._too_large().response()(scope, receive, send)
        elif headers.get("content-type", "").startswith(PICKLE):
            # BentoML rejects pickles as well, but logs a traceback for each.
            await Unsupported("Pickles are never read.").response()(scope, receive, send)
        else:
            await self._pass_on(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = CALLER.get()
        received = 0
        held = 0  # for this request

        def hold(size: int) -> None:
            nonlocal held
            held += size
            self._share.take(caller, size)
            HELD.inc(size)

        async def bounded_receive() -> Message:
            nonlocal received
            message = await receive()
            size = len(message.get("body", b""))
            received += size
            full = self._share.held > held and not self._share.fits(caller, size)  # a request that is alone is always read
            hold(size)
            if received > self.max_body:
                raise self._too_large()
            if full and message["type"] == "http.request" and not response.started:
                rejected("uploads_full")
                raise QueueFull("Too many uploads and unread responses are in flight. Retry after 1 s.")
            return message

        async def holding_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                hold(-held)  # the request body is no longer needed
            size = len(message.get("body", b""))
            hold(size)
            try:
                await send(message)  # returns when little of it is unsent, see `service.http.protocol`
            finally:
                hold(-size)

        response = _ResponseRewriter(scope, holding_send)
        try:
            await self.app(scope, bounded_receive, response.send)
        except Problem as problem:  # raised by `bounded_receive` in a route that is not Ganvas's
            if response.started:
                raise
            await problem.response()(scope, receive, send)
        except Exception:
            logger.exception("%s %r failed", scope["method"], scope["path"][:200])
            if not response.started:
                await Internal(FAILED).response()(scope, receive, send)
            elif not response.replaced:
                raise  # the server closes the connection, so the client sees that the response is incomplete
        finally:
            hold(-held)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body is larger than the limit of {self.max_body} bytes.")


class _ResponseRewriter:
    """Sends one response. A foreign error is held back until it is complete, then replaced by a problem document."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.started = False
        self.replaced = False
        self._scope = scope
        self._send = send
        self._start: Message | None = None
        self._body = b""

    async def send(self, message: Message) -> None:
        """Send one ASGI message, or hold it back."""
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
        kept = {name: headers[name] for name in KEPT_HEADERS if name in headers}
        response = JsonResponse(self._document(status, headers), status, kept, media_type=MEDIA_TYPE)
        await self._send({**start, "headers": response.raw_headers})
        await self._send({"type": "http.response.body", "body": response.body})
        self.replaced = True

    def _document(self, status: int, headers: Headers) -> dict[str, Any]:
        path, method = self._scope["path"][:200], self._scope["method"]
        text = self._body.decode("utf-8", "replace").strip()
        phrase = http.client.responses.get(status, "Error")
        if status == 404:
            detail = f"No route {path!r} exists. /docs.json lists every route."
        elif status == 405:
            detail = f"{path!r} does not support {method}, only {headers.get('allow', 'other methods')}."
        elif status >= 500 and status != 503:
            detail = FAILED
        else:  # Starlette and BentoML's health checks explain the error in plain text
            detail = text if text and headers.get("content-type", "").startswith("text/plain") else phrase
        if status in BY_STATUS:
            return BY_STATUS[status](detail).document()
        document = {"type": "about:blank", "title": phrase, "status": status, "detail": detail}
        return with_error({**document, "request_id": REQUEST_ID.get()})

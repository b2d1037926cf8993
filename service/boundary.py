"""The outermost layer: what comes in is bounded, what goes out as an error is a problem document.

It lies around BentoML's whole application, so that BentoML's and Starlette's own errors (an unknown path, a wrong
method, a failure inside them) leave in the same form as ours. Every answer names its request in `X-Request-ID`, and so does
the log where a request fails.
"""

import http.client
import logging
import re
import secrets
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import BY_STATUS, MEDIA_TYPE, Internal, TooLarge, Unsupported

logger = logging.getLogger("ganvas.service")

PICKLE = "application/vnd.bentoml+pickle"
REQUEST_ID = "x-request-id"
REQUEST_IDS = re.compile(r"[A-Za-z0-9._-]{1,64}")  # what may be written into a log
KEPT = ("allow", "retry-after", "server")  # headers of a foreign error that its problem document keeps


class Boundary:
    """ASGI middleware that bounds request bodies and rewrites every foreign error as a problem document.

    Args:
        app: what lies inside.
        max_body: bytes of a request body, as announced and as counted while it comes in.
    """

    def __init__(self, app: ASGIApp, max_body: int) -> None:
        self.app = app
        self.max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass on what is not HTTP."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers)

        async def named_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self.max_body:
            await self._too_large().response()(scope, receive, named_send)
        elif headers.get("content-type", "").startswith(PICKLE):
            # BentoML refuses pickles as well, but logs a traceback for each.
            await Unsupported("Pickles are never read").response()(scope, receive, named_send)
        else:
            await self._pass_on(scope, receive, named_send, request_id)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        received = 0

        async def bounded_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_body:
                raise self._too_large()
            return message

        answer = _Answer(scope, send, request_id)
        try:
            await self.app(scope, bounded_receive, answer.send)
        except Exception:
            if answer.started:
                raise  # the server logs it, and closes the connection
            logger.exception("%s %s failed (request %s)", scope["method"], scope["path"], request_id)
            await Internal("The service failed; its log says why").response()(scope, receive, send)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body is over the limit of {self.max_body} bytes")


def _request_id(headers: Headers) -> str:
    """The caller's own name for its request, where it gave a fit one, or a new one."""
    given = headers.get(REQUEST_ID, "")
    return given if REQUEST_IDS.fullmatch(given) else secrets.token_hex(8)


class _Answer:
    """One answer on its way out; a foreign error is held back until it is whole, then replaced."""

    def __init__(self, scope: Scope, send: Send, request_id: str) -> None:
        self.started = False
        self._request_id = request_id
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
        if status == 500:  # BentoML has logged why, but not of which request
            logger.error("%s %s failed (request %s)", self._scope["method"], self._scope["path"], self._request_id)
        kept = {name: headers[name] for name in KEPT if name in headers}
        answer = JSONResponse(self._document(status, headers), status, kept, media_type=MEDIA_TYPE)
        await self._send({**start, "headers": answer.raw_headers})
        await self._send({"type": "http.response.body", "body": answer.body})

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
        return {"type": "about:blank", "title": phrase, "status": status, "detail": detail}

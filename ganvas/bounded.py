"""Transports that load each response completely, up to the limit of its request.

The client asks for gzip at most and decompresses it here, piece by piece: httpx would decompress first and count afterwards.
"""

import contextlib
import time
import zlib
from collections.abc import Iterator

import httpx

from ganvas.api import REQUEST_ID_HEADER
from ganvas.errors import UnexpectedResponseError
from ganvas.limits import ERROR_BYTES, JSON_BYTES, MIB

LIMIT = "ganvas.max_bytes"
"""The extension of a request that holds its limit in bytes."""

ACCEPTED_ENCODING = "gzip"
SLOWEST = 16 * 1024
"""Bytes a second. `timeout` starts again with each byte, so one byte now and then could hold a call for ever."""

GZIP = 31  # zlib's window bits for a gzip stream

ABOUT_THE_BODY = (b"content-encoding", b"content-length", b"transfer-encoding")


class BoundedTransport(httpx.BaseTransport):
    """Load the responses of another transport.

    Raises:
        UnexpectedResponseError: a response is longer than its limit, or compressed in a way that the client did not ask for.
        httpx.ReadTimeout: its body takes longer than the request's timeout and a second for each `SLOWEST` bytes.
    """

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self._transport = transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and load its response."""
        response = self._transport.handle_request(request)
        with contextlib.closing(response):
            body = _Body(request, response)
            with body.errors_without_a_body():
                if response.is_stream_consumed:  # by the caller's own transport
                    return body.with_content(response.content)
                for piece in response.iter_raw():
                    body.add(piece)
            return body.loaded()

    def close(self) -> None:
        """Close the other transport."""
        self._transport.close()


class AsyncBoundedTransport(httpx.AsyncBaseTransport):
    """`BoundedTransport` for an asynchronous transport."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and load its response."""
        response = await self._transport.handle_async_request(request)
        async with contextlib.aclosing(response):
            body = _Body(request, response)
            with body.errors_without_a_body():
                if response.is_stream_consumed:
                    return body.with_content(response.content)
                async for piece in response.aiter_raw():
                    body.add(piece)
            return body.loaded()

    async def aclose(self) -> None:
        """Close the other transport."""
        await self._transport.aclose()


class _Body:
    """The body of a response while it is received."""

    def __init__(self, request: httpx.Request, response: httpx.Response) -> None:
        self._request = request
        self._response = response
        self._is_error = response.status_code >= 400
        self._limit: int = ERROR_BYTES if self._is_error else request.extensions.get(LIMIT, JSON_BYTES)
        self._encoding = response.headers.get("Content-Encoding", "").strip().lower() or "identity"
        self._gzip = zlib.decompressobj(GZIP) if self._encoding in ("gzip", "x-gzip") else None
        self._pieces: list[bytes] = []
        self._size = self._received = 0
        self._patience: float = request.extensions.get("timeout", {}).get("read") or float("inf")
        self._started = time.monotonic()

    def add(self, piece: bytes) -> None:
        """Add a piece as it was received."""
        self._received += len(piece)
        if time.monotonic() - self._started > self._patience + self._received / SLOWEST:
            raise httpx.ReadTimeout("the body arrives too slowly", request=self._request)
        if self._gzip:
            try:
                piece = self._gzip.decompress(piece, self._limit - self._size + 1)
            except zlib.error:
                raise self._unexpected("is not valid gzip") from None
            if self._gzip.unused_data:
                raise self._unexpected("has data after its gzip stream")
        elif self._encoding != "identity":
            raise self._unexpected("is compressed in a way that the client did not ask for")
        self._size += len(piece)
        if self._size > self._limit or self._received > self._limit + MIB:  # a long gzip stream may expand to nothing
            raise self._unexpected(f"is larger than {self._limit / MIB:.0f} MiB, the limit for this request")
        self._pieces.append(piece)

    @contextlib.contextmanager
    def errors_without_a_body(self) -> Iterator[None]:
        """Drop the body of an error that cannot be loaded: its status says enough."""
        try:
            yield
            if self._gzip and self._received and not self._gzip.eof:
                raise self._unexpected("ends in the middle of its gzip stream")
        except UnexpectedResponseError:
            if not self._is_error:
                raise
            self._pieces = []

    def loaded(self) -> httpx.Response:
        """The response with its body, decompressed."""
        return self.with_content(b"".join(self._pieces))

    def with_content(self, content: bytes) -> httpx.Response:
        """The response with another body."""
        headers = [(name, value) for name, value in self._response.headers.raw if name.lower() not in ABOUT_THE_BODY]
        return httpx.Response(self._response.status_code, headers=headers, content=content, request=self._request)

    def _unexpected(self, what: str) -> UnexpectedResponseError:
        return UnexpectedResponseError(
            f"The response to {self._request.method} {self._request.url.path} {what}. "
            "Check that the URL is the URL of a Ganvas service.",
            request_id=self._request.headers.get(REQUEST_ID_HEADER),
        )

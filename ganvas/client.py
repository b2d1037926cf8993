"""The clients: `Client`, and `AsyncClient` with the same methods to await.

    with Client("http://localhost:3000") as client:
        digits = client.sample(16, model="digits", seed=7)
        digits[0].save("digit.png")

    async with AsyncClient() as client:
        painted = await client.stylize("photo.jpg", style="starry-night")

What a method takes, gives and raises is written once, in `ganvas.calls` and `ganvas.batches`; here is how it is sent.
"""

import functools
import inspect
import os
import uuid
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, get_args

import anyio
import anyio.from_thread
import anyio.to_thread
import httpx

from ganvas import batches, calls
from ganvas.api import REQUEST_ID_HEADER
from ganvas.calls import Call
from ganvas.errors import NoResponseError
from ganvas.transport import LIMITS, ONCE, Pieces, proxy_for, retrying, retrying_async

P = ParamSpec("P")
T = TypeVar("T")
Batch = Callable[Concatenate[batches.Send, P], Coroutine[Any, Any, T]]

DEFAULT_URL = "http://localhost:3000"
CONNECT_S = 10.0


class _Service:
    """Where the service is and how it is asked: what both clients have in common."""

    def __init__(self, url: str | None, api_key: str | None, timeout: float) -> None:
        self.url = _checked(url or os.environ.get("GANVAS_URL") or DEFAULT_URL)
        self.proxy = proxy_for(self.url)
        key = api_key or os.environ.get("GANVAS_API_KEY")
        self.options: dict[str, Any] = {
            "base_url": self.url,
            "headers": {"User-Agent": "ganvas-python", **({"Authorization": f"Bearer {key}"} if key else {})},
            "timeout": httpx.Timeout(timeout, connect=min(timeout, CONNECT_S), pool=None),
        }

    def request(self, http: httpx.Client | httpx.AsyncClient, call: Call[Any], *, retries: bool) -> httpx.Request:
        """Make a call a request."""
        headers = {REQUEST_ID_HEADER: uuid.uuid4().hex}
        if call.content:
            headers |= {"Content-Type": call.content_type, "Content-Length": str(len(call.content))}
        request = http.build_request(call.method, call.path, headers=headers, extensions={} if retries else {"retry": ONCE})
        request.stream = Pieces(call.content)
        return request

    @staticmethod
    def read(call: Call[T], response: httpx.Response) -> T:
        """Read an answer whose body has come."""
        # httpx's stream and response hold each other, so a photo and its picture would stay until the next collection.
        response.stream = httpx.ByteStream(b"")
        return call.read(response)

    def no_response(self, error: httpx.TransportError, request: httpx.Request) -> NoResponseError:
        """Say in words that nobody answered."""
        if isinstance(error, httpx.TimeoutException):
            said = f"{self.url} took too long ({type(error).__name__}); `timeout` is how long it may"
        else:
            said = f"no answer from {self.url}: {str(error) or type(error).__name__}; does the service run there?"
        return NoResponseError(said, request_id=request.headers[REQUEST_ID_HEADER])


def _checked(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ValueError(f"the service's URL must be like {DEFAULT_URL}, not {text!r}: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"the service's URL must be like {DEFAULT_URL}, not {text!r}")
    return url


def _like(source: Callable[..., object], method: Callable[..., object], *, leading: int = 0) -> None:
    """Give a method the name, docstring and signature of what it calls, but for the first `leading` arguments."""
    functools.update_wrapper(method, source)
    signature = inspect.signature(source)
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [this, *list(signature.parameters.values())[leading:]]
    (answer,) = get_args(signature.return_annotation) or (signature.return_annotation,)  # a Call[T] gives a T
    method.__signature__ = signature.replace(parameters=parameters, return_annotation=answer)  # type: ignore[attr-defined]


def _call(build: Callable[P, Call[T]]) -> "Callable[Concatenate[Client, P], T]":
    def method(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._send(build(*args, **kwargs))

    _like(build, method)
    return method


def _batch(run: Batch[P, T]) -> "Callable[Concatenate[Client, P], T]":
    def method(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        # A portal rather than anyio.run: it works where a loop runs already, as in a notebook, and Ctrl-C ends it.
        with anyio.from_thread.start_blocking_portal() as portal:
            return portal.call(functools.partial(run, self._threads(), *args, **kwargs))

    _like(run, method, leading=1)
    return method


def _async_call(build: Callable[P, Call[T]]) -> "Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]":
    async def method(self: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        # In a thread, since a photo may be read and a picture be encoded.
        return await self._send(await anyio.to_thread.run_sync(functools.partial(build, *args, **kwargs)))

    _like(build, method)
    return method


def _async_batch(run: Batch[P, T]) -> "Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]":
    async def method(self: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await run(self._send, *args, **kwargs)

    _like(run, method, leading=1)
    return method


class Client:
    """Calls a Ganvas service and waits for its answers. Threads may share it; close it, or use it in `with`.

    Args:
        url: of the service. Left out, GANVAS_URL of the environment, or else http://localhost:3000.
        api_key: sent as `Authorization: Bearer KEY`. Left out, GANVAS_API_KEY of the environment, if that is set.
        timeout: seconds that the service may be silent; its own limit is 60 unless it is configured otherwise.
        retries: how often a call is sent again after a lost connection, 429, 502, 503 or 504.
        transport: any transport of httpx in place of the network's; the retries go around it.

    Raises:
        ValueError: a URL that is none.

    Every method raises a ProblemError where the service refuses or fails, NoResponseError where it cannot be reached, and
    UnexpectedResponseError where something else answers.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float = 90.0,
        retries: int = 4,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._service = _Service(url, api_key, timeout)
        transport = transport or httpx.HTTPTransport(proxy=self._service.proxy, limits=LIMITS)
        self._http = httpx.Client(transport=retrying(transport, retries), **self._service.options)

    models = _call(calls.models)
    model = _call(calls.model)
    sample = _call(calls.sample)
    interpolate = _call(calls.interpolate)
    stylize = _call(calls.stylize)
    sample_many = _batch(batches.sample_many)
    stylize_many = _batch(batches.stylize_many)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _send(self, call: Call[T], retries: bool = True) -> T:
        request = self._service.request(self._http, call, retries=retries)
        try:
            response = self._http.send(request)
        except httpx.TransportError as error:
            raise self._service.no_response(error, request) from error
        return self._service.read(call, response)

    def _threads(self) -> batches.Send:
        """This client for a batch, which is asynchronous: each call in a thread."""
        limiter: list[anyio.CapacityLimiter] = []

        async def link(call: Call[Any], *, retries: bool) -> Any:
            if not limiter:  # made in the loop that uses it
                limiter.append(anyio.CapacityLimiter(float("inf")))
            return await anyio.to_thread.run_sync(self._send, call, retries, limiter=limiter[0], abandon_on_cancel=True)

        return link


class AsyncClient:
    """`Client` for asyncio: the same arguments, methods and errors; methods are awaited, `async with` closes it."""

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float = 90.0,
        retries: int = 4,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._service = _Service(url, api_key, timeout)
        transport = transport or httpx.AsyncHTTPTransport(proxy=self._service.proxy, limits=LIMITS)
        self._http = httpx.AsyncClient(transport=retrying_async(transport, retries), **self._service.options)

    models = _async_call(calls.models)
    model = _async_call(calls.model)
    sample = _async_call(calls.sample)
    interpolate = _async_call(calls.interpolate)
    stylize = _async_call(calls.stylize)
    sample_many = _async_batch(batches.sample_many)
    stylize_many = _async_batch(batches.stylize_many)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _send(self, call: Call[T], *, retries: bool = True) -> T:
        request = self._service.request(self._http, call, retries=retries)
        try:
            response = await self._http.send(request)
        except httpx.TransportError as error:
            raise self._service.no_response(error, request) from error
        return self._service.read(call, response)

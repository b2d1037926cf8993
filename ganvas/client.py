"""The clients: `Client`, and `AsyncClient` with the same methods to await.

    with Client("http://localhost:3000") as client:
        digits = client.sample(16, model="digits", seed=7)
        digits[0].save("digit.png")

    async with AsyncClient() as client:
        painted = await client.stylize("photo.jpg", style="starry-night")

`ganvas.calls` and `ganvas.batches` define what each method takes, returns and raises. This module sends the requests.
"""

import contextlib
import functools
import inspect
import math
import uuid
from collections.abc import Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, get_args

import anyio
import anyio.from_thread
import anyio.to_thread
import httpx

from ganvas import batches, calls
from ganvas.api import REQUEST_ID_HEADER
from ganvas.bounded import ACCEPTED_ENCODING, LIMIT
from ganvas.calls import Call
from ganvas.environment import api_key as key_of
from ganvas.environment import certificates, proxy_for, service_url, shown
from ganvas.errors import ConfigurationError, NoResponseError
from ganvas.text import printable
from ganvas.transport import LIMITS, ONCE, Pieces, retrying, retrying_async

P = ParamSpec("P")
T = TypeVar("T")
Batch = Callable[Concatenate[batches.Send, P], Coroutine[Any, Any, T]]

CONNECT_S = 10.0


class _Service:
    """What both clients share: the service's address, the headers, the timeouts and the network."""

    def __init__(self, url: str | None, api_key: str | None, timeout: float, retries: int) -> None:
        if not (isinstance(timeout, int | float) and 0 < timeout < math.inf):
            raise ConfigurationError("timeout", str(timeout), "It must be a number of seconds above 0.")
        if not (isinstance(retries, int) and retries >= 0):
            raise ConfigurationError("retries", str(retries), "It must be a whole number, 0 or more.")
        self.url = service_url(url)
        self.shown_url = shown(str(self.url))
        self.proxy = proxy_for(self.url)
        key = key_of(api_key)
        self.options: dict[str, Any] = {
            "base_url": self.url,
            "headers": {
                "User-Agent": "ganvas-python",
                "Accept-Encoding": ACCEPTED_ENCODING,
                **({"Authorization": f"Bearer {key}"} if key else {}),
            },
            "timeout": httpx.Timeout(timeout, connect=min(timeout, CONNECT_S), pool=None),
            "follow_redirects": False,  # the API key is for this service alone
        }

    def network(self) -> dict[str, Any]:
        """The options of a transport of the network."""
        return {"proxy": self.proxy and self.proxy.proxy, "verify": certificates(), "limits": LIMITS}

    def request(self, http: httpx.Client | httpx.AsyncClient, call: Call[Any], *, retries: bool) -> httpx.Request:
        """Build the HTTP request of a call."""
        headers = {REQUEST_ID_HEADER: uuid.uuid4().hex}
        if call.content:
            headers |= {"Content-Type": call.content_type, "Content-Length": str(len(call.content))}
        extensions = {LIMIT: call.max_bytes, **({} if retries else {"retry": ONCE})}
        request = http.build_request(call.method, call.path, headers=headers, extensions=extensions)
        request.stream = Pieces(call.content)
        return request

    @staticmethod
    def read(call: Call[T], response: httpx.Response) -> T:
        """Read a response whose body is loaded."""
        # httpx's stream and response refer to each other, so photo and image would stay in memory until the next collection.
        response.stream = httpx.ByteStream(b"")
        return call.read(response)

    @contextlib.contextmanager
    def errors(self, request: httpx.Request) -> Iterator[None]:
        """Turn errors of httpx into a NoResponseError."""
        try:
            yield
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:  # UnicodeError: a host that is not a valid name
            raise self._no_response(error, request) from error

    def _no_response(self, error: Exception, request: httpx.Request) -> NoResponseError:
        through = f" through the proxy {self.proxy}" if self.proxy else ""
        if isinstance(error, httpx.TimeoutException):
            what = f"did not respond in time{through} ({type(error).__name__}). Increase `timeout`, or retry later."
        else:
            reason = printable(str(error), 300).rstrip(".") or type(error).__name__
            advice = "Check that the service runs there."
            if "CERTIFICATE" in reason:
                advice = "If its certificate is from an authority of your own, name the authority's file in SSL_CERT_FILE."
            what = f"did not respond{through}: {reason}. {advice}"
        return NoResponseError(f"{self.shown_url} {what}", request_id=request.headers[REQUEST_ID_HEADER])


def _like(source: Callable[..., object], method: Callable[..., object], *, leading: int = 0) -> None:
    """Give a method the name, docstring and signature of the function it calls, without the first `leading` arguments."""
    functools.update_wrapper(method, source)
    signature = inspect.signature(source)
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [this, *list(signature.parameters.values())[leading:]]
    (returned,) = get_args(signature.return_annotation) or (signature.return_annotation,)  # a Call[T] returns a T
    method.__signature__ = signature.replace(parameters=parameters, return_annotation=returned)  # type: ignore[attr-defined]


def _call(build: Callable[P, Call[T]]) -> "Callable[Concatenate[Client, P], T]":
    def method(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._send(build(*args, **kwargs))

    _like(build, method)
    return method


def _batch(run: Batch[P, T]) -> "Callable[Concatenate[Client, P], T]":
    def method(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        # A portal, not anyio.run: it also works if a loop is running already, as in a notebook, and Ctrl-C ends it.
        with anyio.from_thread.start_blocking_portal() as portal:
            return portal.call(functools.partial(run, self._threads(), *args, **kwargs))

    _like(run, method, leading=1)
    return method


def _async_call(build: Callable[P, Call[T]]) -> "Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]":
    async def method(self: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        # In a thread, because this may read a photo from disk or encode an image.
        return await self._send(await anyio.to_thread.run_sync(functools.partial(build, *args, **kwargs)))

    _like(build, method)
    return method


def _async_batch(run: Batch[P, T]) -> "Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]":
    async def method(self: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await run(self._send, *args, **kwargs)

    _like(run, method, leading=1)
    return method


class Client:
    """A synchronous client of a Ganvas service. Threads may share it. Close it, or use it in `with`.

    Args:
        url: of the service. The default is the environment variable GANVAS_URL, or else http://localhost:3000.
        api_key: sent as `Authorization: Bearer KEY`. The default is the environment variable GANVAS_API_KEY, if it is set.
        timeout: seconds to wait for data from the service, whose own time limit is 60 s by default. A body may take that long
            and a second for each 16 KiB.
        retries: number of times that a call is sent again after a lost connection, 429, 502, 503 or 504.
        transport: an httpx transport to use instead of the network's. Retries apply to it as well.

    Raises:
        ConfigurationError: an argument, an environment variable, a proxy or a certificate file cannot be used. It is also a
            ValueError.

    Every method raises ProblemError if the service rejects the request or fails, NoResponseError if it cannot be reached, and
    UnexpectedResponseError if something else responds. The client does not trust the service: responses are limited in size,
    redirects are not followed, and text in them holds no control characters.
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
        self._service = _Service(url, api_key, timeout, retries)
        transport = transport or httpx.HTTPTransport(**self._service.network())
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
        with self._service.errors(request):
            response = self._http.send(request)
        return self._service.read(call, response)

    def _threads(self) -> batches.Send:
        """Send calls for a batch, which is asynchronous: each call runs in a thread."""
        limiter: list[anyio.CapacityLimiter] = []

        async def send(call: Call[Any], *, retries: bool) -> Any:
            if not limiter:  # created in the event loop that uses it
                limiter.append(anyio.CapacityLimiter(float("inf")))
            return await anyio.to_thread.run_sync(self._send, call, retries, limiter=limiter[0], abandon_on_cancel=True)

        return send


class AsyncClient:
    """`Client` for asyncio, with the same arguments, methods and errors. Await its methods, and use it in `async with`."""

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float = 90.0,
        retries: int = 4,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._service = _Service(url, api_key, timeout, retries)
        transport = transport or httpx.AsyncHTTPTransport(**self._service.network())
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
        with self._service.errors(request):
            response = await self._http.send(request)
        return self._service.read(call, response)

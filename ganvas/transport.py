"""How requests leave: retries with jittered back-off around any transport, and the proxy that the environment names."""

import random
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import httpx
from httpx_retries import Retry, RetryTransport

LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=3)
"""A connection that has idled for 3 s is not used again: the service closes it after 5, and may do so just then."""

STATUSES = (429, 502, 503, 504)
LOST = (httpx.ConnectTimeout, httpx.NetworkError, httpx.RemoteProtocolError)
"""No connection, or one that broke. A request that was read too slowly is not sent again: it would be slow again."""


LONGEST_BACKOFF_S = 30
LONGEST_WAIT_S = 75
"""What a Retry-After is followed to: the service asks for 60 s at most, and the jitter adds a quarter."""


class JitteredRetry(Retry):
    """httpx-retries' policy, whose wait after a Retry-After is jittered too: never shorter, and not the same for all.

    A Retry-After is followed for longer than the policy would wait by itself.
    """

    def backoff_strategy(self) -> float:
        """The wait where nobody said how long."""
        return min(super().backoff_strategy(), LONGEST_BACKOFF_S)

    def parse_retry_after(self, retry_after: str) -> float:
        """The header's seconds, and up to a quarter more."""
        return super().parse_retry_after(retry_after) * random.uniform(1, 1.25)  # noqa: S311  no secret


PIECE = 256 * 1024


class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body in pieces that are few for a small photo, and bounded for a large one: each is copied several times on its way."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self._content), PIECE):
            yield self._content[start : start + PIECE]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in iter(self):
            yield piece


ONCE = Retry(total=0)
"""The policy of a single request, as its extension `retry`, that is not to be sent again."""


def retrying(transport: httpx.BaseTransport, retries: int) -> RetryTransport:
    """Wrap a transport: what fails in passing is sent again, `retries` times at most.

    Waits are drawn from 0 to 0.5, 1, 2, ... 30 seconds, or follow Retry-After, up to 75 seconds. An answer that breaks off
    while it is read counts as a lost connection.
    """
    return RetryTransport(transport, _policy(retries, _read))


def retrying_async(transport: httpx.AsyncBaseTransport, retries: int) -> RetryTransport:
    """`retrying`, for an asynchronous transport."""
    return RetryTransport(transport, _policy(retries, _aread))


def proxy_for(url: httpx.URL) -> str | None:
    """The proxy that HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY name for a URL, or None."""
    if urllib.request.proxy_bypass(url.host):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(url.scheme) or proxies.get("all")


def _policy(retries: int, read: Callable[[httpx.Response], Awaitable[None] | None]) -> Retry:
    return JitteredRetry(
        total=retries,
        allowed_methods=("GET", "POST"),  # the service keeps nothing, so nothing is done twice
        status_forcelist=STATUSES,
        retry_on_exceptions=LOST,
        backoff_factor=0.25,
        max_backoff_wait=LONGEST_WAIT_S,
        validate_response=read,
    )


def _read(response: httpx.Response) -> None:
    response.read()


async def _aread(response: httpx.Response) -> None:
    await response.aread()

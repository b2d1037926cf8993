"""Retries with jittered back-off around any transport, and bodies in pieces."""

import random
from collections.abc import AsyncIterator, Iterator

import httpx
from httpx_retries import Retry, RetryTransport

from ganvas.bounded import AsyncBoundedTransport, BoundedTransport
from ganvas.errors import seconds_of

LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=3)
"""A connection that was idle for 3 s is not used again: the service closes idle connections after 5 s."""

STATUSES = (429, 502, 503, 504)
LOST = (httpx.ConnectTimeout, httpx.NetworkError, httpx.RemoteProtocolError)
"""The connection failed or broke. If the response timed out, the request is not sent again, because it would be slow again."""

MAX_BACKOFF_S = 30
MAX_WAIT_S = 75
"""The longest wait after a Retry-After: the service asks for at most 60 s, and the jitter adds up to a quarter."""


class JitteredRetry(Retry):
    """The policy of httpx-retries, with jitter added to a Retry-After: never shorter, and different for each client.

    A Retry-After may be longer than the policy's own back-off.
    """

    def backoff_strategy(self) -> float:
        """The wait in seconds without a Retry-After."""
        return min(super().backoff_strategy(), MAX_BACKOFF_S)

    def parse_retry_after(self, retry_after: str) -> float:
        """The seconds of the header, and up to a quarter more. 0, if it states no number, leaves the wait to the back-off."""
        return (seconds_of(retry_after) or 0) * random.uniform(1, 1.25)  # noqa: S311  not a secret


PIECE = 256 * 1024


class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body in pieces of bounded size, because each piece is copied several times before it is sent."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self._content), PIECE):
            yield self._content[start : start + PIECE]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in iter(self):
            yield piece


ONCE = Retry(total=0)
"""The policy of a request that is sent only once; goes into its extension `retry`."""


def retrying(transport: httpx.BaseTransport, retries: int) -> RetryTransport:
    """Wrap a transport so that temporary failures are retried, at most `retries` times, and responses are loaded.

    The waits are random, up to 0.5, 1, 2, ... 30 seconds, or follow Retry-After, up to 75 seconds. A response that breaks off
    while it is loaded counts as a lost connection.
    """
    return RetryTransport(BoundedTransport(transport), _policy(retries))


def retrying_async(transport: httpx.AsyncBaseTransport, retries: int) -> RetryTransport:
    """`retrying`, for an asynchronous transport."""
    return RetryTransport(AsyncBoundedTransport(transport), _policy(retries))


def _policy(retries: int) -> Retry:
    return JitteredRetry(
        total=retries,
        allowed_methods=("GET", "POST"),  # the service stores nothing, so a request can be repeated safely
        status_forcelist=STATUSES,
        retry_on_exceptions=LOST,
        backoff_factor=0.25,
        max_backoff_wait=MAX_WAIT_S,
    )

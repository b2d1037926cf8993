"""Sends the requests of a batch at the rate that the service accepts, in bounded memory.

A batch continues after rejections and restarts of the service.
"""

import errno
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from ganvas import calls
from ganvas.batches.limiter import AdaptiveLimiter
from ganvas.batches.manifest import Entry
from ganvas.batches.send import Send
from ganvas.calls import Call
from ganvas.errors import (
    GanvasError,
    InternalError,
    NoResponseError,
    QueueFullError,
    TimedOutError,
    TooLargeError,
    UnavailableError,
    UnsupportedError,
)
from ganvas.results import ImageResult

MAX_CONCURRENCY = 32
MAX_BYTES = 48 * 2**20
"""Most bytes of images, to send or received, that a batch holds in memory. A larger request is sent alone."""

RESPONSE_BYTES = 2**19  # counted for each response, because its size is not known in advance
TRIES = 4  # of one request if the service fails; rejections do not count
PATIENCE_S = 300.0

OUT_OF_ORDER = (NoResponseError, UnavailableError)
OWN_FAULT = (TooLargeError, UnsupportedError, InternalError, TimedOutError, *OUT_OF_ORDER)
"""Errors of one image. Any other error, such as an unknown style, would be the same for all images and ends the batch."""

IMPOSSIBLE_PATH = (errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.EILSEQ)
"""The disk does not accept the name of one image, or its path is taken. Other images can still be written."""


@dataclass(frozen=True)
class BatchRequest:
    """One request of a batch.

    Attributes:
        name: names the request in a report of failures.
        images: number of images that it makes.
        size: bytes that it sends.
        prepare: builds the call; may block. An OSError or ValueError fails this request alone.
        store: writes the images; may block. An OSError in IMPOSSIBLE_PATH fails this request alone. Any other OSError, such
            as a full disk, ends the batch.
    """

    name: str
    images: int
    size: int
    prepare: Callable[[], Call[ImageResult]]
    store: Callable[[ImageResult], Sequence[Entry]]


class Runner:
    """Runs the requests of a batch.

    Args:
        send: sends a call.
        max_concurrency: limit of the requests in flight.
        patience: seconds without any response after which the batch gives up.
    """

    def __init__(self, send: Send, *, max_concurrency: int = MAX_CONCURRENCY, patience: float = PATIENCE_S) -> None:
        if max_concurrency < 1:
            raise ValueError(f"max_concurrency must be 1 or more, not {max_concurrency}")
        self.limiter = AdaptiveLimiter(max_concurrency)
        self._send = send
        self._patience = patience
        self._last_response = time.monotonic()
        self._polling = anyio.Lock()
        self._running = 0  # requests
        self._bytes = 0
        self._freed = anyio.Event()
        self._tasks: TaskGroup
        self._error: Exception | None = None

    async def run(
        self,
        requests: Iterable[BatchRequest],
        done: Callable[[BatchRequest, Sequence[Entry]], None],
        failed: Callable[[BatchRequest, Exception], None],
    ) -> None:
        """Run the requests. `done` receives what `store` returned.

        Raises:
            GanvasError: an error that every request would cause, or the last error of a service that was unavailable for
                `patience`.
            OSError: an image could not be written.
        """
        async with anyio.create_task_group() as self._tasks:
            for request in requests:
                await self._reserve(request)
                self._tasks.start_soon(self._run, request, done, failed)
        if self._error:
            raise self._error

    async def _run(
        self,
        request: BatchRequest,
        done: Callable[[BatchRequest, Sequence[Entry]], None],
        failed: Callable[[BatchRequest, Exception], None],
    ) -> None:
        try:
            call = await anyio.to_thread.run_sync(request.prepare)
            result = await self._send_until_done(call)
        except (OSError, ValueError, *OWN_FAULT) as error:
            failed(request, error)
        except GanvasError as error:
            self._end_with(error)
        else:
            try:
                done(request, await anyio.to_thread.run_sync(request.store, result))
            except OSError as error:
                if error.errno in IMPOSSIBLE_PATH:
                    failed(request, error)
                else:
                    self._end_with(error)
            except GanvasError as error:
                self._end_with(error)
        finally:
            self._running -= 1
            self._bytes -= request.size + RESPONSE_BYTES
            self._freed.set()

    async def _send_until_done(self, call: Call[ImageResult]) -> ImageResult:
        """Send a call until it succeeds: wait after each rejection, and try again a few times after failures."""
        tries, acquired = 0, 0.0
        while True:
            acquired = await self.limiter.acquire(first=acquired > 0)
            try:
                result: ImageResult = await self._send(call, retries=False)
            except (QueueFullError, TimedOutError, *OUT_OF_ORDER) as error:
                self.limiter.rejected(acquired)
                rejection = error
            else:
                self._last_response = time.monotonic()
                self.limiter.succeeded()
                return result
            finally:
                self.limiter.release()
            if isinstance(rejection, QueueFullError):
                await self._wait_after(rejection)
                continue
            tries += 1
            if tries == TRIES:
                raise rejection
            await anyio.sleep(random.uniform(0, 0.1 * 2**tries))  # noqa: S311  not a secret
            if isinstance(rejection, OUT_OF_ORDER):
                await self._until_back(acquired)

    async def _wait_after(self, rejection: QueueFullError) -> None:
        left = self._last_response + self._patience - time.monotonic()
        if left <= 0:
            self._end_with(rejection)
        seconds = 1.0 if rejection.retry_after is None else rejection.retry_after
        # Not beyond the patience: at its end the request is sent once more, and the queue may have space by then.
        await anyio.sleep(min(seconds * random.uniform(1, 1.25), max(left, 0)))  # noqa: S311  not a secret

    async def _until_back(self, since: float) -> None:
        """Wait until the service responds again. One task polls for all."""
        async with self._polling:
            pause = 0.1
            while self._last_response < since:
                try:
                    await self._send(calls.ready(), retries=False)
                    self._last_response = time.monotonic()
                except (QueueFullError, TimedOutError, *OUT_OF_ORDER) as error:
                    if time.monotonic() - self._last_response > self._patience:
                        self._end_with(error)
                    await anyio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  not a secret
                    pause = min(2 * pause, 5)
                except GanvasError:
                    return  # a gateway that does not forward /readyz responds again

    def _end_with(self, error: Exception) -> None:
        """Cancel the batch. `run` raises the first such error."""
        self._error = self._error or error
        self._tasks.cancel_scope.cancel()

    async def _reserve(self, request: BatchRequest) -> None:
        """Wait until memory and concurrency allow another request."""
        needed = request.size + RESPONSE_BYTES
        while self._running and (self._bytes + needed > MAX_BYTES or self._running >= self.limiter.maximum):
            self._freed = anyio.Event()
            await self._freed.wait()
        self._running += 1
        self._bytes += needed

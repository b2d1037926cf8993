"""Jobs to the service: as many at once as it bears, in bounded memory, through its refusals and restarts."""

import errno
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from ganvas import calls
from ganvas.batches.link import Link
from ganvas.batches.manifest import Made
from ganvas.batches.window import Window
from ganvas.calls import Call
from ganvas.errors import (
    GanvasError,
    InternalError,
    NoAnswerError,
    QueueFullError,
    TimedOutError,
    TooLargeError,
    UnavailableError,
    UnsupportedError,
)
from ganvas.pictures import Pictures

MOST_AT_ONCE = 32
MOST_BYTES = 48 * 2**20
"""Bytes of pictures, on their way in or out, that a batch holds in memory; one that is larger goes alone."""

ANSWER_BYTES = 2**19  # counted for each picture that comes back, whose size nobody knows before
TRIES = 4  # of one job that meets a service that fails, beside any number of refusals
PATIENCE_S = 300.0

OUT_OF_ORDER = (NoAnswerError, UnavailableError)
OWN_FAULT = (TooLargeError, UnsupportedError, InternalError, TimedOutError, *OUT_OF_ORDER)
"""Errors that are a picture's own. Any other one, such as an unknown style, would be the same for all: it ends the batch."""

IMPOSSIBLE_PATH = (errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.EILSEQ)
"""What a picture meets whose name the disk does not take, or where something else lies; others may well be written."""


@dataclass(frozen=True)
class Job:
    """One request of a batch.

    Attributes:
        name: what to call it in a failure.
        pictures: how many it makes.
        size: bytes that it sends.
        prepare: builds the call; may block. An OSError or ValueError is the job's failure.
        store: keeps the answer; may block. An OSError of a path that cannot be is the job's failure; any other one ends the
            batch: the disk is full.
    """

    name: str
    pictures: int
    size: int
    prepare: Callable[[], Call[Pictures]]
    store: Callable[[Pictures], Made]


class Runner:
    """Runs jobs.

    Args:
        link: sends a call.
        most_at_once: requests under way, at most.
        patience: seconds without any answer after which the batch gives up.
    """

    def __init__(self, link: Link, *, most_at_once: int = MOST_AT_ONCE, patience: float = PATIENCE_S) -> None:
        if most_at_once < 1:
            raise ValueError(f"most_at_once must be 1 or more, not {most_at_once}")
        self.window = Window(most_at_once)
        self._link = link
        self._patience = patience
        self._heard = time.monotonic()
        self._asking = anyio.Lock()
        self._jobs = 0
        self._bytes = 0
        self._freed = anyio.Event()
        self._tasks: TaskGroup
        self._end: Exception | None = None

    async def run(
        self, jobs: Iterable[Job], done: Callable[[Job, Made], None], failed: Callable[[Job, Exception], None]
    ) -> None:
        """Do the jobs; `done` gets what `store` gave.

        Raises:
            GanvasError: an error that every job would meet, or the last one of a service that stayed away.
            OSError: a picture could not be written.
        """
        async with anyio.create_task_group() as self._tasks:
            for job in jobs:
                await self._room_for(job)
                self._tasks.start_soon(self._do, job, done, failed)
        if self._end:
            raise self._end

    async def _do(self, job: Job, done: Callable[[Job, Made], None], failed: Callable[[Job, Exception], None]) -> None:
        try:
            call = await anyio.to_thread.run_sync(job.prepare)
            pictures = await self._ask(call)
        except (OSError, ValueError, *OWN_FAULT) as error:
            failed(job, error)
        except GanvasError as error:
            self._end_with(error)
        else:
            try:
                done(job, await anyio.to_thread.run_sync(job.store, pictures))
            except OSError as error:
                if error.errno in IMPOSSIBLE_PATH:
                    failed(job, error)
                else:
                    self._end_with(error)
            except GanvasError as error:
                self._end_with(error)
        finally:
            self._jobs -= 1
            self._bytes -= job.size + ANSWER_BYTES
            self._freed.set()

    async def _ask(self, call: Call[Pictures]) -> Pictures:
        """Send a call until it is answered: refusals are waited out, failures tried again a few times."""
        tries, entered = 0, 0.0
        while True:
            entered = await self.window.enter(first=entered > 0)
            try:
                answer: Pictures = await self._link(call, retries=False)
            except (QueueFullError, TimedOutError, *OUT_OF_ORDER) as error:
                self.window.refused(entered)
                refusal = error
            else:
                self._heard = time.monotonic()
                self.window.succeeded()
                return answer
            finally:
                self.window.leave()
            if isinstance(refusal, QueueFullError):
                await self._wait_out(refusal)
                continue
            tries += 1
            if tries == TRIES:
                raise refusal
            await anyio.sleep(random.uniform(0, 0.1 * 2**tries))  # noqa: S311  no secret
            if isinstance(refusal, OUT_OF_ORDER):
                await self._until_back(entered)

    async def _wait_out(self, refusal: QueueFullError) -> None:
        left = self._heard + self._patience - time.monotonic()
        if left <= 0:
            self._end_with(refusal)
        seconds = 1.0 if refusal.retry_after is None else refusal.retry_after
        # Not beyond the patience: asked once more at its end, the service may have room.
        await anyio.sleep(min(seconds * random.uniform(1, 1.25), max(left, 0)))  # noqa: S311  no secret

    async def _until_back(self, since: float) -> None:
        """Wait until the service answers again; one asks for all."""
        async with self._asking:
            pause = 0.1
            while self._heard < since:
                try:
                    await self._link(calls.ready(), retries=False)
                    self._heard = time.monotonic()
                except (QueueFullError, TimedOutError, *OUT_OF_ORDER) as error:
                    if time.monotonic() - self._heard > self._patience:
                        self._end_with(error)
                    await anyio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  no secret
                    pause = min(2 * pause, 5)
                except GanvasError:
                    return  # a gateway that does not pass /readyz on: something is there again

    def _end_with(self, error: Exception) -> None:
        """End the batch: what is under way is left, and `run` raises the first such error."""
        self._end = self._end or error
        self._tasks.cancel_scope.cancel()

    async def _room_for(self, job: Job) -> None:
        needed = job.size + ANSWER_BYTES
        while self._jobs and (self._bytes + needed > MOST_BYTES or self._jobs >= self.window.most):
            self._freed = anyio.Event()
            await self._freed.wait()
        self._jobs += 1
        self._bytes += needed

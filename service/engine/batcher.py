"""The batcher of one model joins waiting jobs into batches and runs them.

A model has one thread for each batch that may run in parallel. A free thread takes the next batch from the queue itself, so a
busy event loop does not delay it. Rows are only stacked along the first dimension, so an image does not depend on the other
images of its batch.

    batcher = Batcher("digits", model.run, Limits(max_batch=32, max_queue=256, max_wait_s=0.002))
    with batcher.reserve(job.cost) as reservation:
        images, = await batcher.submit(reservation, [job])
"""

import asyncio
import contextlib
import itertools
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np

from service.engine.arrays import Feeds, Images
from service.engine.callers import CALLER
from service.engine.errors import ClosedError, QueueFullError
from service.engine.job_queue import FullError, Job, JobQueue, Limits, Place
from service.engine.metrics import ModelMetrics

logger = logging.getLogger("ganvas.engine")

Outcome = tuple[Job, Images | Exception]

MAX_RETRY_AFTER_S = 60
CLOSE_S = 5.0  # how long `close` waits for a running batch


class Run(Protocol):
    """Runs one batch."""

    def __call__(self, feeds: Feeds, *, alone: bool) -> Images:
        """Compute one image per row. `alone`: no other batch starts before this one ends, so it may use every core."""


class Reservation:
    """Cost that is reserved in the queue of one model. `Batcher.reserve` makes it, `Batcher.submit` requires it.

    Attributes:
        place: in the queue.
        open: whether it still holds; False after the `with` block.
    """

    def __init__(self, batcher: "Batcher", place: Place) -> None:
        self.place = place
        self.open = True
        self._batcher = batcher

    def check(self, batcher: "Batcher") -> None:
        """Raise RuntimeError if the reservation is released or belongs to another model."""
        if not self.open or self._batcher is not batcher:
            raise RuntimeError(f"the reservation does not hold for {batcher.name}")


class Batcher:
    """The queue of one model and the threads that run its batches.

    Args:
        name: of the model, for messages and metrics.
        run: called in these threads.
        limits: of batches and queue.
        clock: monotonic, in seconds.
    """

    def __init__(self, name: str, run: Run, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.limits = limits
        self.metrics = ModelMetrics(name, self)
        self._run = run
        self._clock = clock
        self._queue = JobQueue(limits)
        self._changed = threading.Condition(threading.Lock())  # guards the queue and all attributes below
        self._threads: set[threading.Thread] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started: dict[threading.Thread, float] = {}  # when each running batch started
        self._retired = self._closed = self._died = False

    @contextlib.contextmanager
    def reserve(self, cost: int, job_cost: int | None = None) -> Iterator[Reservation]:
        """Reserve space in the queue for a whole request, before anything expensive is done for it.

        Args:
            cost: of all jobs of the request that wait at the same time, in the unit of `max_queue`.
            job_cost: of its largest job; `cost` if left out.

        Raises:
            QueueFullError: too much waits already.
            ClosedError: the batcher is closed.
        """
        with self._changed:
            if self._closed:
                raise self._closed_error()
            try:
                place = self._queue.reserve(cost, self._clock(), caller=CALLER.get(), job_cost=job_cost)
            except FullError as full:
                self.metrics.rejected(full.reason)
                raise self._full_error(full) from None
        reservation = Reservation(self, place)
        started, failed = self._clock(), True
        try:
            yield reservation
            failed = False
        finally:
            reservation.open = False
            with self._changed:
                self._queue.release(place)
            self.metrics.answered(self._clock() - started, failed=failed)

    async def submit(self, reservation: Reservation, jobs: Sequence[Job]) -> list[Images]:
        """Queue jobs and wait for their results, in order. If the call is cancelled, jobs that have not started are removed.

        Args:
            reservation: from `reserve`; it covers the cost of the jobs.
            jobs: what to run.

        Raises:
            ClosedError: the batcher is closed.
            Exception: what `run` raised for one of the jobs when it ran by itself.
        """
        reservation.check(self)
        loop = asyncio.get_running_loop()
        for job in jobs:
            job.done = loop.create_future()
        with self._changed:
            if self._closed:
                raise self._closed_error()
            self._loop = loop
            self._queue.add(reservation.place, jobs, self._clock())
            while len(self._threads) < self.limits.parallel_batches:
                thread = threading.Thread(target=self._serve, name=f"model-{self.name}", daemon=True)
                self._threads.add(thread)
                thread.start()
            self._changed.notify_all()
        try:
            return [await job.done for job in jobs]
        finally:
            self._cancel([job for job in jobs if not _has_outcome(job)])

    def _cancel(self, jobs: list[Job]) -> None:
        if not jobs:
            return
        with self._changed:
            self.metrics.dropped(self._queue.cancel(jobs))
        for job in jobs:
            job.done.cancel()

    @property
    def max_queue(self) -> int:
        """The bound of `waiting`, in cost."""
        return self.limits.max_queue

    def waiting(self) -> int:
        """The cost that waits now, in the unit of `max_queue`."""
        with self._changed:
            return self._queue.waiting()

    def waiting_rows(self) -> int:
        """The rows that wait for the device."""
        with self._changed:
            return self._queue.rows()

    def busy_s(self) -> float:
        """How long the oldest batch has been running, in seconds; 0 if none runs, infinity if a thread has died."""
        with self._changed:
            if self._died:
                return math.inf
            return self._clock() - min(self._started.values()) if self._started else 0.0

    def retire(self) -> None:
        """End the threads when nothing waits: the model was replaced. Requests that still use it are served."""
        with self._changed:
            self._retired = True
            self._changed.notify_all()
        self.metrics.forget()

    async def close(self) -> None:
        """Stop: jobs that wait fail, batches that run finish."""
        with self._changed:
            self._closed = True
            threads = list(self._threads)
            waiting = self._queue.clear()
            self._changed.notify_all()
        self._deliver([(job, self._closed_error()) for job in waiting])
        await asyncio.gather(*(asyncio.to_thread(thread.join, CLOSE_S) for thread in threads))

    def _full_error(self, full: FullError) -> QueueFullError:
        after = min(max(1, math.ceil(full.wait_s)), MAX_RETRY_AFTER_S)
        if full.reason == "caller_full":
            detail = f"Your share of the queue for {self.name} is full."
        else:
            detail = f"The queue for {self.name} is full."
        return QueueFullError(f"{detail} Retry after {after} s.", after)

    @staticmethod
    def _closed_error() -> ClosedError:
        return ClosedError("The service is shutting down. Retry.")

    # The following methods run in the model's threads.

    def _serve(self) -> None:
        taken = None
        try:
            while taken := self._next_batch():
                self._serve_batch(*taken)
                taken = None  # an idle thread must not keep the arrays of its last batch
        except Exception as error:  # a bug: an error of the model would be the outcome of its jobs
            logger.exception("A thread of %s has died; /livez fails from now on.", self.name)
            with self._changed:
                self._died = True
                self._threads.discard(threading.current_thread())  # the next request starts another
                self._started.pop(threading.current_thread(), None)
            if taken:
                self._send([(job, error) for job in taken[0]])

    def _serve_batch(self, batch: list[Job], started: float, alone: bool) -> None:
        for job in batch:
            self.metrics.waited(started - job.arrived)
        outcomes = self._outcomes(batch, alone)
        with self._changed:
            busy_s = self._queue.finished(batch, self._clock())
            del self._started[threading.current_thread()]
            self._changed.notify_all()  # two batches may fit now
        made = sum(job.rows for job, outcome in outcomes if not isinstance(outcome, Exception))
        self.metrics.ran(sum(job.rows for job in batch), busy_s, made)
        self._send(outcomes)

    def _send(self, outcomes: list[Outcome]) -> None:
        loop = self._loop
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            if loop:
                loop.call_soon_threadsafe(self._deliver, outcomes)

    def _next_batch(self) -> tuple[list[Job], float, bool] | None:
        """Wait for the next batch: its jobs, when it started, and whether it runs alone. None: this thread must end."""
        thread = threading.current_thread()
        with self._changed:
            while True:
                now = self._clock()
                batch, wait_s = self._queue.next_batch(now) if not self._closed else ([], None)
                if batch:
                    self._started[thread] = now
                    return batch, now, self._queue.runs_alone()
                if self._closed or (self._retired and wait_s is None):
                    self._threads.discard(thread)
                    return None
                self._changed.wait(wait_s)

    def _outcomes(self, batch: list[Job], alone: bool) -> list[Outcome]:
        """Run a batch. If it fails, run each job by itself, so that only the job that caused the error gets it."""
        try:
            return list(zip(batch, self._run_joined(batch, alone), strict=True))
        except Exception as error:
            self.metrics.failed()
            if len(batch) == 1:
                return [(batch[0], error)]
            logger.warning("A batch of %d jobs for %s failed; each job runs again alone: %s", len(batch), self.name, error)
        outcomes: list[Outcome] = []
        for job in batch:
            if not job.cancelled:
                outcomes += self._outcomes([job], alone)
        return outcomes

    def _run_joined(self, batch: list[Job], alone: bool) -> list[Images]:
        """Stack the rows of the jobs, run them, and split the result by job."""
        feeds = batch[0].feeds
        if len(batch) > 1:
            feeds = {name: np.concatenate([job.feeds[name] for job in batch]) for name in feeds}
        images = self._run(feeds, alone=alone)
        ends = list(itertools.accumulate(job.rows for job in batch))
        if len(images) != ends[-1]:
            raise RuntimeError(f"{self.name} returned {len(images)} images for {ends[-1]} rows")
        return [images[end - job.rows : end] for job, end in zip(batch, ends, strict=True)]

    # This one runs in the event loop.

    @staticmethod
    def _deliver(outcomes: list[Outcome]) -> None:
        for job, outcome in outcomes:
            if job.done.done():
                continue
            if isinstance(outcome, Exception):
                job.done.set_exception(outcome)
            else:
                job.done.set_result(outcome)


def _has_outcome(job: Job) -> bool:
    """Whether a job has its images or its error."""
    if not job.done.done() or job.done.cancelled():
        return False
    job.done.exception()  # marks the error as retrieved, if another job's was raised instead
    return True

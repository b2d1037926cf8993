"""Requests to batches: what waits for one model is joined into batches, and as many run at a time as the model has lanes.

Each lane is a thread of the model's own, which takes the next batch out of the queue itself the moment that it is free: the
event loop, busy with other requests, has no part in it. Rows are only ever stacked along the first dimension, so a
picture does not depend on its neighbours.

    batcher = Batcher("digits", model.run, Limits(max_batch=32, max_queue=256, max_wait_s=0.002))
    images, = await batcher.submit([Job({"latents": latents})])
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

from service.engine.errors import ClosedError, QueueFullError
from service.engine.job_queue import Feeds, FullError, Job, JobQueue, Limits, Pictures
from service.engine.metrics import ModelMetrics

logger = logging.getLogger("ganvas.engine")

Outcome = tuple[Job, Pictures | Exception]

LONGEST_RETRY_AFTER_S = 60
CLOSE_S = 5.0  # how long closing waits for the batch that runs


class Run(Protocol):
    """Runs one batch."""

    def __call__(self, feeds: Feeds, *, alone: bool) -> Pictures:
        """Inputs to one array of outputs, same first dimension; `alone` where nothing else runs or waits."""


class Batcher:
    """The queue of one model and the threads that empty it.

    Args:
        name: the model's, for messages and metrics.
        run: called in these threads.
        limits: of batch and queue.
        clock: seconds that only rise.
    """

    def __init__(self, name: str, run: Run, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.limits = limits
        self.metrics = ModelMetrics(name, self)
        self._run = run
        self._clock = clock
        self._queue = JobQueue(limits)
        self._changed = threading.Condition(threading.Lock())  # guards all that follows, and the queue
        self._lanes: set[threading.Thread] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._began: dict[threading.Thread, float] = {}  # what runs
        self._retired = self._closed = self._died = False

    @contextlib.contextmanager
    def room(self, cost: int) -> Iterator[None]:
        """Take room in the queue for a whole request: ask before anything costly is done for it.

        Args:
            cost: of all its jobs that wait at a time, in the unit of `max_queue`.

        Raises:
            QueueFullError: too much waits already.
            ClosedError: the batcher is closed.
        """
        with self._changed:
            if self._closed:
                raise self._closing()
            try:
                self._queue.take_room(cost, self._clock())
            except FullError as full:
                self.metrics.rejected(full.reason)
                raise self._problem(full) from None
        try:
            yield
        finally:
            with self._changed:
                self._queue.give_room_back(cost)

    async def submit(self, jobs: Sequence[Job], *, admitted: bool = False) -> list[Pictures]:
        """Queue jobs, all or none, and wait for their results, in order.

        Cancelling the call takes those that have not started out of the queue.

        Args:
            jobs: what to run.
            admitted: whether the caller holds a `room` for them; else it is taken, and given back, here.

        Raises:
            QueueFullError: too much waits already.
            ClosedError: the batcher is closed.
            Exception: what `run` raised for one of them, alone.
        """
        with contextlib.nullcontext() if admitted else self.room(sum(job.cost for job in jobs)):
            loop = asyncio.get_running_loop()
            for job in jobs:
                job.done = loop.create_future()
            with self._changed:
                if self._closed:
                    raise self._closing()
                self._loop = loop
                self._queue.add(jobs, self._clock())
                while len(self._lanes) < self.limits.lanes:
                    lane = threading.Thread(target=self._serve, name=f"model-{self.name}", daemon=True)
                    self._lanes.add(lane)
                    lane.start()
                self._changed.notify_all()
            try:
                return [await job.done for job in jobs]
            finally:
                self._leave([job for job in jobs if not _is_answered(job)])

    def _leave(self, jobs: list[Job]) -> None:
        """Nobody waits for these any more."""
        if not jobs:
            return
        with self._changed:
            self.metrics.dropped(self._queue.leave(jobs))
        for job in jobs:
            job.done.cancel()

    @property
    def max_queue(self) -> int:
        """The bound of what waits, in cost."""
        return self.limits.max_queue

    def waiting(self) -> int:
        """What waits now, in the unit of `max_queue`."""
        with self._changed:
            return self._queue.waiting()

    def waiting_rows(self) -> int:
        """The rows that wait for the device."""
        with self._changed:
            return self._queue.rows()

    def busy_s(self) -> float:
        """For how long the oldest batch has been running, in seconds; 0 where none is, infinite where a thread has died."""
        with self._changed:
            if self._died:
                return math.inf
            return self._clock() - min(self._began.values()) if self._began else 0.0

    def retire(self) -> None:
        """Let the threads end once nothing waits: the model was replaced. Requests that hold the old one are still served."""
        with self._changed:
            self._retired = True
            self._changed.notify_all()
        self.metrics.forget()

    async def close(self) -> None:
        """Stop: fail what waits, let what runs end."""
        with self._changed:
            self._closed = True
            lanes = list(self._lanes)
            waiting = self._queue.clear()
            self._changed.notify_all()
        self._deliver([(job, self._closing()) for job in waiting])
        await asyncio.gather(*(asyncio.to_thread(lane.join, CLOSE_S) for lane in lanes))

    def _problem(self, full: FullError) -> QueueFullError:
        after = min(max(1, math.ceil(full.wait_s)), LONGEST_RETRY_AFTER_S)
        return QueueFullError(f"{self.name} has all the work waiting that it may have; try again in {after} s", after)

    @staticmethod
    def _closing() -> ClosedError:
        return ClosedError("The service is shutting down; try again")

    # From here on: in the model's threads.

    def _serve(self) -> None:
        taken = None
        try:
            while taken := self._next_batch():
                self._serve_batch(*taken)
        except Exception as error:  # of ours: what a model raises is the outcome of its jobs
            logger.exception("a thread of %s has died; /livez fails from now on", self.name)
            with self._changed:
                self._died = True
                self._lanes.discard(threading.current_thread())  # the next request starts another
                self._began.pop(threading.current_thread(), None)
            if taken:
                self._send([(job, error) for job in taken[0]])

    def _serve_batch(self, batch: list[Job], begun: float, alone: bool) -> None:
        for job in batch:
            self.metrics.waited(begun - job.arrived)
        outcomes = self._outcomes(batch, alone)
        with self._changed:
            busy_s = self._queue.ended(batch, self._clock())
            del self._began[threading.current_thread()]
            self._changed.notify_all()  # there may be room for two
        self.metrics.ran(sum(job.rows for job in batch), busy_s)
        self._send(outcomes)

    def _send(self, outcomes: list[Outcome]) -> None:
        loop = self._loop
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            if loop:
                loop.call_soon_threadsafe(self._deliver, outcomes)

    def _next_batch(self) -> tuple[list[Job], float, bool] | None:
        """Wait for the next batch: its jobs, when it began, and whether it runs alone. None when this thread is to end."""
        lane = threading.current_thread()
        with self._changed:
            while True:
                now = self._clock()
                batch, wait_s = self._queue.next_batch(now) if not self._closed else ([], None)
                if batch:
                    self._began[lane] = now
                    return batch, now, self._queue.runs_alone()
                if self._closed or (self._retired and wait_s is None):
                    self._lanes.discard(lane)
                    return None
                self._changed.wait(wait_s)

    def _outcomes(self, batch: list[Job], alone: bool) -> list[Outcome]:
        """Run a batch; where it fails, each job alone, so that an error is of the one who caused it."""
        try:
            return list(zip(batch, self._joined(batch, alone), strict=True))
        except Exception as error:
            self.metrics.failed()
            if len(batch) == 1:
                return [(batch[0], error)]
            logger.warning("a batch of %d jobs for %s failed and is run job by job: %s", len(batch), self.name, error)
        outcomes: list[Outcome] = []
        for job in batch:
            if not job.gone:
                outcomes += self._outcomes([job], alone)
        return outcomes

    def _joined(self, batch: list[Job], alone: bool) -> list[Pictures]:
        """Stack the jobs' rows, run them, and part the result again."""
        feeds = batch[0].feeds
        if len(batch) > 1:
            feeds = {name: np.concatenate([job.feeds[name] for job in batch]) for name in feeds}
        pictures = self._run(feeds, alone=alone)
        ends = list(itertools.accumulate(job.rows for job in batch))
        if len(pictures) != ends[-1]:
            raise RuntimeError(f"{self.name} made {len(pictures)} pictures of {ends[-1]} rows")
        return [pictures[end - job.rows : end] for job, end in zip(batch, ends, strict=True)]

    # Back in the event loop.

    @staticmethod
    def _deliver(outcomes: list[Outcome]) -> None:
        for job, outcome in outcomes:
            if job.done.done():
                continue
            if isinstance(outcome, Exception):
                job.done.set_exception(outcome)
            else:
                job.done.set_result(outcome)


def _is_answered(job: Job) -> bool:
    """Whether a job has its pictures or its error."""
    if not job.done.done() or job.done.cancelled():
        return False
    job.done.exception()  # counts as noticed, if another job's was raised instead
    return True

"""Requests to batches: what waits for one model is joined into batches and run one after the other.

A batch takes the oldest job and, in their order, the jobs of the same shapes that still fit. While it runs in its
thread the next one gathers, so a busy device never waits; an idle one waits `max_wait_s` at most for company. Rows are
only ever stacked along the first dimension, so a picture does not depend on its neighbours.

    batcher = Batcher("digits", model.run, max_batch=32, max_queue=256, max_wait_s=0.002)
    images, = await batcher.submit([Job({"latents": latents})])
"""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from service.problems import QueueFull, Unavailable

Array = npt.NDArray[np.generic]
Pictures = npt.NDArray[np.uint8]
Feeds = Mapping[str, Array]


class Job:
    """Rows that run together: one array a model input, all of the same first dimension.

    Args:
        feeds: the model's inputs, [rows, ...] each.
        row_cost: what one row counts in queue and batch: 1, or its pixels.
    """

    def __init__(self, feeds: Feeds, row_cost: int = 1) -> None:
        self.feeds = feeds
        self.rows = len(next(iter(feeds.values())))
        self.cost = self.rows * row_cost
        self.bucket = tuple((name, array.shape[1:]) for name, array in feeds.items())
        self.arrived = time.monotonic()
        self.done: asyncio.Future[Pictures] = asyncio.get_running_loop().create_future()


class Batcher:
    """The queue of one model and the task that empties it.

    Args:
        name: the model's, for messages.
        run: one batch of inputs to one array of outputs, same first dimension; runs in a thread of its own.
        max_batch: the most cost in one batch; a job that costs more runs alone.
        max_queue: the most cost that waits. A job that costs more is taken where nothing waits.
        max_wait_s: how long an idle device waits for a batch to fill, in seconds.
    """

    def __init__(
        self, name: str, run: Callable[[Feeds], Pictures], *, max_batch: int, max_queue: int, max_wait_s: float
    ) -> None:
        self.name = name
        self.max_batch = max_batch
        self.max_queue = max_queue
        self.max_wait_s = max_wait_s
        self._run = run
        self._queue: deque[Job] = deque()
        self._arrival = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"model-{name}")
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def submit(self, jobs: Sequence[Job], *, admitted: bool = False) -> list[Pictures]:
        """Queue jobs, all or none, and wait for their results, in order.

        Cancelling the call takes those that have not started out of the queue.

        Args:
            jobs: what to run.
            admitted: whether they go on with a request that was taken before. They are then taken however much waits;
                of one request's jobs no more than were first taken may wait at a time, so what waits stays bounded.

        Raises:
            QueueFull: too much waits already.
            Unavailable: the batcher is closed.
            Exception: what `run` raised for the batch of one of them.
        """
        if self._closed:
            raise self._closing()
        waiting = self.waiting()
        if waiting and not admitted and waiting + sum(job.cost for job in jobs) > self.max_queue:
            raise QueueFull(f"{self.name} has all the work waiting that it may have; try again in a second")
        self._queue.extend(jobs)
        self._arrival.set()
        if self._task is None:
            self._task = asyncio.create_task(self._serve(), name=f"batcher-{self.name}")
        try:
            return list(await asyncio.gather(*(job.done for job in jobs)))
        finally:
            for job in jobs:
                job.done.cancel()  # nothing, for one that is done

    def waiting(self) -> int:
        """What waits now, in the unit of `max_queue`."""
        return sum(job.cost for job in self._queue if not job.done.done())

    async def close(self) -> None:
        """Stop: fail what waits, let the running batch end."""
        self._closed = True
        if self._task:
            self._task.cancel()
        self._fail(self._queue, self._closing())
        self._queue.clear()
        await asyncio.to_thread(self._thread.shutdown)

    async def _serve(self) -> None:
        while True:
            await self._arrival.wait()
            self._arrival.clear()
            while self._queue:
                await self._fill()
                if batch := self._take():
                    await self._run_batch(batch)

    async def _fill(self) -> None:
        """Wait until the next batch is full or its first job has waited long enough."""
        while batch := self._next_batch():
            left = batch[0].arrived + self.max_wait_s - time.monotonic()
            if left <= 0 or sum(job.cost for job in batch) >= self.max_batch:
                return
            self._arrival.clear()
            try:
                async with asyncio.timeout(left):
                    await self._arrival.wait()
            except TimeoutError:
                return

    def _next_batch(self) -> list[Job]:
        """The oldest job, and those of its bucket that follow as long as they fit. The queue stays as it is."""
        batch: list[Job] = []
        cost = 0
        for job in self._queue:
            if job.done.done() or (batch and job.bucket != batch[0].bucket):
                continue
            if batch and cost + job.cost > self.max_batch:
                break
            batch.append(job)
            cost += job.cost
        return batch

    def _take(self) -> list[Job]:
        """The next batch, taken out of the queue together with the jobs that nobody waits for any more."""
        batch = self._next_batch()
        taken = set(batch)
        self._queue = deque(job for job in self._queue if job not in taken and not job.done.done())
        return batch

    async def _run_batch(self, batch: list[Job]) -> None:
        try:
            results = await asyncio.get_running_loop().run_in_executor(self._thread, self._joined, batch)
        except asyncio.CancelledError:
            self._fail(batch, self._closing())
            raise
        except Exception as error:
            self._fail(batch, error)
            return
        for job, pictures in zip(batch, results, strict=True):
            if not job.done.done():
                job.done.set_result(pictures)

    @staticmethod
    def _fail(jobs: Iterable[Job], error: Exception) -> None:
        for job in jobs:
            if not job.done.done():
                job.done.set_exception(error)

    @staticmethod
    def _closing() -> Unavailable:
        return Unavailable("The service is shutting down; try again")

    def _joined(self, batch: list[Job]) -> list[Pictures]:
        """Stack the jobs' rows, run them, and part the result again. In the model's thread."""
        feeds = batch[0].feeds
        if len(batch) > 1:
            feeds = {name: np.concatenate([job.feeds[name] for job in batch]) for name in feeds}
        pictures = self._run(feeds)
        ends = list(itertools.accumulate(job.rows for job in batch))
        if len(pictures) != ends[-1]:
            raise RuntimeError(f"{self.name} made {len(pictures)} pictures of {ends[-1]} rows")
        return [pictures[end - job.rows : end] for job, end in zip(batch, ends, strict=True)]

"""The queue of one model: which requests are accepted, what runs next and how much waits. It has no threads, clock or device.

The queue counts cost: the rows of a generator, the pixels of a stylizer. A request reserves its cost before its uploads
are decoded and releases it when its response is built. While a job runs on the device, its cost does not count as waiting. So
all accepted work in memory is bounded, before and after decoding, and before and after it runs.

Callers share the queue: `shares` bounds what one caller has waiting, and `turns` orders the jobs of all callers. The jobs of
one caller run in the order in which their requests came.

A batch takes the first job in this order and then the jobs of the same shapes that fit. The first job always runs next, so no
shape waits forever. A batch takes no job that would make it run too long: if one image keeps the device busy, larger batches
gain nothing, and all callers wait for the last image. An idle device waits a little until the number of jobs equals that of the
previous batch, because callers that were served together often send their next requests together. After a batch with a single
job, it does not wait.
"""

import asyncio
import bisect
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from service.engine.arrays import Feeds, Images
from service.engine.shares import FairShare
from service.engine.turns import Turns

DECAY = 0.95  # weight of past measurements at each batch: parallel batches end in pairs, so a mean over few batches would swing

WAIT_FRACTION = 0.85  # fraction of `max_queue_s`: under overload, 1 request in 100 waits up to 1/7 longer than expected


@dataclass(frozen=True)
class Limits:
    """The bounds of one model's queue.

    Attributes:
        max_batch: the most cost that runs at a time, in one batch or in several. A job that costs more runs alone.
        max_queue: the most cost that waits. A request that costs more is accepted if nothing waits.
        max_queue_s: the longest expected wait, in seconds, at which a request is accepted.
        max_batch_s: the longest expected run of a batch of several jobs, in seconds.
        parallel_batches: how many batches run at a time.
        max_wait_s: the longest time, in seconds, that an idle device waits for a batch as large as the previous one.
    """

    max_batch: int
    max_queue: int
    max_queue_s: float = math.inf
    max_batch_s: float = math.inf
    max_wait_s: float = 0.0
    parallel_batches: int = 1


class Job:
    """Rows that run together: one array for each model input, all with the same first dimension.

    Args:
        feeds: the model's inputs, [rows, ...] each.
        row_cost: cost of one row: 1, or its pixels.
    """

    def __init__(self, feeds: Feeds, row_cost: int = 1) -> None:
        self.feeds = feeds
        self.rows = len(next(iter(feeds.values())))
        self.cost = self.rows * row_cost
        self.bucket = tuple((name, array.shape[1:]) for name, array in feeds.items())
        self.arrived = 0.0  # set by the queue, like the next two
        self.turn = 0.0
        self.place: Place
        self.cancelled = False  # its caller does not wait any more
        self.done: asyncio.Future[Images]  # set by the batcher, for the waiting caller


class Place:
    """What one request has reserved.

    Args:
        caller: who sent the request.
        cost: of all its jobs that wait at the same time.
        job_cost: of its largest job.
        turn: when its first job runs, in the virtual time of `Turns`. Jobs that exceed the reservation move it, so
            that what has not started always begins at `turn + started`.
    """

    def __init__(self, caller: str, cost: int, job_cost: int, turn: float) -> None:
        self.caller = caller
        self.cost = cost
        self.job_cost = job_cost
        self.turn = turn
        self.placed = cost  # cost for which its caller has turns
        self.added = 0  # cost of the jobs so far
        self.started = 0  # cost of the jobs that have started
        self.running = 0  # cost of the jobs on the device

    def runs_before(self, turn: float) -> float:
        """The cost that waits and runs before a job with this turn that is queued now."""
        first = self.turn + self.started
        if first > turn:
            return 0
        return min(self.placed - self.started, turn - first + self.job_cost)


class FullError(Exception):
    """The queue does not accept a request.

    Attributes:
        reason: `queue_full`; `caller_full` if only this caller has too much waiting; `queue_slow` if the expected wait is too
            long.
        wait_s: the expected time, in seconds, until the request would have run.
    """

    def __init__(self, reason: str, wait_s: float) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait_s = wait_s


class JobQueue:
    """The jobs that wait, the cost that is reserved, and the batches that run. Not thread-safe: the caller locks."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._jobs: list[Job] = []  # in the order in which they run
        self._running: list[list[Job]] = []
        self._places: set[Place] = set()
        self._share = FairShare(limits.max_queue)  # of the cost that is accepted and not on the device
        self._turns = Turns()
        self._busy_since = 0.0  # when the device began with what runs, or when a batch last finished
        self._finished = -math.inf  # when a batch last finished
        self._past_s, self._past_cost = 0.0, 0.0  # seconds and cost of the batches so far; older batches weigh less
        self._expected_jobs = 1  # in the next batch: the number of the previous batch

    def waiting(self) -> int:
        """The cost that is accepted and not on the device, in the unit of `max_queue`."""
        return int(self._share.held)

    def rows(self) -> int:
        """The rows that are ready to run and wait for the device."""
        return sum(job.rows for job in self._jobs)

    def expected_s(self, now: float, caller: str = "") -> float:
        """The expected time, in seconds, until the next job of a caller runs; 0 until the first batch has finished."""
        each = self._seconds_per_cost()
        left = each * self._running_cost() - (now - self._busy_since)
        return each * self.cost_before(caller) + max(left, 0.0)

    def cost_before(self, caller: str = "") -> float:
        """The cost that waits and runs before the next job of a caller."""
        turn = self._turns.next(caller)
        return sum(place.runs_before(turn) for place in self._places)

    def reserve(self, cost: int, now: float, *, caller: str = "", job_cost: int | None = None) -> Place:
        """Accept a request. If only what is on the device runs before it, it is accepted no matter how long that takes.

        Args:
            cost: of all its jobs that wait at the same time.
            now: of the clock, in seconds.
            caller: who sent it.
            job_cost: of its largest job; `cost` if left out.

        Raises:
            FullError: the request is not accepted; nothing was reserved.
        """
        if self._share.held:
            expected = self.expected_s(now, caller)
            if not self._share.fits(caller, cost):
                raise FullError("caller_full" if self._share.has_room(cost) else "queue_full", expected)
            if self.cost_before(caller) and expected > WAIT_FRACTION * self.limits.max_queue_s:
                raise FullError("queue_slow", expected)
        self._share.take(caller, cost)
        place = Place(caller, cost, job_cost or cost, self._turns.place(caller, cost))
        self._places.add(place)
        return place

    def release(self, place: Place) -> None:
        """Give back what `reserve` took, whether the request was served or not. Its jobs must have run or be cancelled."""
        self._places.remove(place)
        self._share.give_back(place.caller, place.cost)
        self._turns.refund(place.caller, place.placed - place.started)

    def add(self, place: Place, jobs: Iterable[Job], now: float) -> None:
        """Queue jobs of a request. Those that exceed what it has reserved are placed behind all jobs of its caller."""
        for job in jobs:
            if place.added + job.cost <= place.cost:
                job.turn = place.turn + place.added
            else:
                job.turn = self._turns.place(place.caller, job.cost)
                if place.placed == place.started:
                    place.turn = job.turn - place.started
                place.placed += job.cost
            place.added += job.cost
            job.place = place
            job.arrived = now
            bisect.insort_right(self._jobs, job, key=lambda one: one.turn)

    def runs_alone(self) -> bool:
        """Whether one batch runs and no other can start before it ends: nothing else is accepted, or the device is full."""
        return len(self._running) == 1 and (not self.waiting() or self._running_cost() >= self.limits.max_batch)

    def next_batch(self, now: float) -> tuple[list[Job], float | None]:
        """Choose the batch to run now. It counts as running until `finished`. At most `parallel_batches` may run.

        Returns:
            the batch; or an empty list and in how many seconds to ask again (None: when a job comes or a batch finishes).
        """
        if not self._jobs:
            return [], None
        free = self.limits.max_batch - self._running_cost()
        if self._running and self._jobs[0].cost > free:
            return [], None
        batch, full = self._gather(free)
        left = min(job.arrived for job in batch) + self.limits.max_wait_s - now
        if left > 0 and not full and len(batch) < self._expected_jobs:
            return [], left
        taken = set(batch)
        self._jobs = [job for job in self._jobs if job not in taken]
        if not self._running:  # if the first job had to wait for a batch, the gap between batches delays others as well
            self._busy_since = self._finished if batch[0].arrived <= self._finished else now
        self._running.append(batch)
        for job in batch:
            job.place.started += job.cost
            self._on_device(job, job.cost)
        self._turns.started(batch[-1].turn)
        self._expected_jobs = len(batch)
        return batch, None

    def _gather(self, free: float) -> tuple[list[Job], bool]:
        """The first job and the jobs of its bucket that fit, in order; and whether the batch is full.

        A batch takes only its share of what is ready. If it took everything, other threads would have nothing to run.
        """
        first = self._jobs[0]
        batch: list[Job] = []
        cost = 0
        most = free
        if each := self._seconds_per_cost():
            most = min(free, self.limits.max_batch_s / (each * self.limits.parallel_batches))
        share = sum(job.cost for job in self._jobs) / (self.limits.parallel_batches - len(self._running))
        for job in self._jobs:
            if job.bucket != first.bucket:
                continue
            if batch and cost + job.cost > min(most, share):
                return batch, cost + job.cost > most
            batch.append(job)
            cost += job.cost
        return batch, cost >= most

    def _running_cost(self) -> int:
        return sum(job.cost for batch in self._running for job in batch)

    def finished(self, batch: list[Job], now: float) -> float:
        """Note the end of a running batch. Returns the seconds that the device was busy since the previous batch ended."""
        seconds = now - self._busy_since
        self._busy_since = self._finished = now
        self._running.remove(batch)
        for job in batch:
            if not job.cancelled:
                self._on_device(job, -job.cost)
        self._past_s = DECAY * self._past_s + seconds
        self._past_cost = DECAY * self._past_cost + sum(job.cost for job in batch)
        return seconds

    def _seconds_per_cost(self) -> float:
        """Measured; 0 until the first batch has finished."""
        return self._past_s / self._past_cost if self._past_cost else 0.0

    def clear(self) -> list[Job]:
        """Remove and return all jobs that have not started."""
        waiting = list(self._jobs)
        self._jobs.clear()
        return waiting

    def cancel(self, jobs: Sequence[Job]) -> int:
        """Cancel jobs. Removes those that have not started and returns the number of their rows."""
        removed = 0
        for job in jobs:
            job.cancelled = True
            if job in self._jobs:
                self._jobs.remove(job)
                removed += job.rows
            elif any(job in batch for batch in self._running):
                self._on_device(job, -job.cost)  # its request ends now, and releases the cost
        return removed

    def _on_device(self, job: Job, cost: int) -> None:
        """Cost on the device does not count as waiting."""
        job.place.running += cost
        self._share.give_back(job.place.caller, cost)

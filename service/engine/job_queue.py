"""The queue of one model: who is let in, what runs next, and how much waits. No threads, no clock, no device.

Counted in cost: a generator's rows, a stylizer's pixels. A request first asks for room, before its uploads are decoded,
and gives it back when its answer is made; what runs on the device takes no room meanwhile. So everything that is accepted
and held in memory is bounded, decoded or not, run or not.

A batch takes the oldest job and, in their order, the jobs of its shapes that fit: no shape can starve, since whatever
is oldest runs next. It ends where it would run long: on a device that one picture keeps busy, more at a time gain nothing,
and all of them wait for the last. An idle device waits a little, but only until as many jobs have come as ran before: callers
who were served together come again together, and a lone caller never waits for nobody.
"""

import asyncio
import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]
Feeds = Mapping[str, Array]
Pictures = npt.NDArray[np.uint8]

MEMORY = 0.95  # of what the device took and did: batches of lanes end in pairs, and a mean of few would swing with them

EXPECTED = 0.85  # of `max_queue_s`: measured under overload, one in a hundred waits up to a seventh longer than was expected


@dataclass(frozen=True)
class Limits:
    """The bounds of one model's queue.

    Attributes:
        max_batch: the most cost that runs at a time, in one batch or in several; a job that costs more runs alone.
        max_queue: the most cost that waits. What costs more is let in where nothing waits.
        max_queue_s: the longest, in seconds, that anything is to wait, by what the device took so far.
        max_batch_s: the longest, in seconds, that a batch is expected to run where it could be smaller.
        lanes: how many batches run at a time.
        max_wait_s: how long an idle device waits at most for a batch as large as the one before, in seconds.
    """

    max_batch: int
    max_queue: int
    max_queue_s: float = math.inf
    max_batch_s: float = math.inf
    max_wait_s: float = 0.0
    lanes: int = 1


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
        self.arrived = 0.0  # set when it is queued
        self.gone = False  # nobody waits for it any more
        self.done: asyncio.Future[Pictures]  # set by the batcher, for the caller who waits


class FullError(Exception):
    """There is no room.

    Attributes:
        reason: `queue_full`, or `queue_slow` where it is expected to wait too long.
        wait_s: in how many seconds what waits now will have run, as far as is known.
    """

    def __init__(self, reason: str, wait_s: float) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait_s = wait_s


class JobQueue:
    """Jobs that wait, the room that is taken, and what runs. The caller sees to it that one thread at a time is inside."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._jobs: deque[Job] = deque()
        self._running: list[list[Job]] = []
        self._held = 0  # cost of the rooms given, which cover what runs as well
        self._busy_since = 0.0  # since when the device has been at what runs, or a batch last ended
        self._ended = -math.inf  # when a batch last ended
        self._took, self._did = 0.0, 0.0  # seconds and cost of the batches so far, what is longer ago counting less
        self._expected = 1  # jobs: as many as ran before

    def waiting(self) -> int:
        """The cost that is accepted and not on the device, in the unit of `max_queue`."""
        return self._held - sum(job.cost for batch in self._running for job in batch if not job.gone)

    def rows(self) -> int:
        """The rows that are ready to run and wait for the device."""
        return sum(job.rows for job in self._jobs)

    def expected_s(self, now: float) -> float:
        """How long the device will take for what runs and what waits; 0 until the first batch has shown it."""
        each = self._seconds_per_cost()
        left = each * self._running_cost() - (now - self._busy_since)
        return each * self.waiting() + max(left, 0.0)

    def take_room(self, cost: int, now: float) -> None:
        """Let a request in.

        Raises:
            FullError: there is no room; nothing was taken.
        """
        if waiting := self.waiting():
            expected = self.expected_s(now)
            if waiting + cost > self.limits.max_queue:
                raise FullError("queue_full", expected)
            if expected > EXPECTED * self.limits.max_queue_s:
                raise FullError("queue_slow", expected)
        self._held += cost

    def give_room_back(self, cost: int) -> None:
        """A request is done with, in whatever way."""
        self._held -= cost

    def add(self, jobs: Iterable[Job], now: float) -> None:
        """Queue jobs for which there is room."""
        for job in jobs:
            job.arrived = now
            self._jobs.append(job)

    def runs_alone(self) -> bool:
        """Whether one batch runs and nothing else is accepted."""
        return len(self._running) == 1 and not self.waiting()

    def next_batch(self, now: float) -> tuple[list[Job], float | None]:
        """What to run now; it counts as running until `ended`. The caller runs `lanes` of them at a time at most.

        Returns:
            the batch; or none, and in how many seconds to ask again (None: not before a job comes or a batch ends).
        """
        if not self._jobs:
            return [], None
        room = self.limits.max_batch - self._running_cost()
        if self._running and self._jobs[0].cost > room:
            return [], None
        batch, full = self._gathered(room)
        left = batch[0].arrived + self.limits.max_wait_s - now
        if left > 0 and not full and len(batch) < self._expected:
            return [], left
        taken = set(batch)
        self._jobs = deque(job for job in self._jobs if job not in taken)
        if not self._running:  # where the oldest had to wait for a batch, what lay between makes others wait as well
            self._busy_since = self._ended if batch[0].arrived <= self._ended else now
        self._running.append(batch)
        self._expected = len(batch)
        return batch, None

    def _gathered(self, room: float) -> tuple[list[Job], bool]:
        """The oldest job and those of its bucket that fit, in order; and whether no more would fit.

        Free lanes get a share each of what is ready: a lane that took all would be at it while another has nothing to do.
        """
        oldest = self._jobs[0]
        batch: list[Job] = []
        cost = 0
        most = room
        if each := self._seconds_per_cost():
            most = min(room, self.limits.max_batch_s / (each * self.limits.lanes))
        share = sum(job.cost for job in self._jobs) / (self.limits.lanes - len(self._running))
        for job in self._jobs:
            if job.bucket != oldest.bucket:
                continue
            if batch and cost + job.cost > min(most, share):
                return batch, cost + job.cost > most
            batch.append(job)
            cost += job.cost
        return batch, cost >= most

    def _running_cost(self) -> int:
        return sum(job.cost for batch in self._running for job in batch)

    def ended(self, batch: list[Job], now: float) -> float:
        """A running batch has ended. Returns the seconds that the device was busy since one last did."""
        seconds = now - self._busy_since
        self._busy_since = self._ended = now
        self._running.remove(batch)
        self._took = MEMORY * self._took + seconds
        self._did = MEMORY * self._did + sum(job.cost for job in batch)
        return seconds

    def _seconds_per_cost(self) -> float:
        """What the device takes for one; 0 until the first batch has shown it."""
        return self._took / self._did if self._did else 0.0

    def clear(self) -> list[Job]:
        """Take everything out that has not started."""
        waiting = list(self._jobs)
        self._jobs.clear()
        return waiting

    def leave(self, jobs: Sequence[Job]) -> int:
        """Nobody waits for these jobs any more: those that have not started never will. Returns how many rows those had."""
        spared = 0
        for job in jobs:
            job.gone = True
            if job in self._jobs:
                self._jobs.remove(job)
                spared += job.rows
        return spared

"""The queue alone, on a clock of the test: whatever comes, leaves and runs, in any order, its promises hold."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
)

from service.engine.job_queue import DECAY, WAIT_FRACTION, FullError, Job, JobQueue, Limits

LIMITS = Limits(max_batch=6, max_queue=20, max_queue_s=50.0, max_wait_s=2.0, parallel_batches=2)


@dataclass(eq=False)
class Request:
    """One that was let in, and its jobs."""

    jobs: list[Job]
    cost: int
    ahead: list[Job] = field(default_factory=list)  # what waited when it was queued


def job(rows: int, width: int, row_cost: int = 1) -> Job:
    return Job({"x": np.zeros((rows, width))}, row_cost)


class Queue(RuleBasedStateMachine):
    """Requests come, with one job or several, wait, leave or run; the device ends its batches when it likes."""

    requests: Bundle[Request] = Bundle("requests")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.queue = JobQueue(LIMITS)
        self.open: list[Request] = []
        self.waiting: list[Job] = []  # in the order of their coming
        self.running: list[list[Job]] = []
        self.ran: list[Job] = []  # or running
        self.ended: list[Job] = []
        self.batches_since: dict[Job, int] = {}

    @rule(
        target=requests,
        shapes=st.lists(st.tuples(st.integers(1, 7), st.sampled_from([1, 2, 3])), min_size=1, max_size=3),
        row_cost=st.integers(1, 3),
    )
    def come(self, shapes: list[tuple[int, int]], row_cost: int) -> Request | MultipleResults[Request]:
        """A request asks for room, and is queued or refused: all of it, or nothing."""
        jobs = [job(rows, width, row_cost) for rows, width in shapes]
        cost = sum(one.cost for one in jobs)
        before = self.queue.waiting()
        slow = self.queue.expected_s(self.now) > WAIT_FRACTION * LIMITS.max_queue_s
        full = before + cost > LIMITS.max_queue
        if before and (full or slow):  # an empty queue takes whatever comes
            with pytest.raises(FullError, match="queue_full" if full else "queue_slow"):
                self.queue.reserve(cost, self.now)
            assert self.queue.waiting() == before
            return multiple()
        self.queue.reserve(cost, self.now)
        request = Request(jobs, cost, ahead=list(self.waiting))
        self.queue.add(jobs, self.now)
        self.open.append(request)
        self.waiting += jobs
        for one in jobs:
            self.batches_since[one] = 0
        return request

    @rule(request=consumes(requests))
    def leave(self, request: Request) -> None:
        """A request ends, answered or not: what has not started never will."""
        unstarted = [one for one in request.jobs if one in self.waiting]
        assert self.queue.cancel([one for one in request.jobs if one not in self.ended]) == sum(one.rows for one in unstarted)
        self.queue.release(request.cost)
        self.open.remove(request)
        self.waiting = [one for one in self.waiting if one not in unstarted]

    @rule(seconds=st.floats(0.1, 5))
    def pass_time(self, seconds: float) -> None:
        """Time goes by."""
        self.now += seconds

    @precondition(lambda self: len(self.running) < LIMITS.parallel_batches)
    @rule()
    def run(self) -> None:
        """A lane is free and asks for its next batch."""
        on_device = sum(one.cost for batch in self.running for one in batch)
        share = sum(one.cost for one in self.waiting) / (LIMITS.parallel_batches - len(self.running))
        batch, wait_s = self.queue.next_batch(self.now)
        if not batch:
            if not self.waiting or (on_device and on_device + self.waiting[0].cost > LIMITS.max_batch):
                assert wait_s is None
                return
            assert wait_s is not None
            assert 0 < wait_s <= LIMITS.max_wait_s  # never longer than it may
            assert self.now - self.waiting[0].arrived < LIMITS.max_wait_s
            self.now += wait_s
            batch, _ = self.queue.next_batch(self.now)
        assert batch[0] is self.waiting[0]  # no shape starves: the oldest is always next
        same = [one for one in self.waiting if one.bucket == batch[0].bucket]
        assert batch == same[: len(batch)]  # in order, and of one shape
        cost = sum(one.cost for one in batch)
        assert on_device + cost <= LIMITS.max_batch or (len(batch) == 1 and not on_device)
        if len(same) > len(batch):  # nobody is left who would have fitted
            assert cost + same[len(batch)].cost > min(LIMITS.max_batch - on_device, share)
        assert not any(one in self.ran for one in batch)  # nothing twice
        self.ran += batch
        self.running.append(batch)
        self.waiting = [one for one in self.waiting if one not in batch]
        for one in self.waiting:
            self.batches_since[one] += 1

    @precondition(lambda self: self.running)
    @rule(seconds=st.floats(0.01, 20), last=st.booleans())
    def end(self, seconds: float, last: bool) -> None:
        """A batch has ended, the one that began first or the other."""
        self.now += seconds
        batch = self.running.pop(-1 if last else 0)
        busy_s = self.queue.finished(batch, self.now)
        assert 0 < busy_s <= self.now
        self.ended += batch

    @invariant()
    def everything_is_counted(self) -> None:
        """Rows, and the cost of what is accepted and not on the device; the bound holds but for what came off the device."""
        assert self.queue.rows() == sum(one.rows for one in self.waiting)
        held = sum(request.cost for request in self.open)
        on_device = sum(one.cost for batch in self.running for one in batch if not one.cancelled)
        assert self.queue.waiting() == held - on_device
        largest = max([request.cost for request in self.open], default=0)
        assert self.queue.waiting() <= max(LIMITS.max_queue, largest) + LIMITS.parallel_batches * max(LIMITS.max_batch, largest)

    @invariant()
    def nobody_waits_behind_more_batches_than_came_before(self) -> None:
        """A job is passed by at most as many batches as there were jobs before it."""
        for request in self.open:
            for i, one in enumerate(request.jobs):
                if one in self.waiting:
                    assert self.batches_since[one] <= len(request.ahead) + i

    def teardown(self) -> None:
        """Left alone, everything that still waits runs, once."""
        while self.running:
            self.end(1.0, last=False)
        while self.waiting:
            self.run()
            self.end(1.0, last=False)
        batch, wait_s = self.queue.next_batch(self.now)
        assert (batch, wait_s) == ([], None)


TestQueue = Queue.TestCase
Queue.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_the_wait_is_told_by_what_batches_took() -> None:
    queue = JobQueue(Limits(max_batch=4, max_queue=1000, max_queue_s=10))
    queue.reserve(4, 0.0)
    queue.add([job(4, 1)], 0.0)
    batch, _ = queue.next_batch(0.0)
    assert queue.expected_s(1.0) == 0  # nothing is known yet
    assert queue.finished(batch, 8.0) == 8.0
    queue.release(4)
    queue.reserve(6, 8.0)
    assert queue.expected_s(8.0) == pytest.approx(12.0)
    with pytest.raises(FullError, match="queue_slow") as caught:
        queue.reserve(1, 8.0)
    assert caught.value.wait_s == pytest.approx(12.0)


def test_what_runs_counts_for_what_is_left_of_it() -> None:
    queue = JobQueue(Limits(max_batch=4, max_queue=1000, max_queue_s=10))
    for began in (0.0, 8.0):
        queue.reserve(4, began)
        queue.add([job(4, 1)], began)
        batch, _ = queue.next_batch(began)
        if not began:
            queue.finished(batch, 8.0)
            queue.release(4)
    assert queue.expected_s(8.0) == pytest.approx(8.0)
    assert queue.expected_s(13.0) == pytest.approx(3.0)
    assert queue.expected_s(20.0) == 0  # it takes longer than was foretold
    queue.reserve(2, 13.0)
    assert queue.expected_s(13.0) == pytest.approx(7.0)
    queue.reserve(1, 13.0)
    with pytest.raises(FullError, match="queue_slow"):
        queue.reserve(2, 10.0)


def test_what_lies_between_two_batches_counts_as_well() -> None:
    queue = JobQueue(Limits(max_batch=1, max_queue=1000))
    queue.reserve(9, 0.0)
    queue.add([job(1, 1)], 0.0)
    batch, _ = queue.next_batch(0.0)
    queue.add([job(1, 1)], 1.0)
    queue.finished(batch, 2.0)
    batch, _ = queue.next_batch(3.0)  # it could have run at 2
    assert queue.finished(batch, 5.0) == 3.0
    took, did = DECAY * 2.0 + 3.0, DECAY * 1 + 1
    assert queue.expected_s(5.0) == pytest.approx(9 * took / did)
    queue.add([job(1, 1)], 10.0)
    batch, _ = queue.next_batch(10.0)
    assert queue.finished(batch, 12.0) == 2.0  # the device had been idle
    assert queue.expected_s(12.0) == pytest.approx(9 * (DECAY * took + 2.0) / (DECAY * did + 1))


def test_what_is_expected_does_not_swing_where_the_batches_of_two_lanes_end_in_pairs() -> None:
    queue = JobQueue(Limits(max_batch=2, max_queue=1000, parallel_batches=2))
    queue.reserve(1000, 0.0)
    expected = []
    for now in range(50):
        queue.add([job(1, 1), job(1, 1)], now)
        pair = [queue.next_batch(now)[0] for _ in range(2)]
        for batch in pair:
            queue.finished(batch, now + 1.0)
            expected.append(queue.expected_s(now + 1.0) / 1000)
    assert 0.95 * 0.5 < min(expected[80:]) < max(expected[80:]) < 1.05 * 0.5  # of a job: two end each second


def test_batches_of_several_lanes_share_the_device() -> None:
    queue = JobQueue(Limits(max_batch=4, max_queue=1000, parallel_batches=2))
    queue.reserve(4, 0.0)
    queue.add([job(1, 1) for _ in range(3)], 0.0)
    first, _ = queue.next_batch(0.0)
    assert not queue.runs_alone()
    second, _ = queue.next_batch(0.0)
    assert (len(first), len(second)) == (1, 2)
    assert queue.finished(first, 6.0) == 6.0
    assert queue.finished(second, 8.0) == 2.0  # together eight seconds, though each took as long or nearly so
    queue.release(3)
    queue.add([job(1, 1)], 9.0)
    queue.next_batch(9.0)
    assert queue.runs_alone()


def test_a_batch_ends_where_it_would_run_long() -> None:
    queue = JobQueue(Limits(max_batch=8, max_queue=1000, max_batch_s=5))
    sizes, now = [], 0.0
    queue.add([job(4, 1), *(job(1, 1) for _ in range(5)), job(4, 1)], 0.0)
    while queue.rows():
        batch, _ = queue.next_batch(now)
        sizes.append([one.rows for one in batch])
        now += 2.0 * sum(one.rows for one in batch)
        queue.finished(batch, now)
    assert sizes == [[4, 1, 1, 1, 1], [1], [4]]  # nothing is known at first; then two rows, and what is longer alone


def test_a_shape_that_is_rare_is_not_passed_by_for_ever() -> None:
    queue = JobQueue(Limits(max_batch=2, max_queue=1000))
    rare = job(1, 9)
    queue.add([job(1, 1), job(1, 1), rare], 0.0)
    for turn in range(3):
        queue.add([job(1, 1), job(1, 1)], float(turn))  # the common shape never stops coming
        batch, _ = queue.next_batch(float(turn))
        queue.finished(batch, turn + 1.0)
        if rare in batch:
            return
    raise AssertionError("it starved")

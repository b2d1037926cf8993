"""The queue without threads, on a fake clock: its promises hold for requests and batches in any order."""

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

from service.engine.job_queue import DECAY, WAIT_FRACTION, FullError, Job, JobQueue, Limits, Place
from service.engine.shares import RESERVE, SHARE

LIMITS = Limits(max_batch=6, max_queue=20, max_queue_s=50.0, max_wait_s=2.0, parallel_batches=2)


@dataclass(eq=False)
class Request:
    """An accepted request and its jobs."""

    caller: str
    jobs: list[Job]
    cost: int
    place: Place
    ahead: list[Job] = field(default_factory=list)  # the jobs that waited when it was queued


def job(rows: int, width: int, row_cost: int = 1) -> Job:
    return Job({"x": np.zeros((rows, width))}, row_cost)


class Queue(RuleBasedStateMachine):
    """Requests with one or several jobs come, wait, run or are cancelled. Batches finish at any time."""

    requests: Bundle[Request] = Bundle("requests")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.queue = JobQueue(LIMITS)
        self.open: list[Request] = []
        self.waiting: list[Job] = []  # in the order in which they run
        self.running: list[list[Job]] = []
        self.ran: list[Job] = []  # includes running jobs
        self.ended: list[Job] = []
        self.batches_since: dict[Job, int] = {}

    @rule(
        target=requests,
        caller=st.sampled_from(["a", "b", "c"]),
        shapes=st.lists(st.tuples(st.integers(1, 7), st.sampled_from([1, 2, 3])), min_size=1, max_size=3),
        row_cost=st.integers(1, 3),
    )
    def come(self, caller: str, shapes: list[tuple[int, int]], row_cost: int) -> Request | MultipleResults[Request]:
        """A request reserves its cost. It is queued or rejected as a whole."""
        jobs = [job(rows, width, row_cost) for rows, width in shapes]
        cost = sum(one.cost for one in jobs)
        before = self.queue.waiting()
        expected = self.queue.expected_s(self.now, caller)
        slow = bool(self.queue.cost_before(caller)) and expected > WAIT_FRACTION * LIMITS.max_queue_s
        own = sum(self.waits(request) for request in self.open if request.caller == caller)
        free = (1 - RESERVE) * LIMITS.max_queue - (before - own)
        full = own + cost > (SHARE * free if own else free)
        if before and (full or slow):  # an empty queue accepts everything
            with pytest.raises(FullError, match="queue_full|caller_full" if full else "queue_slow"):
                self.queue.reserve(cost, self.now, caller=caller)
            assert self.queue.waiting() == before
            return multiple()
        place = self.queue.reserve(cost, self.now, caller=caller, job_cost=max(one.cost for one in jobs))
        request = Request(caller, jobs, cost, place, ahead=list(self.waiting))
        self.queue.add(place, jobs, self.now)
        self.open.append(request)
        self.waiting = sorted([*self.waiting, *jobs], key=lambda one: one.turn)
        for one in jobs:
            self.batches_since[one] = 0
        return request

    def waits(self, request: Request) -> int:
        """The cost of a request that is not on the device."""
        on_device = [one for batch in self.running for one in batch if not one.cancelled]
        return request.cost - sum(one.cost for one in request.jobs if one in on_device)

    @rule(request=consumes(requests))
    def leave(self, request: Request) -> None:
        """A request ends, served or not. Its jobs that have not started never start."""
        unstarted = [one for one in request.jobs if one in self.waiting]
        assert self.queue.cancel([one for one in request.jobs if one not in self.ended]) == sum(one.rows for one in unstarted)
        self.queue.release(request.place)
        self.open.remove(request)
        self.waiting = [one for one in self.waiting if one not in unstarted]

    @rule(seconds=st.floats(0.1, 5))
    def pass_time(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds

    @precondition(lambda self: len(self.running) < LIMITS.parallel_batches)
    @rule()
    def run(self) -> None:
        """A thread is free and asks for its next batch."""
        on_device = sum(one.cost for batch in self.running for one in batch)
        share = sum(one.cost for one in self.waiting) / (LIMITS.parallel_batches - len(self.running))
        batch, wait_s = self.queue.next_batch(self.now)
        if not batch:
            if not self.waiting or (on_device and on_device + self.waiting[0].cost > LIMITS.max_batch):
                assert wait_s is None
                return
            assert wait_s is not None
            assert 0 < wait_s <= LIMITS.max_wait_s  # within the limit
            assert self.now - self.waiting[0].arrived < LIMITS.max_wait_s
            self.now += wait_s
            batch, _ = self.queue.next_batch(self.now)
        assert batch[0] is self.waiting[0]  # no shape starves: the first job always runs next
        same = [one for one in self.waiting if one.bucket == batch[0].bucket]
        assert batch == same[: len(batch)]  # in order, with one shape
        cost = sum(one.cost for one in batch)
        assert on_device + cost <= LIMITS.max_batch or (len(batch) == 1 and not on_device)
        if len(same) > len(batch):  # no more would have fitted
            assert cost + same[len(batch)].cost > min(LIMITS.max_batch - on_device, share)
        assert not any(one in self.ran for one in batch)  # nothing runs twice
        self.ran += batch
        self.running.append(batch)
        self.waiting = [one for one in self.waiting if one not in batch]
        for one in self.waiting:
            self.batches_since[one] += 1

    @precondition(lambda self: self.running)
    @rule(seconds=st.floats(0.01, 20), last=st.booleans())
    def end(self, seconds: float, last: bool) -> None:
        """One of the running batches finishes."""
        self.now += seconds
        batch = self.running.pop(-1 if last else 0)
        busy_s = self.queue.finished(batch, self.now)
        assert 0 < busy_s <= self.now
        self.ended += batch

    @invariant()
    def waiting_is_counted_and_bounded(self) -> None:
        """Counts rows and cost that wait. The bound holds, except for what finished while its request is open."""
        assert self.queue.rows() == sum(one.rows for one in self.waiting)
        held = sum(request.cost for request in self.open)
        on_device = sum(one.cost for batch in self.running for one in batch if not one.cancelled)
        assert self.queue.waiting() == held - on_device
        largest = max([request.cost for request in self.open], default=0)
        assert self.queue.waiting() <= max(LIMITS.max_queue, largest) + LIMITS.parallel_batches * max(LIMITS.max_batch, largest)

    @invariant()
    def jobs_of_one_caller_run_in_order(self) -> None:
        """A job has its turn after all jobs of its caller that came before it."""
        for request in self.open:
            for i, one in enumerate(request.jobs):
                earlier = [*request.ahead, *request.jobs[:i]]
                assert all(other.turn <= one.turn for other in earlier if other.place.caller == request.caller)

    def teardown(self) -> None:
        """Without new requests, everything that waits runs once."""
        while self.running:
            self.end(1.0, last=False)
        while self.waiting:
            most = len(self.waiting)
            self.run()
            self.end(1.0, last=False)
            assert len(self.waiting) < most
        batch, wait_s = self.queue.next_batch(self.now)
        assert (batch, wait_s) == ([], None)


TestQueue = Queue.TestCase
Queue.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_expected_wait_follows_from_measured_batches() -> None:
    queue = JobQueue(Limits(max_batch=4, max_queue=1000, max_queue_s=10))
    place = queue.reserve(4, 0.0)
    queue.add(place, [job(4, 1)], 0.0)
    batch, _ = queue.next_batch(0.0)
    assert queue.expected_s(1.0) == 0  # nothing is measured yet
    assert queue.finished(batch, 8.0) == 8.0
    queue.release(place)
    queue.reserve(6, 8.0)
    assert queue.expected_s(8.0) == pytest.approx(12.0)
    with pytest.raises(FullError, match="queue_slow") as caught:
        queue.reserve(1, 8.0)
    assert caught.value.wait_s == pytest.approx(12.0)


def test_running_batch_counts_only_for_its_remaining_time() -> None:
    queue = JobQueue(Limits(max_batch=4, max_queue=1000, max_queue_s=10))
    for began in (0.0, 8.0):
        place = queue.reserve(4, began)
        queue.add(place, [job(4, 1)], began)
        batch, _ = queue.next_batch(began)
        if not began:
            queue.finished(batch, 8.0)
            queue.release(place)
    assert queue.expected_s(8.0) == pytest.approx(8.0)
    assert queue.expected_s(13.0) == pytest.approx(3.0)
    assert queue.expected_s(20.0) == 0  # it takes longer than expected
    queue.reserve(2, 13.0)
    assert queue.expected_s(13.0) == pytest.approx(7.0)
    queue.reserve(1, 13.0)
    with pytest.raises(FullError, match="queue_slow"):
        queue.reserve(2, 10.0)


def test_gap_between_batches_counts_as_busy_time() -> None:
    queue = JobQueue(Limits(max_batch=1, max_queue=1000))
    place = queue.reserve(9, 0.0)
    queue.add(place, [job(1, 1)], 0.0)
    batch, _ = queue.next_batch(0.0)
    queue.add(place, [job(1, 1)], 1.0)
    queue.finished(batch, 2.0)
    batch, _ = queue.next_batch(3.0)  # it could have started at 2
    assert queue.finished(batch, 5.0) == 3.0
    took, did = DECAY * 2.0 + 3.0, DECAY * 1 + 1
    assert queue.expected_s(5.0) == pytest.approx(7 * took / did)
    queue.add(place, [job(1, 1)], 10.0)
    batch, _ = queue.next_batch(10.0)
    assert queue.finished(batch, 12.0) == 2.0  # the device was idle before
    assert queue.expected_s(12.0) == pytest.approx(6 * (DECAY * took + 2.0) / (DECAY * did + 1))


def test_expected_wait_is_stable_if_parallel_batches_end_in_pairs() -> None:
    queue = JobQueue(Limits(max_batch=2, max_queue=1000, parallel_batches=2))
    place = queue.reserve(1000, 0.0)
    expected = []
    for now in range(50):
        queue.add(place, [job(1, 1), job(1, 1)], now)
        pair = [queue.next_batch(now)[0] for _ in range(2)]
        for batch in pair:
            queue.finished(batch, now + 1.0)
            expected.append(queue.expected_s(now + 1.0) / queue.cost_before())
    assert 0.95 * 0.5 < min(expected[80:]) < max(expected[80:]) < 1.05 * 0.5  # seconds per job: two finish each second


def test_parallel_batches_share_the_device() -> None:
    queue = JobQueue(Limits(max_batch=4, max_queue=1000, parallel_batches=2))
    place, later = queue.reserve(3, 0.0), queue.reserve(1, 0.0)
    queue.add(place, [job(1, 1) for _ in range(3)], 0.0)
    first, _ = queue.next_batch(0.0)
    assert not queue.runs_alone()
    second, _ = queue.next_batch(0.0)
    assert (len(first), len(second)) == (1, 2)
    assert queue.finished(first, 6.0) == 6.0
    assert queue.finished(second, 8.0) == 2.0  # eight seconds together, although each took almost as long
    queue.release(place)
    queue.add(later, [job(1, 1)], 9.0)
    queue.next_batch(9.0)
    assert queue.runs_alone()


def test_batch_that_fills_the_device_runs_alone_although_others_wait() -> None:
    queue = JobQueue(Limits(max_batch=4, max_queue=1000, parallel_batches=2))
    place = queue.reserve(10, 0.0)
    queue.add(place, [job(9, 1), job(1, 1)], 0.0)
    large, _ = queue.next_batch(0.0)
    assert [one.rows for one in large] == [9]
    assert queue.next_batch(0.0) == ([], None)
    assert queue.runs_alone()  # all cores, and only one session keeps memory for large images
    queue.finished(large, 1.0)
    queue.next_batch(1.0)
    assert not queue.runs_alone()  # the response of the large one is not built yet


def test_batch_is_no_longer_than_max_batch_s() -> None:
    queue = JobQueue(Limits(max_batch=8, max_queue=1000, max_batch_s=5))
    sizes, now = [], 0.0
    queue.add(queue.reserve(13, 0.0), [job(4, 1), *(job(1, 1) for _ in range(5)), job(4, 1)], 0.0)
    while queue.rows():
        batch, _ = queue.next_batch(now)
        sizes.append([one.rows for one in batch])
        now += 2.0 * sum(one.rows for one in batch)
        queue.finished(batch, now)
    assert sizes == [[4, 1, 1, 1, 1], [1], [4]]  # nothing is measured at first; then two rows per batch, and larger jobs alone


def test_rare_shape_does_not_starve() -> None:
    queue = JobQueue(Limits(max_batch=2, max_queue=1000))
    rare = job(1, 9)
    queue.add(queue.reserve(3, 0.0), [job(1, 1), job(1, 1), rare], 0.0)
    for turn in range(3):
        queue.add(queue.reserve(2, 0.0), [job(1, 1), job(1, 1)], float(turn))  # jobs of the common shape keep coming
        batch, _ = queue.next_batch(float(turn))
        queue.finished(batch, turn + 1.0)
        if rare in batch:
            return
    raise AssertionError("the rare shape starved")


def fill(queue: JobQueue, caller: str, rows: int, *, now: float = 0.0, row_cost: int = 1) -> str | None:
    """Queue requests of one row each. Returns why one of them was rejected, if so."""
    for _ in range(rows):
        try:
            place = queue.reserve(row_cost, now, caller=caller)
        except FullError as error:
            return error.reason
        queue.add(place, [job(1, 1, row_cost)], now)
    return None


def test_one_caller_leaves_a_quarter_of_the_queue_to_others() -> None:
    queue = JobQueue(Limits(max_batch=1, max_queue=320))
    assert fill(queue, "greedy", 320) == "caller_full"
    assert queue.waiting() == 240
    queue.reserve(10, 0.0, caller="polite")
    queue.reserve(10, 0.0, caller="polite")


def test_busy_callers_get_equal_shares() -> None:
    queue = JobQueue(Limits(max_batch=1, max_queue=320))
    held = dict.fromkeys("abcd", 0)
    for _ in range(100):
        for caller in held:
            held[caller] += fill(queue, caller, 1) is None
    assert max(held.values()) - min(held.values()) <= 1
    assert 200 < sum(held.values()) == queue.waiting() < 320


def test_small_requests_keep_a_reserve() -> None:
    queue = JobQueue(Limits(max_batch=1, max_queue=320))
    queue.reserve(140, 0.0, caller="a")
    queue.reserve(140, 0.0, caller="b")
    with pytest.raises(FullError, match="queue_full"):
        queue.reserve(11, 0.0, caller="c")
    queue.reserve(10, 0.0, caller="c")


def test_callers_take_turns() -> None:
    queue = JobQueue(Limits(max_batch=1, max_queue=320))
    fill(queue, "greedy", 200)
    queue.next_batch(0.0)
    fill(queue, "polite", 2)
    fill(queue, "other", 1)
    order = []
    for now in range(1, 6):
        queue.finished(queue._running[0], float(now))
        batch, _ = queue.next_batch(float(now))
        order.append(batch[0].place.caller)
    assert sorted(order[:2]) == ["other", "polite"]
    assert sorted(order[2:4]) == ["greedy", "polite"]
    assert order[4] == "greedy"


def test_expected_wait_of_a_polite_caller_ignores_what_runs_after_its_request() -> None:
    queue = JobQueue(Limits(max_batch=1, max_queue=320, max_queue_s=10))
    place = queue.reserve(1, 0.0)
    queue.add(place, [job(1, 1)], 0.0)
    batch, _ = queue.next_batch(0.0)
    queue.finished(batch, 1.0)  # a row takes a second
    queue.release(place)
    assert fill(queue, "greedy", 320, now=1.0) == "queue_slow"
    assert queue.waiting() == 9
    assert queue.expected_s(1.0, "polite") == pytest.approx(1.0)  # the first row of the other caller
    queue.reserve(1, 1.0, caller="polite")
    assert queue.expected_s(1.0, "polite") == pytest.approx(3.0)  # two rows of the other caller, and its own


def test_many_callers_wait_for_each_other() -> None:
    queue = JobQueue(Limits(max_batch=1, max_queue=320, max_queue_s=10))
    place = queue.reserve(1, 0.0)
    queue.add(place, [job(1, 1)], 0.0)
    queue.finished(queue.next_batch(0.0)[0], 1.0)
    queue.release(place)
    rejected = [fill(queue, str(caller), 1, now=1.0) for caller in range(20)]
    assert rejected == [None] * 9 + ["queue_slow"] * 11


def test_later_jobs_of_a_walk_wait_for_their_turns() -> None:
    queue = JobQueue(Limits(max_batch=1, max_queue=320))
    walk = queue.reserve(1, 0.0, caller="walk")
    fill(queue, "sample", 3)
    order = []
    for now in range(6):
        if now < 3:
            queue.add(walk, [job(1, 1)], float(now))
        batch, _ = queue.next_batch(float(now))
        order.append(batch[0].place.caller)
        queue.finished(batch, now + 1.0)
    assert order == ["sample", "walk", "sample", "walk", "sample", "walk"]
    queue.release(walk)


def test_walks_of_one_caller_do_not_lengthen_the_expected_wait_of_another() -> None:
    queue = JobQueue(Limits(max_batch=1, max_queue=320, max_queue_s=2))
    walks = [queue.reserve(1, 0.0, caller="walks") for _ in range(8)]
    for now in range(8):
        queue.add(walks[now], [job(1, 1)], 0.0)
    for now in range(40):  # each walk queues its next job when its last one has run
        batch, _ = queue.next_batch(float(now))
        queue.finished(batch, now + 1.0)
        queue.add(batch[0].place, [job(1, 1)], now + 1.0)
    queue.next_batch(40.0)
    assert queue.expected_s(40.0, "polite") == pytest.approx(1.0)  # the job on the device
    assert queue.expected_s(40.0, "walks") == pytest.approx(8.0)
    queue.reserve(1, 40.0, caller="polite")


def test_finished_work_whose_response_is_not_built_does_not_count_as_wait() -> None:
    queue = JobQueue(Limits(max_batch=4, max_queue=320, max_queue_s=2))
    place = queue.reserve(4, 0.0, caller="large")
    queue.add(place, [job(4, 1)], 0.0)
    batch, _ = queue.next_batch(0.0)
    queue.finished(batch, 40.0)
    assert queue.waiting() == 4  # it is held until it is released
    assert queue.expected_s(40.0, "large") == 0
    assert queue.expected_s(40.0, "polite") == 0


def test_long_job_on_the_device_does_not_shut_out_other_callers() -> None:
    queue = JobQueue(Limits(max_batch=4, max_queue=320, max_queue_s=2))
    fill(queue, "large", 2, row_cost=4)
    queue.finished(queue.next_batch(0.0)[0], 40.0)
    queue.next_batch(40.0)
    assert fill(queue, "large", 1, now=41.0, row_cost=4) is None
    assert fill(queue, "large", 1, now=41.0, row_cost=4) == "queue_slow"  # it would wait for its own work
    assert fill(queue, "polite", 1, now=41.0) is None  # 39 s later, it runs before the work that waits
    assert fill(queue, "late", 1, now=41.0) == "queue_slow"


def test_cancelled_work_does_not_delay_its_caller() -> None:
    queue = JobQueue(Limits(max_batch=1, max_queue=320))
    fill(queue, "other", 50)
    for _ in range(20):
        place = queue.reserve(1, 0.0, caller="slider")
        jobs = [job(1, 1)]
        queue.add(place, jobs, 0.0)
        queue.cancel(jobs)
        queue.release(place)
    fill(queue, "slider", 1)
    first = [queue.next_batch(0.0)[0][0].place.caller]
    queue.finished(queue._running[0], 1.0)
    first.append(queue.next_batch(1.0)[0][0].place.caller)
    assert "slider" in first

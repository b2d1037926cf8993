import asyncio
import math
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import numpy as np
import pytest

from service.engine.batcher import Batcher
from service.engine.callers import CALLER
from service.engine.errors import ClosedError, QueueFullError
from service.engine.job_queue import Job, Limits


class Device:
    """A model that doubles `x`. It records each batch, blocks while `free` is not set, and fails on a 13."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.alone: list[bool] = []
        self.free = threading.Event()
        self.free.set()
        self.started = threading.Event()
        self.begun = threading.Semaphore(0)

    def run(self, feeds: Any, *, alone: bool) -> np.ndarray:
        self.alone.append(alone)
        self.batches.append(feeds["x"][:, 0].tolist())
        self.started.set()
        self.begun.release()
        assert self.free.wait(10)
        if 13 in feeds["x"]:
            raise RuntimeError("unlucky")
        return (feeds["x"] * 2).astype(np.uint8)


@pytest.fixture
def device() -> Iterator[Device]:
    made = Device()
    yield made
    made.free.set()


def job(*values: int, width: int = 1, row_cost: int = 1) -> Job:
    return Job({"x": np.array(values)[:, None].repeat(width, 1)}, row_cost)


def with_batcher(device: Device, test: Callable[[Batcher], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        batcher = Batcher("m", device.run, Limits(**{"max_batch": 4, "max_queue": 12, **options}))
        try:
            async with asyncio.timeout(10):
                await test(batcher)
        finally:
            device.free.set()
            await batcher.close()

    asyncio.run(run())


async def submit(batcher: Batcher, *jobs: Job) -> list[np.ndarray]:
    """Reserve what the jobs cost and run them, as a request does."""
    with batcher.reserve(sum(one.cost for one in jobs)) as reservation:
        return await batcher.submit(reservation, jobs)


async def held(batcher: Batcher, device: Device) -> asyncio.Task[list[np.ndarray]]:
    """Block the device with a job, so that later jobs have to wait."""
    device.free.clear()
    task = asyncio.create_task(submit(batcher, job(99)))
    await asyncio.to_thread(device.started.wait, 10)
    return task


async def queued(batcher: Batcher, *jobs: Job) -> list[asyncio.Task[list[np.ndarray]]]:
    tasks = [asyncio.create_task(submit(batcher, one)) for one in jobs]
    await asyncio.sleep(0)
    return tasks


async def run_two_together(batcher: Batcher, device: Device) -> None:
    """Run a batch of two jobs, so that the next batch waits for a second job."""
    blocker = await held(batcher, device)
    tasks = await queued(batcher, job(11), job(12))
    device.free.set()
    await asyncio.gather(blocker, *tasks)
    assert device.batches == [[99], [11, 12]]


def test_each_job_gets_its_own_result(device: Device) -> None:
    async def test(batcher: Batcher) -> None:
        first, second = await submit(batcher, job(1, 2), job(3))
        np.testing.assert_array_equal(first, [[2], [4]])
        np.testing.assert_array_equal(second, [[6]])

    with_batcher(device, test)


def test_waiting_jobs_are_joined_in_order_up_to_the_limit(device: Device) -> None:
    async def test(batcher: Batcher) -> None:
        blocker = await held(batcher, device)
        tasks = await queued(batcher, job(1), job(2, 3), job(4, 5), job(6))
        device.free.set()
        results = [await task for task in [blocker, *tasks]]
        assert device.batches == [[99], [1, 2, 3], [4, 5, 6]]
        assert [result[0].ravel().tolist() for result in results] == [[198], [2], [4, 6], [8, 10], [12]]

    with_batcher(device, test)


def test_only_equal_shapes_are_joined_and_the_oldest_runs_first(device: Device) -> None:
    async def test(batcher: Batcher) -> None:
        blocker = await held(batcher, device)
        tasks = await queued(batcher, job(1, width=2), job(2, width=3), job(3, width=2), job(4, width=3))
        device.free.set()
        await asyncio.gather(blocker, *tasks)
        assert device.batches == [[99], [1, 3], [2, 4]]

    with_batcher(device, test)


def test_job_larger_than_a_batch_runs_alone(device: Device) -> None:
    async def test(batcher: Batcher) -> None:
        blocker = await held(batcher, device)
        tasks = await queued(batcher, job(1), job(2, 3, row_cost=3), job(4))
        device.free.set()
        await asyncio.gather(blocker, *tasks)
        assert device.batches == [[99], [1], [2, 3], [4]]

    with_batcher(device, test, max_queue=100)


def test_idle_device_waits_for_as_many_jobs_as_before(device: Device) -> None:
    async def test(batcher: Batcher) -> None:
        await run_two_together(batcher, device)
        first = asyncio.create_task(submit(batcher, job(1)))
        await asyncio.sleep(0.05)
        assert len(device.batches) == 2
        await submit(batcher, job(2))  # the same number as before, so they do not wait for the rest of the ten seconds
        await first
        assert device.batches[2:] == [[1, 2]]

    with_batcher(device, test, max_wait_s=10)


def test_idle_device_runs_a_full_batch_at_once(device: Device) -> None:
    async def test(batcher: Batcher) -> None:
        await run_two_together(batcher, device)
        await submit(batcher, job(1, 2, 3, 4))
        assert device.batches[2:] == [[1, 2, 3, 4]]

    with_batcher(device, test, max_wait_s=10)


def test_lone_caller_does_not_wait(device: Device) -> None:
    async def test(batcher: Batcher) -> None:
        for value in range(3):
            await submit(batcher, job(value))
        assert device.batches == [[0], [1], [2]]

    with_batcher(device, test, max_wait_s=1000)


def test_wait_of_an_idle_device_ends(device: Device) -> None:
    async def test(batcher: Batcher) -> None:
        await run_two_together(batcher, device)
        await submit(batcher, job(1))
        await submit(batcher, job(2))
        assert device.batches[2:] == [[1], [2]]

    with_batcher(device, test, max_wait_s=0.02)


def test_full_queue_rejects_a_request_and_keeps_the_others(device: Device) -> None:
    async def test(batcher: Batcher) -> None:
        blocker = await held(batcher, device)
        tasks = await queued(batcher, job(1, 2, 3, 4), job(5, 6, 7))
        with pytest.raises(QueueFullError, match="Your share of the queue for m is full") as caught:
            await submit(batcher, job(8), job(9))  # all or nothing: the first alone would fit
        assert caught.value.retry_after_s == 1
        assert batcher.waiting() == 7
        device.free.set()
        await asyncio.gather(blocker, *tasks)
        assert device.batches == [[99], [1, 2, 3, 4], [5, 6, 7]]
        assert batcher.waiting() == 0

    with_batcher(device, test)


def test_empty_queue_accepts_a_job_of_any_size(device: Device) -> None:
    async def test(batcher: Batcher) -> None:
        (result,) = await submit(batcher, job(*range(12)))
        assert result.ravel().tolist() == list(range(0, 24, 2))

    with_batcher(device, test)


def test_only_the_job_that_fails_gets_the_error(device: Device) -> None:
    async def test(batcher: Batcher) -> None:
        blocker = await held(batcher, device)
        tasks = await queued(batcher, job(1, 13), job(2), job(3, 4))
        device.free.set()
        await blocker
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(result, RuntimeError) for result in results] == [True, False, False]
        assert device.batches == [[99], [1, 13, 2], [1, 13], [2], [3, 4]]
        assert (await submit(batcher, job(5)))[0] == 10

    with_batcher(device, test)


def test_cancelled_request_never_runs(device: Device) -> None:
    async def test(batcher: Batcher) -> None:
        blocker = await held(batcher, device)
        tasks = await queued(batcher, job(1), job(2), job(3))
        tasks[1].cancel()
        await asyncio.sleep(0)
        assert batcher.waiting() == 2
        device.free.set()
        await asyncio.gather(blocker, tasks[0], tasks[2])
        assert device.batches == [[99], [1, 3]]

    with_batcher(device, test)


def test_cancelling_a_running_request_does_not_affect_others(device: Device) -> None:
    async def test(batcher: Batcher) -> None:
        blocker = await held(batcher, device)
        blocker.cancel()
        (other,) = await queued(batcher, job(1))
        device.free.set()
        assert (await other)[0] == 2

    with_batcher(device, test)


def test_model_that_returns_too_few_rows_is_an_error() -> None:
    async def test() -> None:
        batcher = Batcher("m", lambda feeds, alone: feeds["x"][:1].astype(np.uint8), Limits(max_batch=4, max_queue=8))
        with pytest.raises(RuntimeError, match="1 images for 2 rows"):
            await submit(batcher, job(1, 2))
        await batcher.close()

    asyncio.run(test())


def test_admitted_request_survives_full_queue(device: Device) -> None:
    async def test(batcher: Batcher) -> None:
        with batcher.reserve(1) as reservation:
            blocker = await held(batcher, device)
            (waiting,) = await queued(batcher, job(*range(1, 7)))
            with pytest.raises(QueueFullError):
                await submit(batcher, job(10))
            admitted = asyncio.create_task(batcher.submit(reservation, [job(10)]))
            await asyncio.sleep(0)
            device.free.set()
            assert (await admitted)[0] == 20
            await asyncio.gather(blocker, waiting)

    with_batcher(device, test)


def test_submit_rejects_a_released_reservation(device: Device) -> None:
    async def test(batcher: Batcher) -> None:
        with batcher.reserve(1) as reservation:
            pass
        with pytest.raises(RuntimeError, match="does not hold"):
            await batcher.submit(reservation, [job(1)])

    with_batcher(device, test)


def test_submit_rejects_a_reservation_of_another_model(device: Device) -> None:
    async def test(batcher: Batcher) -> None:
        other = Batcher("other", device.run, Limits(max_batch=4, max_queue=8))
        with other.reserve(1) as reservation, pytest.raises(RuntimeError, match="does not hold for m"):
            await batcher.submit(reservation, [job(1)])

    with_batcher(device, test)


def test_close_fails_waiting_and_later_requests(device: Device) -> None:
    async def test(batcher: Batcher) -> None:
        blocker = await held(batcher, device)
        (waiting,) = await queued(batcher, job(1))
        device.free.set()
        await batcher.close()
        assert [result.tolist() for result in await blocker] == [[[198]]]  # running batches finish
        with pytest.raises(ClosedError):
            await waiting
        with pytest.raises(ClosedError):
            await submit(batcher, job(2))
        assert device.batches == [[99]]

    with_batcher(device, test)


def test_many_concurrent_callers_get_their_own_results(device: Device) -> None:
    async def test(batcher: Batcher) -> None:
        async def call(i: int) -> bool:
            await asyncio.sleep(i % 7 / 1000)
            values = list(range(i % 3 + 1))
            (result,) = await submit(batcher, job(*(i + v for v in values), width=i % 2 + 1))
            return bool((result[:, 0] == [(i + v) * 2 for v in values]).all())

        assert all(await asyncio.gather(*(call(i) for i in range(20, 120))))
        assert len(device.batches) < 100
        assert max(len(batch) for batch in device.batches) <= 4

    with_batcher(device, test, max_queue=1000)


def test_reservation_counts_as_waiting_until_it_is_released(device: Device) -> None:
    async def test(batcher: Batcher) -> None:
        with batcher.reserve(6) as reservation:
            assert batcher.waiting() == 6
            with pytest.raises(QueueFullError), batcher.reserve(3):
                pass
            with batcher.reserve(1):  # the rest of the share of one caller
                assert batcher.waiting() == 7
            (result,) = await batcher.submit(reservation, [job(1, 2, 3, 4, 5, 6)])
            assert len(result) == 6
            assert batcher.waiting() == 6  # until the response is built
        assert batcher.waiting() == 0

    with_batcher(device, test)


def test_each_caller_has_a_share_of_the_queue(device: Device) -> None:
    async def test(batcher: Batcher) -> None:
        blocker = await held(batcher, device)
        greedy = await queued(batcher, job(1, 2, 3, 4), job(5, 6, 7))
        with pytest.raises(QueueFullError):
            await submit(batcher, job(8))
        token = CALLER.set("polite")
        polite = await queued(batcher, job(9))
        CALLER.reset(token)
        device.free.set()
        await asyncio.gather(blocker, *greedy, *polite)
        assert device.batches == [[99], [9], [1, 2, 3, 4], [5, 6, 7]]  # the other caller has had its turn

    with_batcher(device, test, max_batch=3)


def test_running_jobs_do_not_count_as_waiting(device: Device) -> None:
    async def test(batcher: Batcher) -> None:
        blocker = await held(batcher, device)
        assert batcher.waiting() == 0
        assert batcher.waiting_rows() == 0
        assert batcher.busy_s() > 0
        device.free.set()
        await blocker
        assert batcher.busy_s() == 0

    with_batcher(device, test)


def test_slow_queue_rejects_and_states_when_to_retry(device: Device) -> None:
    times = iter(range(0, 100_000, 30))  # every measured time is 30 s

    async def test() -> None:
        batcher = Batcher("m", device.run, Limits(max_batch=4, max_queue=100, max_queue_s=100), lambda: float(next(times)))
        await submit(batcher, job(1))  # at least 30 s a row
        blocker = await held(batcher, device)
        (waiting,) = await queued(batcher, job(1, 2, 3, 4))
        with pytest.raises(QueueFullError) as caught:
            await submit(batcher, job(5))
        assert caught.value.retry_after_s == 60  # the maximum
        device.free.set()
        await asyncio.gather(blocker, waiting)
        await batcher.close()

    asyncio.run(test())


def test_batches_run_in_parallel_and_only_a_lone_batch_runs_alone(device: Device) -> None:
    async def test(batcher: Batcher) -> None:
        await submit(batcher, job(1))
        device.free.clear()
        tasks = [asyncio.create_task(submit(batcher, job(value, width=value))) for value in (2, 3, 4)]
        for _ in range(3):
            assert await asyncio.to_thread(device.begun.acquire, timeout=10)
        assert [batch[0] for batch in device.batches] == [1, 2, 3]  # two at a time; the third waits
        assert batcher.waiting_rows() == 1
        assert device.alone[0]
        assert not device.alone[2]  # in parallel with the previous batch
        device.free.set()
        assert [int(made[0][0, 0]) for made in await asyncio.gather(*tasks)] == [4, 6, 8]
        await submit(batcher, job(5))
        assert device.alone[-1]

    with_batcher(device, test, parallel_batches=2)


@pytest.mark.parametrize("ticks", [1, 2])  # before it takes a batch, and after it ran one
def test_dead_thread_is_reported_and_replaced(device: Device, ticks: int) -> None:
    left = [ticks]

    def clock() -> float:
        if threading.current_thread().name == "model-m":
            left[0] -= 1
            if left[0] == 0:
                raise RuntimeError("the clock has stopped")
        return 0.0

    async def test() -> None:
        batcher = Batcher("m", device.run, Limits(max_batch=4, max_queue=8), clock)
        assert batcher.busy_s() == 0
        (first,) = await queued(batcher, job(1))
        async with asyncio.timeout(10):
            while batcher.busy_s() != math.inf:  # noqa: ASYNC110  # a thread has no event for its end
                await asyncio.sleep(0.01)
            if ticks == 2:
                with pytest.raises(RuntimeError, match="the clock has stopped"):
                    await first
            else:
                assert (await submit(batcher, job(2)))[0] == 4
                assert (await first)[0] == 2
        assert batcher.busy_s() == math.inf  # until the process restarts
        await batcher.close()

    asyncio.run(test())


def test_retired_batcher_serves_its_requests_and_ends_its_threads(device: Device) -> None:
    def threads() -> int:
        return sum(thread.name == "model-m" for thread in threading.enumerate())

    async def test(batcher: Batcher) -> None:
        blocker = await held(batcher, device)
        (waiting,) = await queued(batcher, job(1))
        batcher.retire()
        device.free.set()
        await asyncio.gather(blocker, waiting)
        assert (await submit(batcher, job(2)))[0][0] == 4
        async with asyncio.timeout(10):
            while threads():  # noqa: ASYNC110  # a thread has no event for its end
                await asyncio.sleep(0.01)

    with_batcher(device, test)
    assert device.batches == [[99], [1], [2]]

import asyncio
import threading
from collections.abc import Iterator

import pytest

from service.engine.fair_threads import FairThreads


class Gate:
    """Blocks every call until it is opened, and records the calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.open = threading.Event()

    def __call__(self, name: str) -> str:
        self.calls.append(name)
        assert self.open.wait(10)
        return name.upper()


async def until(condition: object) -> None:
    while not condition():  # type: ignore[operator]  # noqa: ASYNC110  # a thread has no event for its progress
        await asyncio.sleep(0.005)


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open.set()  # no thread is left behind


def test_results_keep_the_order_of_the_items() -> None:
    threads = FairThreads(3, "test")
    assert asyncio.run(threads.each(str, range(20))) == [*map(str, range(20))]
    assert asyncio.run(threads.each(str, [])) == []


def test_large_request_delays_another_caller_by_one_item(gate: Gate) -> None:
    threads = FairThreads(1, "test")

    async def test() -> None:
        large = asyncio.create_task(threads.each(gate, [f"large{i}" for i in range(16)], caller="a"))
        await until(lambda: gate.calls)
        small = asyncio.create_task(threads.each(gate, ["small"], caller="b"))
        await asyncio.sleep(0)
        gate.open.set()
        assert await small == ["SMALL"]
        assert len(await large) == 16

    asyncio.run(test())
    assert gate.calls.index("small") <= 2  # one item ran and at most one was next


def test_request_uses_no_more_threads_than_it_may(gate: Gate) -> None:
    threads = FairThreads(3, "test")

    async def test() -> None:
        first = asyncio.create_task(threads.each(gate, ["a", "b", "c"], parallel=1))
        await until(lambda: gate.calls)
        second = asyncio.create_task(threads.each(gate, ["d", "e"]))
        await until(lambda: len(gate.calls) == 3)
        assert sorted(gate.calls) == ["a", "d", "e"]
        gate.open.set()
        assert await first == ["A", "B", "C"]
        await second

    asyncio.run(test())


def test_every_item_ends_once_if_the_request_is_cancelled(gate: Gate) -> None:
    threads = FairThreads(1, "test")
    ended: list[str] = []

    async def test() -> None:
        request = asyncio.create_task(threads.each(gate, ["a", "b", "c"], on_end=ended.append))
        await until(lambda: gate.calls)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        await until(lambda: len(ended) == 2)
        assert sorted(ended) == ["b", "c"]  # "a" still runs
        gate.open.set()
        await until(lambda: len(ended) == 3)

    asyncio.run(test())
    assert ended[-1] == "a"
    assert gate.calls == ["a"]


def test_knows_how_long_a_thread_has_been_busy(gate: Gate) -> None:
    now = [100.0]
    threads = FairThreads(2, "test", clock=lambda: now[0])
    assert threads.busy_s() == 0

    async def test() -> None:
        first = asyncio.create_task(threads.each(gate, ["a"]))
        await until(lambda: gate.calls)
        now[0] = 130.0
        second = asyncio.create_task(threads.each(gate, ["b"]))
        await until(lambda: len(gate.calls) == 2)
        now[0] = 161.0
        assert threads.busy_s() == 61
        gate.open.set()
        await asyncio.gather(first, second)

    asyncio.run(test())
    threads._pool.shutdown()  # a thread is idle a moment after its result
    assert threads.busy_s() == 0


def test_closed_threads_drop_what_waits(gate: Gate) -> None:
    threads = FairThreads(1, "test")

    async def test() -> None:
        request = asyncio.create_task(threads.each(gate, ["a", "b"]))
        await until(lambda: gate.calls)
        threads.close()
        gate.open.set()
        with pytest.raises(RuntimeError):
            await threads.each(gate, ["c"])
        request.cancel()

    asyncio.run(test())
    threads._pool.shutdown()
    assert gate.calls == ["a"]

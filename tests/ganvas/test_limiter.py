"""The limit on requests in flight: it doubles at first, then increases additively and decreases multiplicatively."""

from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest

from ganvas.batches.limiter import AdaptiveLimiter


def run(work: Callable[[], Awaitable[None]]) -> None:
    anyio.run(work)


async def one_round(limiter: AdaptiveLimiter, rejected: int = 0) -> None:
    """Fill the limit with requests, all in flight together; the first ones are rejected."""
    count = int(limiter.limit)
    acquired = [await limiter.acquire() for _ in range(count)]
    for i, at in enumerate(acquired):
        if i < rejected:
            limiter.rejected(at)
        else:
            limiter.succeeded()
        limiter.release()


def test_doubles_until_the_first_rejection_then_grows_by_one_each_round() -> None:
    async def work() -> None:
        limiter = AdaptiveLimiter(maximum=64)
        limits = []
        for rejected in (0, 0, 1, 0, 0):
            await one_round(limiter, rejected)
            limits.append(limiter.limit)
        assert limits[:2] == [8, 16]
        # Sixteen in flight: one rejection shrinks the limit to seven tenths, and fifteen responses add one per round.
        assert limits[2] == pytest.approx(16 * 0.7 + 15 / (16 * 0.7), abs=0.2)
        assert limits[3] - limits[2] == pytest.approx(1, abs=0.1)
        assert limits[4] - limits[3] == pytest.approx(1, abs=0.1)

    run(work)


def test_rejections_of_one_round_count_once() -> None:
    async def work() -> None:
        limiter = AdaptiveLimiter(maximum=64)
        await one_round(limiter)
        await one_round(limiter, rejected=8)
        assert limiter.limit == pytest.approx(8 * 0.7)
        await one_round(limiter, rejected=1)
        assert limiter.limit < 8 * 0.7

    run(work)


@pytest.mark.parametrize("maximum", [1, 3, 10])
def test_stays_between_one_and_the_maximum(maximum: int) -> None:
    async def work() -> None:
        limiter = AdaptiveLimiter(maximum)
        for _ in range(5):
            await one_round(limiter)
            assert 1 <= limiter.limit <= maximum
        for _ in range(40):
            await one_round(limiter, rejected=maximum)
        assert limiter.limit == 1

    run(work)


def test_admits_in_order_up_to_the_limit() -> None:
    async def work() -> None:
        limiter = AdaptiveLimiter(maximum=64)
        order: list[str] = []
        peak = 0

        async def request(name: str, *, first: bool = False) -> None:
            nonlocal peak
            await limiter.acquire(first=first)
            order.append(name)
            peak = max(peak, limiter.in_flight)
            assert limiter.in_flight <= int(limiter.limit)
            await anyio.lowlevel.checkpoint()
            limiter.release()

        async with anyio.create_task_group() as tasks:
            for i in range(10):
                tasks.start_soon(request, str(i))
            await anyio.lowlevel.checkpoint()
            tasks.start_soon(lambda: request("again", first=True))
        assert peak == 4
        assert limiter.in_flight == 0
        waited = [name for name in order if name != "again"]
        assert waited == [str(i) for i in range(10)]
        assert order.index("again") < 10

    run(work)


def test_cancelled_request_frees_its_place() -> None:
    async def work() -> None:
        limiter = AdaptiveLimiter(maximum=1)
        await limiter.acquire()
        with anyio.move_on_after(0.01):
            await limiter.acquire()

        async def request() -> None:
            await limiter.acquire()
            limiter.release()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(request)
            await anyio.lowlevel.checkpoint()
            limiter.release()  # the request is admitted, and then cancelled before it notices
            tasks.cancel_scope.cancel()
        assert limiter.in_flight == 0
        await limiter.acquire()
        assert limiter.in_flight == 1

    run(work)

"""How many requests may be under way: doubling at first, then additive increase and multiplicative decrease."""

from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest

from ganvas.batches.window import Window


def run(work: Callable[[], Awaitable[None]]) -> None:
    anyio.run(work)


async def round_of(window: Window, refused: int = 0) -> None:
    """As many requests as there is room for, all under way together; the first ones are refused."""
    count = int(window.size)
    entered = [await window.enter() for _ in range(count)]
    for i, at in enumerate(entered):
        if i < refused:
            window.refused(at)
        else:
            window.succeeded()
        window.leave()


def test_it_doubles_until_the_first_refusal_then_grows_by_one_a_round() -> None:
    async def work() -> None:
        window = Window(most=64)
        sizes = []
        for refused in (0, 0, 1, 0, 0):
            await round_of(window, refused)
            sizes.append(window.size)
        assert sizes[:2] == [8, 16]
        # Sixteen under way: one refusal takes it to seven tenths, and fifteen answers add one a round.
        assert sizes[2] == pytest.approx(16 * 0.7 + 15 / (16 * 0.7), abs=0.2)
        assert sizes[3] - sizes[2] == pytest.approx(1, abs=0.1)
        assert sizes[4] - sizes[3] == pytest.approx(1, abs=0.1)

    run(work)


def test_refusals_of_one_round_count_once() -> None:
    async def work() -> None:
        window = Window(most=64)
        await round_of(window)
        await round_of(window, refused=8)
        assert window.size == pytest.approx(8 * 0.7)
        await round_of(window, refused=1)
        assert window.size < 8 * 0.7

    run(work)


@pytest.mark.parametrize("most", [1, 3, 10])
def test_it_stays_between_one_and_the_most(most: int) -> None:
    async def work() -> None:
        window = Window(most)
        for _ in range(5):
            await round_of(window)
            assert 1 <= window.size <= most
        for _ in range(40):
            await round_of(window, refused=most)
        assert window.size == 1

    run(work)


def test_it_lets_in_as_many_as_there_is_room_for_in_their_order() -> None:
    async def work() -> None:
        window = Window(most=64)
        order: list[str] = []
        most = 0

        async def request(name: str, *, first: bool = False) -> None:
            nonlocal most
            await window.enter(first=first)
            order.append(name)
            most = max(most, window.under_way)
            assert window.under_way <= int(window.size)
            await anyio.lowlevel.checkpoint()
            window.leave()

        async with anyio.create_task_group() as tasks:
            for i in range(10):
                tasks.start_soon(request, str(i))
            await anyio.lowlevel.checkpoint()
            tasks.start_soon(lambda: request("again", first=True))
        assert most == 4
        assert window.under_way == 0
        waited = [name for name in order if name != "again"]
        assert waited == [str(i) for i in range(10)]
        assert order.index("again") < 10

    run(work)


def test_who_gives_up_waiting_leaves_no_hole() -> None:
    async def work() -> None:
        window = Window(most=1)
        await window.enter()
        with anyio.move_on_after(0.01):
            await window.enter()

        async def request() -> None:
            await window.enter()
            window.leave()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(request)
            await anyio.lowlevel.checkpoint()
            window.leave()  # it is let in, and then cancelled before it notices
            tasks.cancel_scope.cancel()
        assert window.under_way == 0
        await window.enter()
        assert window.under_way == 1

    run(work)

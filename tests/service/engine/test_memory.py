import contextlib
from collections.abc import Iterator

import pytest

from service.engine.callers import CALLER
from service.engine.errors import QueueFullError, RequestTooLargeError
from service.engine.memory import Memory


@contextlib.contextmanager
def calling(caller: str) -> Iterator[None]:
    token = CALLER.set(caller)
    try:
        yield
    finally:
        CALLER.reset(token)


def test_rejected_request_is_accepted_when_memory_is_free() -> None:
    memory = Memory(320)
    with calling("a"), memory.reserve([200], "painters"):
        with calling("b"), pytest.raises(QueueFullError, match="Retry after 1 s") as caught:
            memory.reserve([81], "painters")
        assert caught.value.retry_after_s == 1
        with calling("b"), memory.reserve([80], "painters"):
            assert memory.used == 280
    with memory.reserve([320], "painters"):
        assert memory.used == 320
    assert memory.used == 0


def test_one_caller_leaves_memory_to_others() -> None:
    memory = Memory(320)
    with calling("greedy"), memory.reserve([100], "painters"), memory.reserve([100], "painters"):
        with pytest.raises(QueueFullError):
            memory.reserve([50], "painters")
        with calling("polite"), memory.reserve([50], "painters"):
            assert memory.used == 250


def test_rejects_request_larger_than_the_limit() -> None:
    memory = Memory(3 * 2**20)
    with pytest.raises(RequestTooLargeError, match="need 4 MiB of memory; at most 3 MiB are allowed"):
        memory.reserve([3 * 2**20 + 1, 2**30], "painters")
    assert memory.used == 0


def test_takes_the_largest_size_that_is_free() -> None:
    memory = Memory(100)
    with calling("a"), memory.reserve([30, 60, 90, 120], "painters") as first:
        assert first.size == 90
        first.shrink(50)
        with calling("b"), memory.reserve([30, 60, 90, 120], "painters") as second:
            assert second.size == 30


def test_reservation_only_shrinks() -> None:
    memory = Memory(100)
    with memory.reserve([50], "painters") as reserved:
        reserved.shrink(80)
        assert memory.used == 50
        reserved.shrink(20)
        assert memory.used == 20


def test_memory_is_held_until_the_threads_of_the_request_are_done() -> None:
    memory = Memory(100)
    with memory.reserve([50], "painters") as reserved:
        reserved.begin(2)
        reserved.end()
    assert memory.used == 50
    reserved.shrink(10)
    assert memory.used == 10
    reserved.end()
    assert memory.used == 0

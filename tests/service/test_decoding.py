import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.engine.decoding import Decoders
from service.problems import Unsupported


class Picture:
    """An upload: its number, or what is wrong with it."""

    def __init__(self, number: int, broken: bool = False) -> None:
        self.number = number
        self.broken = broken


class Codec:
    """Notes what it decodes; from the second on, it waits to be let go."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.free = threading.Event()

    def decode(self, picture: Picture) -> int:
        self.begun.append(picture.number)
        if len(self.begun) > 1:
            assert self.free.wait(10)
        if picture.broken:
            raise Unsupported(f"{picture.number} is broken")
        return picture.number * 10


@pytest.fixture
def codec() -> Codec:
    return Codec()


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


def test_pictures_come_in_the_order_of_their_uploads(codec: Codec) -> None:
    codec.free.set()
    with ThreadPoolExecutor(3) as threads:
        assert asyncio.run(Decoders(threads).each(codec.decode, [Picture(i) for i in range(9)])) == [*range(0, 90, 10)]


def test_beside_a_broken_picture_the_others_are_not_decoded(codec: Codec, thread: ThreadPoolExecutor) -> None:
    with pytest.raises(Unsupported, match="0 is broken"):
        asyncio.run(Decoders(thread).each(codec.decode, [Picture(0, broken=True), *(Picture(i) for i in range(1, 9))]))
    codec.free.set()
    thread.shutdown()  # whatever was still in line has had its turn
    assert codec.begun in ([0], [0, 1])  # the second may have begun before the first was heard of


def test_of_a_cancelled_request_nothing_more_is_decoded_and_its_bytes_are_let_go(
    codec: Codec, thread: ThreadPoolExecutor
) -> None:
    async def test() -> None:
        pictures = [Picture(i) for i in range(4)]
        kept = [weakref.ref(picture) for picture in pictures]
        request = asyncio.create_task(Decoders(thread).each(codec.decode, pictures))
        del pictures
        while len(codec.begun) < 2:  # noqa: ASYNC110  # a thread's step is no event
            await asyncio.sleep(0.005)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        del request
        await asyncio.sleep(0)  # the exception, and its traceback, are over with this task's step
        gc.collect()
        assert [reference() is None for reference in kept[2:]] == [True, True]  # while the second is still being decoded

    asyncio.run(test())
    codec.free.set()
    thread.shutdown()
    assert codec.begun == [0, 1]

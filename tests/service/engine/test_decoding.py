import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.engine.decoding import Decoders
from service.engine.errors import QueueFullError, UnreadableImageError


class Picture:
    """An upload: its number, or what is wrong with it."""

    def __init__(self, number: int, broken: bool = False) -> None:
        self.number = number
        self.broken = broken


def decoders(threads: ThreadPoolExecutor, max_pixels: int = 1000) -> Decoders:
    return Decoders(threads, max_pixels)


async def each(made: Decoders, codec: "Codec", pictures: list[Picture], pixels: int = 10) -> list[int]:
    return await made.each(codec.decode, pictures, [pixels] * len(pictures), model="painters")


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
            raise UnreadableImageError(f"{picture.number} is broken")
        return picture.number * 10


async def two_begun(codec: Codec) -> None:
    while len(codec.begun) < 2:  # noqa: ASYNC110  # a thread's step is no event
        await asyncio.sleep(0.005)


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
        assert asyncio.run(each(decoders(threads), codec, [Picture(i) for i in range(9)])) == [*range(0, 90, 10)]


def test_beside_a_broken_picture_the_others_are_not_decoded(codec: Codec, thread: ThreadPoolExecutor) -> None:
    with pytest.raises(UnreadableImageError, match="0 is broken"):
        asyncio.run(each(decoders(thread), codec, [Picture(0, broken=True), *(Picture(i) for i in range(1, 9))]))
    codec.free.set()
    thread.shutdown()  # whatever was still in line has had its turn
    assert codec.begun[0] == 0
    assert len(codec.begun) <= 2  # one more may have begun before the first was heard of


def test_of_a_cancelled_request_nothing_more_is_decoded_and_its_bytes_are_let_go(
    codec: Codec, thread: ThreadPoolExecutor
) -> None:
    async def test() -> None:
        pictures = [Picture(i) for i in range(4)]
        kept = [weakref.ref(picture) for picture in pictures]
        request = asyncio.create_task(each(decoders(thread), codec, pictures))
        del pictures
        await two_begun(codec)
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


def test_more_pixels_than_may_wait_are_refused_before_anything_is_begun(codec: Codec, thread: ThreadPoolExecutor) -> None:
    made = decoders(thread, max_pixels=100)

    async def test() -> None:
        # Three of forty: more than may wait, and let in where nothing does.
        first = asyncio.create_task(each(made, codec, [Picture(0), Picture(1), Picture(2)], pixels=40))
        await two_begun(codec)
        with pytest.raises(QueueFullError) as caught:  # the first has given its room back; eighty are left
            await each(made, codec, [Picture(3), Picture(4)], pixels=11)
        assert caught.value.retry_after_s == 1
        second = asyncio.create_task(each(made, codec, [Picture(5), Picture(6)], pixels=10))
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError):
            await each(made, codec, [Picture(7)], pixels=1)
        second.cancel()
        await asyncio.wait({second})
        third = asyncio.create_task(each(made, codec, [Picture(8)], pixels=20))  # in the room of the one that left
        await asyncio.sleep(0)
        codec.free.set()
        assert (await first, await third) == ([0, 10, 20], [80])
        assert await each(made, codec, [Picture(9)], pixels=100) == [90]

    asyncio.run(test())
    assert codec.begun == [0, 1, 2, 8, 9]


def test_what_was_decoded_in_vain_gives_its_room_back(codec: Codec, thread: ThreadPoolExecutor) -> None:
    codec.free.set()
    made = decoders(thread, max_pixels=10)

    async def test() -> None:
        for _ in range(3):
            with pytest.raises(UnreadableImageError):
                await each(made, codec, [Picture(0, broken=True), Picture(1)])
            while made.waiting:  # noqa: ASYNC110  # a thread's step is no event
                await asyncio.sleep(0.005)

    asyncio.run(test())

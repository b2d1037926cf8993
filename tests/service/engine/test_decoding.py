import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.engine.decoding import Decoders
from service.engine.errors import QueueFullError, UnreadableImageError


class Upload:
    """A numbered upload, broken or not."""

    def __init__(self, number: int, broken: bool = False) -> None:
        self.number = number
        self.broken = broken


def decoders(threads: ThreadPoolExecutor, max_pixels: int = 1000) -> Decoders:
    return Decoders(threads, max_pixels)


async def each(made: Decoders, codec: "Codec", uploads: list[Upload], pixels: int = 10) -> list[int]:
    return await made.each(codec.decode, uploads, [pixels] * len(uploads), model="painters")


class Codec:
    """Records what it decodes. From the second upload on it blocks until `free` is set."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.free = threading.Event()

    def decode(self, upload: Upload) -> int:
        self.begun.append(upload.number)
        if len(self.begun) > 1:
            assert self.free.wait(10)
        if upload.broken:
            raise UnreadableImageError(f"{upload.number} is broken")
        return upload.number * 10


async def two_begun(codec: Codec) -> None:
    while len(codec.begun) < 2:  # noqa: ASYNC110  # a thread has no event for its progress
        await asyncio.sleep(0.005)


@pytest.fixture
def codec() -> Codec:
    return Codec()


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


def test_images_keep_the_order_of_their_uploads(codec: Codec) -> None:
    codec.free.set()
    with ThreadPoolExecutor(3) as threads:
        assert asyncio.run(each(decoders(threads), codec, [Upload(i) for i in range(9)])) == [*range(0, 90, 10)]


def test_broken_upload_stops_the_decoding_of_its_request(codec: Codec, thread: ThreadPoolExecutor) -> None:
    with pytest.raises(UnreadableImageError, match="0 is broken"):
        asyncio.run(each(decoders(thread), codec, [Upload(0, broken=True), *(Upload(i) for i in range(1, 9))]))
    codec.free.set()
    thread.shutdown()  # every queued task has had its turn
    assert codec.begun[0] == 0
    assert len(codec.begun) <= 2  # a second one may begin before the error arrives


def test_cancelled_request_stops_decoding_and_frees_its_bytes(codec: Codec, thread: ThreadPoolExecutor) -> None:
    async def test() -> None:
        uploads = [Upload(i) for i in range(4)]
        kept = [weakref.ref(upload) for upload in uploads]
        request = asyncio.create_task(each(decoders(thread), codec, uploads))
        del uploads
        await two_begun(codec)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        del request
        await asyncio.sleep(0)  # this step frees the exception and its traceback
        gc.collect()
        assert [reference() is None for reference in kept[2:]] == [True, True]  # while the second is still decoded

    asyncio.run(test())
    codec.free.set()
    thread.shutdown()
    assert codec.begun == [0, 1]


def test_too_many_pixels_are_rejected_before_decoding(codec: Codec, thread: ThreadPoolExecutor) -> None:
    made = decoders(thread, max_pixels=100)

    async def test() -> None:
        # Three of 40 pixels: more than the limit, but nothing waits yet.
        first = asyncio.create_task(each(made, codec, [Upload(0), Upload(1), Upload(2)], pixels=40))
        await two_begun(codec)
        with pytest.raises(QueueFullError) as caught:  # the first is decoded; 80 pixels wait
            await each(made, codec, [Upload(3), Upload(4)], pixels=11)
        assert caught.value.retry_after_s == 1
        second = asyncio.create_task(each(made, codec, [Upload(5), Upload(6)], pixels=10))
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError):
            await each(made, codec, [Upload(7)], pixels=1)
        second.cancel()
        await asyncio.wait({second})
        third = asyncio.create_task(each(made, codec, [Upload(8)], pixels=20))  # in place of the cancelled one
        await asyncio.sleep(0)
        codec.free.set()
        assert (await first, await third) == ([0, 10, 20], [80])
        assert await each(made, codec, [Upload(9)], pixels=100) == [90]

    asyncio.run(test())
    assert codec.begun == [0, 1, 2, 8, 9]


def test_failed_request_releases_its_pixels(codec: Codec, thread: ThreadPoolExecutor) -> None:
    codec.free.set()
    made = decoders(thread, max_pixels=10)

    async def test() -> None:
        for _ in range(3):
            with pytest.raises(UnreadableImageError):
                await each(made, codec, [Upload(0, broken=True), Upload(1)])
            while made.waiting:  # noqa: ASYNC110  # a thread has no event for its progress
                await asyncio.sleep(0.005)

    asyncio.run(test())

import asyncio
import gc
import threading
import weakref

import pytest

from service.engine.callers import CALLER
from service.engine.decoding import Cost, Decoders
from service.engine.errors import QueueFullError, RequestTooLargeError, UnreadableImageError
from service.engine.fair_threads import FairThreads
from service.engine.memory import Memory


class Upload:
    """A numbered upload, broken or not."""

    def __init__(self, number: int, broken: bool = False) -> None:
        self.number = number
        self.broken = broken


def decoders(threads: FairThreads, memory: int = 1000) -> Decoders:
    return Decoders(threads, Memory(memory))


async def each(made: Decoders, codec: "Codec", uploads: list[Upload], decode: int = 10, kept: int = 2) -> list[int]:
    costs = [Cost(decode, kept)] * len(uploads)
    with made.reserve(costs, "painters") as reserved:
        return await made.each(codec.decode, uploads, costs, reserved)


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
def thread() -> FairThreads:
    return FairThreads(1, "decode")


def test_images_keep_the_order_of_their_uploads(codec: Codec) -> None:
    codec.free.set()
    made = decoders(FairThreads(3, "decode"))
    assert asyncio.run(each(made, codec, [Upload(i) for i in range(9)])) == [*range(0, 90, 10)]


def test_broken_upload_stops_the_decoding_of_its_request(codec: Codec, thread: FairThreads) -> None:
    with pytest.raises(UnreadableImageError, match="0 is broken"):
        asyncio.run(each(decoders(thread), codec, [Upload(0, broken=True), *(Upload(i) for i in range(1, 9))]))
    codec.free.set()
    thread._pool.shutdown()  # every queued task has had its turn
    assert codec.begun[0] == 0
    assert len(codec.begun) <= 2  # a second one may begin before the error arrives


def test_cancelled_request_stops_decoding_and_frees_its_bytes(codec: Codec, thread: FairThreads) -> None:
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
    thread._pool.shutdown()
    assert codec.begun == [0, 1]


def test_too_much_memory_is_rejected_before_decoding(codec: Codec, thread: FairThreads) -> None:
    made = decoders(thread, memory=115)

    async def test() -> None:
        # One thread decodes: three images are kept, and the decoding of one takes 60 bytes besides.
        first = asyncio.create_task(each(made, codec, [Upload(0), Upload(1), Upload(2)], decode=70, kept=10))
        await two_begun(codec)
        assert made.memory.used == 90
        CALLER.set("another")
        with pytest.raises(QueueFullError) as caught:
            await each(made, codec, [Upload(3), Upload(4)], decode=10, kept=1)
        assert caught.value.retry_after_s == 1
        second = asyncio.create_task(each(made, codec, [Upload(5)], decode=10, kept=1))
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError):
            await each(made, codec, [Upload(7)], decode=5, kept=1)
        second.cancel()
        await asyncio.wait({second})
        third = asyncio.create_task(each(made, codec, [Upload(8)], decode=10, kept=1))  # in place of the cancelled one
        await asyncio.sleep(0)
        codec.free.set()
        assert (await first, await third) == ([0, 10, 20], [80])
        assert await each(made, codec, [Upload(9)], decode=100, kept=1) == [90]

    asyncio.run(test())
    assert sorted(codec.begun) == [0, 1, 2, 8, 9]
    assert made.memory.used == 0


def test_decoded_images_release_what_their_decoding_took(codec: Codec, thread: FairThreads) -> None:
    made = decoders(thread, memory=1000)
    costs = [Cost(500, 10), Cost(100, 10, encode=30)]

    async def test() -> None:
        with made.reserve(costs, "painters") as reserved:
            assert made.memory.used == 510  # the larger of the two is decoded, the other is kept
            decoding = asyncio.create_task(made.each(codec.decode, [Upload(0), Upload(1)], costs, reserved))
            await two_begun(codec)
            assert made.memory.used == 110
            codec.free.set()
            await decoding
            assert made.memory.used == 50  # two are kept, one is encoded
        assert made.memory.used == 0

    asyncio.run(test())


def test_request_decodes_fewer_images_at_a_time_if_memory_is_short(codec: Codec) -> None:
    made = decoders(FairThreads(3, "decode"), memory=250)

    async def test() -> None:
        decoding = asyncio.create_task(each(made, codec, [Upload(i) for i in range(4)], decode=110, kept=10))
        await two_begun(codec)
        assert made.memory.used == 240
        codec.free.set()
        assert await decoding == [0, 10, 20, 30]

    asyncio.run(test())
    with pytest.raises(RequestTooLargeError):
        made.reserve([Cost(110, 10)] * 16, "painters")


def test_cancelled_request_holds_its_memory_until_its_thread_is_done(codec: Codec, thread: FairThreads) -> None:
    made = decoders(thread)

    async def test() -> None:
        request = asyncio.create_task(each(made, codec, [Upload(0), Upload(1)], decode=500))
        await two_begun(codec)
        request.cancel()
        await asyncio.wait({request})
        assert made.memory.used >= 500
        codec.free.set()
        while made.memory.used:  # noqa: ASYNC110  # a thread has no event for its progress
            await asyncio.sleep(0.005)

    asyncio.run(test())


def test_failed_request_releases_its_memory(codec: Codec, thread: FairThreads) -> None:
    codec.free.set()
    made = decoders(thread, memory=20)

    async def test() -> None:
        for _ in range(3):
            with pytest.raises(UnreadableImageError):
                await each(made, codec, [Upload(0, broken=True), Upload(1)])
            while made.memory.used:  # noqa: ASYNC110  # a thread has no event for its progress
                await asyncio.sleep(0.005)

    asyncio.run(test())

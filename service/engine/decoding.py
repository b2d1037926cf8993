"""Decodes the uploads of requests in threads, within the memory that all requests share.

A request reserves its memory before anything is decoded: what its images take until the response is built, and what decoding
takes besides. If this is not free, fewer of its images are decoded at the same time. Each decoded image releases the memory
that its decoding took.

    decoders = Decoders(FairThreads(2, "decode"), Memory(2**30))
    with decoders.reserve(costs, model="painters") as reserved:
        photos = await decoders.each(OpenUpload.decode, uploads, costs, reserved)
"""

import heapq
import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from service.engine.fair_threads import FairThreads
from service.engine.memory import Memory, Reserved

T = TypeVar("T")
R = TypeVar("R")


class Cost(NamedTuple):
    """The memory of one image of a request, in bytes.

    Attributes:
        decode: at the peak, while it is decoded.
        kept: from then on until the response is built.
        encode: at the peak, besides what is kept, while it is encoded. The images of a request are encoded one by one.
    """

    decode: int
    kept: int
    encode: int = 0


class Decoders:
    """Decodes the images of a request in parallel.

    Args:
        threads: they decode.
        memory: of all requests.
    """

    def __init__(self, threads: FairThreads, memory: Memory) -> None:
        self._threads = threads
        self.memory = memory

    def reserve(self, costs: Sequence[Cost], model: str) -> Reserved:
        """Reserve the memory of a request with uploads: enough for all threads to decode them, or for fewer threads.

        Args:
            costs: of each upload.
            model: that the request is for, as metrics name it.

        Raises:
            RequestTooLargeError: the request needs more memory than is allowed, even if one image is decoded after the other.
            QueueFullError: too little memory is free.
        """
        most = min(len(costs), self._threads.count)
        return self.memory.reserve([_needed(costs, costs, parallel) for parallel in range(1, most + 1)], model)

    async def each(
        self,
        decode: Callable[[T], R],
        uploads: Sequence[T],
        costs: Sequence[Cost],
        reserved: Reserved,
        *,
        caller: Hashable = None,
    ) -> list[R]:
        """Decode all uploads, in order.

        If one fails, or the call is cancelled, the uploads that have not begun are never decoded and their bytes are freed.

        Args:
            decode: called in a thread for each upload.
            uploads: what to decode.
            costs: of each upload.
            reserved: from `reserve` with the same costs.
            caller: whose turns the request uses, see `FairThreads.each`.

        Raises:
            Exception: the first that `decode` raised.
        """
        fitting = (n for n in range(len(costs), 0, -1) if _needed(costs, costs, n) <= reserved.size)
        parallel = min(next(fitting), self._threads.count)
        undecoded = dict(enumerate(costs))
        lock = threading.Lock()

        def ended(item: tuple[int, T]) -> None:
            with lock:
                del undecoded[item[0]]
                reserved.shrink(_needed(costs, undecoded.values(), parallel))
            reserved.end()

        reserved.begin(len(uploads))
        return await self._threads.each(
            lambda item: decode(item[1]), [*enumerate(uploads)], caller=caller, parallel=parallel, on_end=ended
        )


def _needed(costs: Sequence[Cost], undecoded: Iterable[Cost], parallel: int) -> int:
    """The bytes that a request takes at most from now on, if at most `parallel` of its images are decoded at a time."""
    decode = sum(heapq.nlargest(parallel, (max(0, cost.decode - cost.kept) for cost in undecoded)))
    return sum(cost.kept for cost in costs) + max(decode, max(cost.encode for cost in costs))

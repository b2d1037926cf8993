"""The memory that the images of requests take, counted in bytes before it is taken.

A request reserves its peak before anything is decoded. After that, it is never rejected for its memory. The reservation
shrinks while the request proceeds. It ends when the response is built and no thread works for the request any more: a
cancelled request cannot stop a thread that decodes, and the thread's memory counts until the thread is done. Callers share the
memory, see `shares`.

    memory = Memory(2**30)
    with memory.reserve([600_000_000], "painters") as reserved:
        ...
        reserved.shrink(20_000_000)
"""

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from prometheus_client import Gauge

from service.engine.callers import CALLER
from service.engine.errors import QueueFullError, RequestTooLargeError
from service.engine.metrics import rejected
from service.engine.shares import FairShare

USED = Gauge(
    "ganvas_image_memory_bytes", "Bytes that the images of accepted requests take at most.", multiprocess_mode="livesum"
)


class Memory:
    """A number of bytes that requests share.

    Args:
        limit: in bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._share = FairShare(limit)
        self._lock = threading.Lock()  # guards `_share` and the attributes of all reservations

    @property
    def used(self) -> int:
        """The bytes that are reserved."""
        return int(self._share.held)

    def reserve(self, sizes: Sequence[int], model: str) -> "Reserved":
        """Reserve memory for one request: the largest of several sizes that is free for its caller.

        Args:
            sizes: in bytes, with which the request can be served.
            model: that the request is for, as metrics name it.

        Raises:
            RequestTooLargeError: even the smallest size exceeds the limit. The request can never be served.
            QueueFullError: even the smallest size is not free now.
        """
        smallest = min(sizes)
        caller = CALLER.get()
        with self._lock:
            size = max((size for size in sizes if size <= self.limit and self._share.fits(caller, size)), default=None)
            if size is not None:
                self._add(caller, size)
                return Reserved(self, caller, size)
        if smallest > self.limit:
            rejected("memory_exceeded", model)
            raise RequestTooLargeError(
                f"The images of the request need {_mib(smallest)} MiB of memory; at most {self.limit // 2**20} MiB are "
                "allowed. Send or request fewer or smaller images."
            )
        rejected("memory_full", model)
        raise QueueFullError("The images of other requests fill the memory. Retry after 1 s, or send smaller images.")

    def _add(self, caller: str, size: int) -> None:
        self._share.take(caller, size)
        USED.inc(size)


class Reserved:
    """Memory that one request holds. It is released after the `with` block and after the last `end` of a `begin`.

    Attributes:
        size: in bytes.
    """

    def __init__(self, memory: Memory, caller: str, size: int) -> None:
        self.size = size
        self._memory = memory
        self._caller = caller
        self._users = 1  # the request itself, and the work that its threads have begun or will begin

    def shrink(self, size: int) -> None:
        """Give back all but `size` bytes. Does nothing if the reservation is smaller already."""
        with self._memory._lock:
            self._resize(min(self.size, size))

    def begin(self, users: int = 1) -> None:
        """Note that threads work for the request. Each piece of work needs an `end`."""
        with self._memory._lock:
            self._users += users

    def end(self) -> None:
        """Note that a piece of work is done, failed or dropped."""
        with self._memory._lock:
            self._users -= 1
            if not self._users:
                self._resize(0)

    def _resize(self, size: int) -> None:
        self._memory._add(self._caller, size - self.size)
        self.size = size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.end()


def _mib(size: int) -> int:
    return -(-size // 2**20)

"""The order in which threads work on the images of many requests. It has no threads and no clock.

Callers take turns. The requests of a caller take turns within the turns of the caller, and the images of a request come in
order. So a caller with many requests, or a request with many images, delays another caller by one image per thread.

    queue = FairQueue()
    queue.add(Request([photo, photo], parallel=1), caller="alice")
    request, photo = queue.take()
    queue.finished(request)
"""

from collections import deque
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Request(Generic[T]):
    """The images of one request that have not begun.

    Args:
        items: the images, in order.
        parallel: how many of them may be in work at a time; at least 1.
    """

    def __init__(self, items: Iterable[T], parallel: int) -> None:
        self.items = deque(items)
        self.parallel = parallel
        self.running = 0

    @property
    def can_run(self) -> bool:
        """Whether an image waits and may begin now."""
        return bool(self.items) and self.running < self.parallel


class FairQueue(Generic[T]):
    """Requests that wait, by caller. Not thread-safe: the caller locks."""

    def __init__(self) -> None:
        self._callers: dict[Hashable, deque[Request[T]]] = {}  # in the order of their next turns

    def __len__(self) -> int:
        """The images that have not begun."""
        return sum(len(request.items) for requests in self._callers.values() for request in requests)

    def add(self, request: Request[T], caller: Hashable = None) -> None:
        """Queue a request. A caller that has no other request here gets the last turn."""
        if request.items:
            self._callers.setdefault(caller, deque()).append(request)

    def take(self) -> tuple[Request[T], T] | None:
        """Take the next image. It counts as running until `finished`. None: no image waits that may begin."""
        for caller, requests in self._callers.items():
            request = next((request for request in requests if request.can_run), None)
            if request is None:
                continue
            item = request.items.popleft()
            request.running += 1
            requests.remove(request)
            if request.items:
                requests.append(request)
            del self._callers[caller]
            if requests:
                self._callers[caller] = requests  # the last turn
            return request, item
        return None

    def finished(self, request: Request[T]) -> None:
        """Note that an image which was taken is done."""
        request.running -= 1

    def drop(self, request: Request[T]) -> None:
        """Remove the images of a request that have not begun."""
        request.items.clear()
        for caller, requests in self._callers.items():
            if request in requests:
                requests.remove(request)
                if not requests:
                    del self._callers[caller]
                return

    def clear(self) -> None:
        """Remove all images that have not begun."""
        for requests in self._callers.values():
            for request in requests:
                request.items.clear()
        self._callers.clear()

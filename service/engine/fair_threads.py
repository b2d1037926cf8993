"""Threads for blocking work on images. Requests and their callers take turns, and a thread that hangs can be noticed.

threads = FairThreads(2, "decode")
photos = await threads.each(decode, uploads, caller="alice")
"""

import asyncio
import functools
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from service.engine.fair_queue import FairQueue, Request

T = TypeVar("T")
R = TypeVar("R")


class FairThreads:
    """A pool of threads with a fair queue.

    Args:
        count: of threads.
        name: of the threads, for debuggers.
        clock: monotonic, in seconds.
    """

    def __init__(self, count: int, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.count = count
        self._clock = clock
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._queue = FairQueue[_Task[Any]]()
        self._started: dict[int, float] = {}  # when each busy thread began with its image, by the thread's id
        self._lock = threading.Lock()  # guards the queue and `_started`

    async def each(
        self,
        function: Callable[[T], R],
        items: Sequence[T],
        *,
        caller: Hashable = None,
        parallel: int | None = None,
        on_end: Callable[[T], None] | None = None,
    ) -> list[R]:
        """Call a function for each item of a request, in the threads, and return the results in order.

        If a call fails, or the request is cancelled, the items that have not begun are dropped and their memory is freed.

        Args:
            function: blocks.
            items: of one request.
            caller: whose turns the request uses. Requests without a caller share theirs.
            parallel: how many of the items may be in work at a time. None: no limit.
            on_end: called for each item when nothing works on it any more: done, failed or dropped. Called in any thread.

        Raises:
            Exception: the first that `function` raised.
        """
        tasks = [_Task(function, item, on_end) for item in items]
        waiting = [asyncio.wrap_future(task.future) for task in tasks]
        request = Request[_Task[Any]](tasks, min(parallel or self.count, self.count))
        del tasks
        try:
            with self._lock:
                self._queue.add(request, caller)
            for _ in range(min(len(items), self.count)):
                self._pool.submit(self._work)
            return await asyncio.gather(*waiting)
        finally:
            with self._lock:
                self._queue.drop(request)
            for one in waiting:
                one.cancel()

    def busy_s(self) -> float:
        """How long the slowest thread has been busy with one item, in seconds; 0 if all threads are idle."""
        with self._lock:
            return self._clock() - min(self._started.values()) if self._started else 0.0

    def close(self) -> None:
        """Start no more work. Running work is not waited for."""
        with self._lock:
            self._queue.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    # The following methods run in the threads.

    def _work(self) -> None:
        while self._run_next():
            pass

    def _run_next(self) -> bool:
        """Take the next item and do its work. False: nothing waits that may begin."""
        with self._lock:
            taken = self._queue.take()
            if taken is None:
                return False
            self._started[threading.get_ident()] = self._clock()
        request, task = taken
        try:
            task.run()
        finally:
            with self._lock:
                self._queue.finished(request)
                del self._started[threading.get_ident()]
        return True


class _Task(Generic[R]):
    """The work on one item."""

    def __init__(self, function: Callable[[T], R], item: T, on_end: Callable[[T], None] | None) -> None:
        self.future: Future[R] = Future()
        self._call: Callable[[], R] | None = functools.partial(function, item)
        if on_end is not None:
            self.future.add_done_callback(lambda _: on_end(item))

    def run(self) -> None:
        call, self._call = self._call, None  # the item is freed when the work is done
        if call is None or not self.future.set_running_or_notify_cancel():
            return
        try:
            result = call()
        except BaseException as error:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)

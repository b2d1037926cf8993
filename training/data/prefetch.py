"""Makes batches, or decodes images, in threads before they are asked for."""

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Made = TypeVar("Made")


def prefetch(batch: Callable[[int], Made], steps: range, count: int) -> Generator[Made, None, None]:
    """Yield the batches of `steps` in order. No more than `count` + 1 are in memory.

    Args:
        batch: makes the batch of one step; called in threads.
        steps: the steps.
        count: batches that are made at the same time.
    """
    pending: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(count) as pool:
        try:
            for step in steps:
                pending.append(pool.submit(batch, step))
                if len(pending) > count:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

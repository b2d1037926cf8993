"""Makes batches in threads before the training loop asks for them."""

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor

from torch import Tensor


def prefetch(batch: Callable[[int], Tensor], steps: range, count: int) -> Generator[Tensor, None, None]:
    """Yield the batches of `steps` in order.

    Args:
        batch: makes the batch of one step; called in threads.
        steps: the steps.
        count: batches that are made at the same time.
    """
    pending: deque[Future[Tensor]] = deque()
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

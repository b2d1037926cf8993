"""The uploads of requests on their way to the codec threads: of a request that has failed, nothing more is decoded.

decoders = Decoders(ThreadPoolExecutor(2))
pictures = await decoders.each(decode, uploads)
"""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Decoders:
    """Decodes the pictures of a request side by side.

    Args:
        threads: that decode; others may use them as well.
    """

    def __init__(self, threads: Executor) -> None:
        self._threads = threads

    async def each(self, decode: Callable[[T], R], uploads: Iterable[T]) -> list[R]:
        """Decode all, in order.

        Where one fails, or the call is cancelled, those that have not begun never are, and their bytes are let go.

        Args:
            decode: called in a thread for each.
            uploads: what to decode.

        Raises:
            Exception: the first that `decode` raised.
        """
        loop = asyncio.get_running_loop()
        decoded = [asyncio.wrap_future(self._begun(decode, upload), loop=loop) for upload in uploads]
        try:
            return await asyncio.gather(*decoded)
        finally:
            for one in decoded:
                one.cancel()

    def _begun(self, decode: Callable[[T], R], upload: T) -> "Future[R]":
        held = [upload]  # a cancelled task stays in the threads' queue until its turn: the bytes must not
        future = self._threads.submit(lambda: decode(held.pop()))
        future.add_done_callback(lambda _: held.clear())
        return future

"""The uploads of requests on their way to the codec threads: bounded, and of a failed request nothing more is decoded.

A model's queue counts pictures as the model gets them. One that is shrunk to a stamp costs it nearly nothing, and the codec
threads as much as any other of its size, so what waits for those is counted in the pixels that are stored.

decoders = Decoders(ThreadPoolExecutor(2), max_pixels=500_000_000)
pictures = await decoders.each(decode, uploads, pixels, model="painters")
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import TypeVar

from service.engine.errors import QueueFullError
from service.engine.metrics import rejected

T = TypeVar("T")
R = TypeVar("R")


class Decoders:
    """Decodes the pictures of a request side by side.

    Args:
        threads: that decode; others may use them as well.
        max_pixels: of all uploads that are decoded or wait for it. A request with more is let in where there are none.
    """

    def __init__(self, threads: Executor, max_pixels: int) -> None:
        self.max_pixels = max_pixels
        self._threads = threads
        self._waiting = 0  # pixels
        self._lock = threading.Lock()  # guards them: a thread gives them back

    @property
    def waiting(self) -> int:
        """The pixels that are decoded or wait for it."""
        return self._waiting

    async def each(self, decode: Callable[[T], R], uploads: Sequence[T], pixels: Sequence[int], *, model: str) -> list[R]:
        """Decode all, in order.

        Where one fails, or the call is cancelled, those that have not begun never are, and their bytes are let go.

        Args:
            decode: called in a thread for each.
            uploads: what to decode.
            pixels: of each, as its header has them.
            model: that they are for, as metrics name it.

        Raises:
            QueueFullError: too much waits to be decoded already; nothing was begun.
            Exception: the first that `decode` raised.
        """
        self._take(sum(pixels), model)
        begun = [self._begun(decode, upload, cost) for upload, cost in zip(uploads, pixels, strict=True)]
        decoded = [asyncio.wrap_future(one) for one in begun]
        try:
            return await asyncio.gather(*decoded)
        finally:
            for one in decoded:
                one.cancel()

    def _take(self, pixels: int, model: str) -> None:
        with self._lock:
            if self._waiting and self._waiting + pixels > self.max_pixels:
                rejected("decode_full", model)
                raise QueueFullError("Too many uploads wait to be decoded. Retry after 1 s, or send smaller images.")
            self._waiting += pixels

    def _begun(self, decode: Callable[[T], R], upload: T, pixels: int) -> "Future[R]":
        held = [upload]  # a cancelled task stays in the threads' queue until its turn: the bytes must not

        def ended(_: "Future[R]") -> None:
            held.clear()
            with self._lock:
                self._waiting -= pixels

        future = self._threads.submit(lambda: decode(held.pop()))
        future.add_done_callback(ended)
        return future

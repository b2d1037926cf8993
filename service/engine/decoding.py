"""Decoding of uploads in the codec threads, with a bound on what waits. If one upload of a request fails, the rest are skipped.

A model's queue counts an image at the size that the model gets. If an image is shrunk to a thumbnail, the model has almost no
work, but the codec threads must decode all stored pixels. So uploads that wait for decoding are counted in stored pixels.

    decoders = Decoders(ThreadPoolExecutor(2), max_pixels=500_000_000)
    images = await decoders.each(decode, uploads, pixels, model="painters")
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
    """Decodes the images of a request in parallel.

    Args:
        threads: they decode. Other work may use them as well.
        max_pixels: of all uploads that are decoded or wait for it. A request with more is accepted if nothing waits.
    """

    def __init__(self, threads: Executor, max_pixels: int) -> None:
        self.max_pixels = max_pixels
        self._threads = threads
        self._waiting = 0  # pixels
        self._lock = threading.Lock()  # guards `_waiting`, which the threads lower

    @property
    def waiting(self) -> int:
        """The pixels that are decoded or wait for it."""
        return self._waiting

    async def each(self, decode: Callable[[T], R], uploads: Sequence[T], pixels: Sequence[int], *, model: str) -> list[R]:
        """Decode all uploads, in order.

        If one fails, or the call is cancelled, the uploads that have not begun are never decoded and their bytes are freed.

        Args:
            decode: called in a thread for each upload.
            uploads: what to decode.
            pixels: of each upload, from its header.
            model: that the request is for, as metrics name it.

        Raises:
            QueueFullError: too many uploads wait already; nothing was begun.
            Exception: the first that `decode` raised.
        """
        self._reserve(sum(pixels), model)
        begun = [self._begin(decode, upload, cost) for upload, cost in zip(uploads, pixels, strict=True)]
        decoded = [asyncio.wrap_future(one) for one in begun]
        try:
            return await asyncio.gather(*decoded)
        finally:
            for one in decoded:
                one.cancel()

    def _reserve(self, pixels: int, model: str) -> None:
        with self._lock:
            if self._waiting and self._waiting + pixels > self.max_pixels:
                rejected("decode_full", model)
                raise QueueFullError("Too many uploads wait to be decoded. Retry after 1 s, or send smaller images.")
            self._waiting += pixels

    def _begin(self, decode: Callable[[T], R], upload: T, pixels: int) -> "Future[R]":
        held = [upload]  # a cancelled task stays in the queue of the threads until its turn, so its bytes are freed separately

        def ended(_: "Future[R]") -> None:
            held.clear()
            with self._lock:
                self._waiting -= pixels

        future = self._threads.submit(lambda: decode(held.pop()))
        future.add_done_callback(ended)
        return future

"""The threads that decode and encode images, off the event loop."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from service.engine.arrays import Pixels
from service.engine.codecs import OpenUpload
from service.engine.decoding import Decoders
from service.http.parsing import Upload
from service.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")


class CodecThreads:
    """Threads that decode and encode images, for all models together.

    Headers are read in a thread of their own: a request that is rejected for its size does not wait for images to be decoded.
    """

    def __init__(self, settings: Settings) -> None:
        self._codecs = ThreadPoolExecutor(settings.codec_threads, thread_name_prefix="codec")
        self._headers = ThreadPoolExecutor(1, thread_name_prefix="header")
        self._decoders = Decoders(self._codecs, settings.max_decode_pixels)
        self._max_pixels = settings.max_pixels

    async def open_uploads(self, uploads: Sequence[Upload], max_side: int) -> list[OpenUpload]:
        """Open each upload and read its header; decode nothing.

        Raises:
            UnreadableImageError: an upload is not an image of a format that is read.
            ImageTooLargeError: an upload has too many pixels.
        """

        def read() -> list[OpenUpload]:
            return [OpenUpload(u.data, name=u.name, max_pixels=self._max_pixels, max_side=max_side) for u in uploads]

        return await asyncio.get_running_loop().run_in_executor(self._headers, read)

    async def decode(self, opened: Sequence[OpenUpload], model: str) -> list[Pixels]:
        """Decode opened uploads in parallel; see `Decoders.each`. `model` is the name that metrics use."""
        return await self._decoders.each(OpenUpload.decode, opened, [upload.pixels for upload in opened], model=model)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a blocking function in a codec thread."""
        return await asyncio.get_running_loop().run_in_executor(self._codecs, lambda: function(*args, **kwargs))

    def close(self) -> None:
        """Start no more work. Running work is not waited for."""
        for threads in (self._codecs, self._headers):
            threads.shutdown(wait=False, cancel_futures=True)

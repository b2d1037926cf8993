"""The threads that read, decode and encode images, off the event loop, and the memory that images may take."""

import functools
from collections.abc import Callable, Sequence
from typing import TypeVar

from service.engine.arrays import Pixels
from service.engine.callers import CALLER
from service.engine.codecs import OpenUpload
from service.engine.decoding import Cost, Decoders
from service.engine.fair_threads import FairThreads
from service.engine.memory import Memory, Reserved
from service.http.parsing import Upload
from service.settings import Settings, settings

T = TypeVar("T")

HEADER_THREADS = 2  # the headers of a request are read by one of them, so a slow file does not stop other requests


class CodecThreads:
    """Threads for headers, for decoding and for encoding, for all models together.

    Each kind of work has threads of its own. So a request that is rejected for its size does not wait for images to be decoded,
    and a response does not wait for uploads. The requests of different callers take turns.

    Attributes:
        memory: what the images of all requests take.
    """

    def __init__(self, settings: Settings) -> None:
        self.memory = Memory(settings.max_image_memory_mb * 2**20)
        self._headers = FairThreads(HEADER_THREADS, "header")
        self._decode = FairThreads(settings.codec_threads, "decode")
        self._encode = FairThreads(settings.codec_threads, "encode")
        self._decoders = Decoders(self._decode, self.memory)
        self._max_pixels = settings.max_pixels
        self._hang_s = settings.hang_s

    async def open_uploads(self, uploads: Sequence[Upload], max_side: int) -> list[OpenUpload]:
        """Open each upload and read its header; decode nothing.

        Raises:
            UnreadableImageError: an upload is not an image of a format that is read.
            ImageTooLargeError: an upload has too many pixels.
        """

        def read(upload: Upload) -> OpenUpload:
            return OpenUpload(upload.data, name=upload.name, max_pixels=self._max_pixels, max_side=max_side)

        return await self._headers.each(read, uploads, caller=CALLER.get(), parallel=1)

    def reserve(self, costs: Sequence[Cost], model: str) -> Reserved:
        """Reserve the memory of a request with uploads; see `Decoders.reserve`."""
        return self._decoders.reserve(costs, model)

    async def decode(
        self, prepare: Callable[[Pixels], T], opened: Sequence[OpenUpload], costs: Sequence[Cost], reserved: Reserved
    ) -> list[T]:
        """Decode opened uploads in parallel and prepare each image for the model; see `Decoders.each`."""
        return await self._decoders.each(lambda upload: prepare(upload.decode()), opened, costs, reserved, caller=CALLER.get())

    async def encode(self, function: Callable[[], T], reserved: Reserved | None = None) -> T:
        """Call a blocking function that encodes images, in a thread. The reservation lasts until the function returns."""
        return await _call(self._encode, function, reserved)

    async def unpack(self, function: Callable[[], T], reserved: Reserved) -> T:
        """Call a blocking function that decompresses a body, as `encode` does, in a thread that decodes."""
        return await _call(self._decode, function, reserved)

    def hung(self) -> str | None:
        """What a thread has been doing for longer than GANVAS_HANG_S, if there is one."""
        kinds = {"Reading the header": self._headers, "Decoding": self._decode, "Encoding": self._encode}
        return next((kind for kind, threads in kinds.items() if threads.busy_s() > self._hang_s), None)

    def close(self) -> None:
        """Start no more work. Running work is not waited for."""
        for threads in (self._headers, self._decode, self._encode):
            threads.close()


async def _call(threads: FairThreads, function: Callable[[], T], reserved: Reserved | None) -> T:
    if reserved is not None:
        reserved.begin()
    ended = None if reserved is None else reserved.end
    (made,) = await threads.each(
        lambda call: call(), [function], caller=CALLER.get(), on_end=None if ended is None else lambda _: ended()
    )
    return made


@functools.cache
def codec_threads() -> CodecThreads:
    """The threads of this process."""
    return CodecThreads(settings())

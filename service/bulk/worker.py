"""One worker: the exported model in a session of its own, and the engine's batcher and codecs around it.

Knows nothing of Ray: a batch of names in, a batch of the manifest's lines out.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ganvas.card import StylizerCard
from ganvas.images import limit_pillow
from service.bulk.manifest import line_of
from service.bulk.storage import Storage
from service.bulk.task import BulkError, Task, name_written
from service.engine.arrays import Pixels
from service.engine.blends import parse_blend
from service.engine.codecs import decode, encode
from service.engine.errors import DeviceError, RefusedError, RequestError
from service.engine.handlers.stylizer import Stylizer
from service.engine.sessions import load_model
from service.settings import Device, settings

T = TypeVar("T")

UNBOUNDED = 2**62  # pixels that may wait: `AHEAD` bounds them here
AHEAD = 4  # pictures a core that are under way at a time: enough to decode and encode while the device works


class PictureError(Exception):
    """One picture cannot be restyled, and the others may be; the message says why."""


class Worker:
    """Restyles pictures by the batch.

    Args:
        task: what to do.
        device: where the model runs.
        cores: threads of the session, and of the codecs.

    Raises:
        BulkError: the model is refused, is no stylizer, or not the one that the job began with.
        NotFoundError: it has no such style.
    """

    def __init__(self, task: Task, device: Device, cores: int) -> None:
        limit_pillow(settings().max_pixels)
        self._task = task
        self._stylizer = load_stylizer(task, device, cores)
        self._weights = weights_of(task, self._stylizer.card)
        self._pictures, self._out = Storage(task.pictures), Storage(task.out)
        self._threads = ThreadPoolExecutor(cores + 1, thread_name_prefix="codec")
        self._ahead = asyncio.Semaphore(AHEAD * cores)
        self._runner = asyncio.Runner()  # one loop for the life of the worker, as the batcher wants it

    def __call__(self, batch: dict[str, npt.NDArray[np.object_]]) -> dict[str, list[str]]:
        """Restyle the pictures of one batch, and write them.

        Args:
            batch: `picture`, the names.

        Returns:
            `line`, of the manifest, for each.

        Raises:
            Exception: what the storage raised when a picture could not be written. One that cannot be read, or that the model
                fails on, is a line with an error.
        """
        return {"line": self._runner.run(self._all([str(name) for name in batch["picture"]]))}

    def close(self) -> None:
        """End its threads."""
        self._runner.run(self._stylizer.batcher.close())
        self._runner.close()
        self._threads.shutdown()

    async def _all(self, names: Sequence[str]) -> list[str]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._one(name)) for name in names]
        return [task.result() for task in tasks]

    async def _one(self, name: str) -> str:
        written = name_written(name, self._task.format)
        async with self._ahead:
            try:
                pixels = await self._in_thread(lambda: self._read(name))
                restyled = await self._restyle(name, pixels)
                data = await self._in_thread(lambda: self._encode(name, restyled))
            except PictureError as error:
                return line_of({"picture": name, "error": str(error)})
            await self._in_thread(lambda: self._out.write(written, data))
        height, width = restyled.shape[:2]
        return line_of({"picture": name, "written": written, "width": width, "height": height, "bytes": len(data)})

    def _read(self, name: str) -> Pixels:
        try:
            data = self._pictures.read(name)
        except Exception as error:  # fsspec's protocols raise what their libraries do: aiohttp's errors are no OSError
            raise PictureError(f"{name} cannot be read: {_reason(error)}") from None
        try:
            return decode(data, name=name, max_pixels=settings().max_pixels, max_side=self._task.max_side)
        except RequestError as error:
            raise PictureError(str(error)) from None

    async def _restyle(self, name: str, pixels: Pixels) -> Pixels:
        task = self._task
        try:
            with self._stylizer.reserve([pixels.shape[:2]]) as reservation:
                (restyled,) = await self._stylizer.stylize(reservation, [pixels], self._weights, task.strength, task.keep_color)
        except Exception as error:  # onnxruntime's exceptions have no common base
            height, width = pixels.shape[:2]
            raise PictureError(f"the model failed on {name} ({width} x {height}): {_reason(error)}") from None
        return restyled

    def _encode(self, name: str, picture: Pixels) -> bytes:
        try:
            return encode(picture, self._task.format)
        except Exception as error:  # a side longer than the format has room for
            raise PictureError(f"{name} cannot be written as {self._task.format}: {_reason(error)}") from None

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def check(task: Task) -> None:
    """Load the model once on this machine's CPU, where an error is easily told; raises as `Worker`."""
    weights_of(task, load_stylizer(task, "cpu", 1).card)


def load_stylizer(task: Task, device: Device, threads: int) -> Stylizer:
    """The task's model, as the engine serves it, with a queue that never refuses; raises as `Worker`."""
    try:
        model = load_model(Path(task.model), device, threads)
    except (RefusedError, OSError) as error:
        raise BulkError(f"{task.model} is refused: {error}") from None
    except DeviceError as error:
        raise BulkError(f"{error}; docs/container.md says what to install, GANVAS_DEVICE=cpu does without") from None
    if not isinstance(model.card, StylizerCard):
        raise BulkError(f"{task.model} is a {model.card.kind}; bulk is for stylizers")
    if model.version != task.version:
        raise BulkError(f"{task.model} is version {model.version} here, not {task.version}, with which the job began")
    return Stylizer(
        model.card, model, settings().model_copy(update={"max_queue_pixels": UNBOUNDED, "max_queue_s": float("inf")})
    )


def weights_of(task: Task, card: StylizerCard) -> npt.NDArray[np.float32]:
    """The weights of the task's style; raises as `parse_blend`."""
    return parse_blend(task.style, [style.name for style in card.styles])


def _reason(error: Exception) -> str:
    """What an error says, in one line; its name where it says nothing."""
    said = (getattr(error, "strerror", None) or str(error)).strip()
    return said.splitlines()[0] if said else type(error).__name__

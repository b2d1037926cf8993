"""One worker: the exported model in a session, with the engine's batcher and codecs.

This module does not import Ray. A worker takes a batch of names and returns a batch of lines for the manifest.
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
from service.engine.codecs import decode, encode
from service.engine.errors import DeviceError, RefusedError, RequestError
from service.engine.handlers.stylizer import Painted, Prepared, Stylizer
from service.engine.model_file import size_limit
from service.engine.sessions import load_model
from service.engine.trial import Trial
from service.settings import Device, settings

T = TypeVar("T")

UNBOUNDED = 2**62  # pixels that may wait in the queue; `IN_FLIGHT` bounds them instead
IN_FLIGHT = 4  # images per core: enough to decode and encode while the device works


class ImageError(Exception):
    """One image cannot be stylized; the message says why. Other images are not affected."""


class Worker:
    """Stylizes images in batches.

    Args:
        task: what is done to each image.
        device: where the model runs.
        cores: number of threads of the session; one more decodes and encodes.

    Raises:
        BulkError: the model is refused, is not a stylizer, or is not the version that the task began with.
        NotFoundError: the model does not have the style.
    """

    def __init__(self, task: Task, device: Device, cores: int) -> None:
        limit_pillow(settings().max_pixels)
        self._task = task
        self._stylizer = load_stylizer(task, device, cores)
        self._style = self._stylizer.style(task.style)
        self._images, self._out = Storage(task.images), Storage(task.out)
        self._threads = ThreadPoolExecutor(cores + 1, thread_name_prefix="codec")
        self._in_flight = asyncio.Semaphore(IN_FLIGHT * cores)
        self._runner = asyncio.Runner()  # one event loop for all batches, which the batcher requires

    def __call__(self, batch: dict[str, npt.NDArray[np.object_]]) -> dict[str, list[str]]:
        """Stylize and write the images of one batch.

        Args:
            batch: the column `image` holds their names.

        Returns:
            The column `line`: a line of the manifest for each image. If an image cannot be read or the model fails on it, its
            line holds the error.

        Raises:
            Exception: what the storage raised when an image could not be written.
        """
        return {"line": self._runner.run(self._all([str(name) for name in batch["image"]]))}

    def close(self) -> None:
        """End the threads."""
        self._runner.run(self._stylizer.batcher.close())
        self._runner.close()
        self._threads.shutdown()

    async def _all(self, names: Sequence[str]) -> list[str]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._one(name)) for name in names]
        return [task.result() for task in tasks]

    async def _one(self, name: str) -> str:
        written = name_written(name, self._task.format)
        async with self._in_flight:
            try:
                prepared = await self._in_thread(lambda: self._read(name))
                height, width = prepared.image.shape[:2]
                painted = await self._paint(name, prepared)
                del prepared
                data = await self._in_thread(lambda: self._encode(name, painted))
            except ImageError as error:
                return line_of({"image": name, "error": str(error)})
            await self._in_thread(lambda: self._out.write(written, data))
        return line_of({"image": name, "written": written, "width": width, "height": height, "bytes": len(data)})

    def _read(self, name: str) -> Prepared:
        try:
            data = self._images.read(name)
        except Exception as error:  # fsspec raises the errors of many libraries; those of aiohttp are not OSErrors
            raise ImageError(f"{name} cannot be read: {_reason(error)}") from None
        try:
            image = decode(data, name=name, max_pixels=settings().max_pixels, max_side=self._task.max_side)
        except RequestError as error:
            raise ImageError(str(error)) from None
        return self._stylizer.prepare(image, self._task.brush)

    async def _paint(self, name: str, prepared: Prepared) -> Painted:
        task = self._task
        height, width = prepared.image.shape[:2]
        try:
            with self._stylizer.reserve([(height, width)], task.brush) as reservation:
                (painted,) = await self._stylizer.paint(reservation, [prepared], self._style, task.strength, task.keep_color)
        except Exception as error:  # onnxruntime's exceptions have no common base
            raise ImageError(f"the model failed on {name} ({width} x {height}): {_reason(error)}") from None
        return painted

    def _encode(self, name: str, painted: Painted) -> bytes:
        image = painted.finish()
        try:
            return encode(image, self._task.format)
        except Exception as error:  # a side that is too long for the format
            raise ImageError(f"{name} cannot be written as {self._task.format}: {_reason(error)}") from None

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def check(task: Task) -> None:
    """Load the model once on this machine's CPU, where an error is easy to report. Raises as `Worker`.

    As in the service, it is loaded in a process of its own first: a model can crash or hang the process that loads it.
    """
    trial = Trial(size_limit(settings().max_model_mb), settings().load_timeout_s)
    for _, verdict in trial.each([Path(task.model)]):
        if isinstance(verdict, RefusedError):
            raise BulkError(f"{task.model} is refused: {verdict}")
    load_stylizer(task, "cpu", 1).style(task.style)


def load_stylizer(task: Task, device: Device, threads: int) -> Stylizer:
    """Load the task's model with a queue that accepts everything. Raises as `Worker`."""
    try:
        model = load_model(Path(task.model), device, threads)
    except (RefusedError, OSError) as error:
        raise BulkError(f"{task.model} is refused: {error}") from None
    except DeviceError as error:
        raise BulkError(f"{error}; install what docs/container.md says, or set GANVAS_DEVICE=cpu") from None
    if not isinstance(model.card, StylizerCard):
        raise BulkError(f"{task.model} is a {model.card.kind}; only stylizers are supported")
    if model.version != task.version:
        raise BulkError(f"{task.model} is version {model.version} here, not {task.version}; give all machines the same file")
    return Stylizer(
        model.card, model, settings().model_copy(update={"max_queue_pixels": UNBOUNDED, "max_queue_wait_s": float("inf")})
    )


def _reason(error: Exception) -> str:
    """The first line of an error's message, or its name if it has no message."""
    message = (getattr(error, "strerror", None) or str(error)).strip()
    return message.splitlines()[0] if message else type(error).__name__

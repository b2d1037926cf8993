"""What the handlers of all kinds share: the card, the version, the device and the batcher of one served model.

Every model runs on the tensors of its card, without a handler that knows its kind:

    with model.reserve_rows(sizes) as reservation:                     # sizes from `service.engine.contract`
        arrays = await model.run_rows(reservation, feeds, sizes)
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from ganvas.card import Card
from ganvas.style_file import StyleFile
from ganvas.tensors import ROWS
from service.engine.arrays import Feeds, Images, Pixels
from service.engine.batcher import Batcher, Reservation
from service.engine.decoding import Cost
from service.engine.errors import InvalidValueError
from service.engine.job_queue import Job, Limits
from service.engine.sessions import LoadedModel
from service.settings import Settings


class Unfinished(Protocol):
    """An image that a model made and that is not at its final size yet."""

    def finish(self) -> Pixels:
        """The image, uint8 [h, w, c]. Call it once. Blocks."""


class TakesUploads(Protocol):
    """A handler whose images may also come as uploads of any size."""

    @property
    def upload_input(self) -> str:
        """The input that takes them."""

    def reserve(self, sizes: Sequence[tuple[int, int]], brush: float) -> AbstractContextManager[Reservation]:
        """Reserve space in the queue for images of these heights and widths; see `Batcher.reserve`."""

    def memory(self, height: int, width: int, brush: float) -> Cost:
        """The memory in bytes that one image of this size takes, without decoding and encoding."""

    def prepare(self, image: Pixels, brush: float) -> Any:
        """Bring an image, uint8 [h, w, 3], to the size at which the model takes it. Blocks."""

    async def run_uploads(self, reservation: Reservation, prepared: Sequence[Any], feeds: Feeds) -> Sequence[Unfinished]:
        """Run prepared images.

        Args:
            reservation: for these images.
            prepared: from `prepare`.
            feeds: all other inputs, from `complete`, one row per image.
        """


class Handler(ABC):
    """One served model. A subclass serves one kind: it turns a request's values into jobs for the batcher.

    Attributes:
        card: of the model; a subclass narrows its type.
        version: of the model's file.
        preview_version: another one whenever `preview` shows something else.
        device: cpu, cuda or tensorrt.
        batcher: joins requests into batches.
        largest: the most rows of one request, and the largest size of every other dimension that a caller chooses, by name.
    """

    kind: ClassVar[str]
    """As the card and messages name it."""

    cost_unit: ClassVar[Literal["rows", "pixels"]]
    """The unit of the queue and of batches. The settings have bounds for each unit."""

    def __init__(self, card: Card, model: LoadedModel, settings: Settings) -> None:
        self.card = card
        self.version = self.preview_version = model.version
        self.device = model.device
        self.batcher = Batcher(card.name, model.run, self._limits(model, settings))
        rows = settings.max_n if self.cost_unit == "rows" else settings.max_images
        self.largest = dict.fromkeys(card.dimensions, settings.max_side) | {ROWS.name: rows}

    @property
    def uploads(self) -> TakesUploads | None:
        """This handler, if its images may also come as uploads."""
        return None

    @property
    def optional(self) -> tuple[str, ...]:
        """The inputs that a request may leave out."""
        return tuple(tensor.name for tensor in self.card.inputs if tensor.neutral is not None)

    def complete(self, feeds: Feeds, rows: int, style: str | None = None) -> Feeds:
        """The feeds of a request, and a value for each optional input that it leaves out.

        Args:
            feeds: by name, [rows, ...] each.
            rows: of each feed.
            style: name of a style of the model, or a blend, for all rows.

        Raises:
            InvalidValueError: the model has no styles, or the feeds have a style already.
            NotFoundError: the model does not have this style.
        """
        if style is not None:
            raise InvalidValueError("style", f"{self.card.name} is a {self.kind}, which has no styles")
        return self.card.with_neutral(feeds)

    @abstractmethod
    async def preview(self) -> Sequence[Pixels]:
        """Small images of one size that show what the model makes: the tiles of its contact sheet.

        Raises:
            NotFoundError: the model has nothing to show.
        """

    @abstractmethod
    def example_command(self, url: str, photo: str) -> str:
        """A shell command that tries this model on the service at `url`. `photo` is a path of a JPEG."""

    def take_styles(self, files: Sequence[StyleFile]) -> set[str]:
        """Add styles to those of the model, in place of those that were added before.

        Args:
            files: all style files, also those of other models.

        Returns:
            The names of those that fit this model and are new to it.
        """
        return set()

    def job(self, feeds: Feeds, row_cost: int = 1) -> Job:
        """Rows that run together.

        Args:
            feeds: the card's inputs, each with one row per image. An input with a neutral value may be left out: the job then
                gets the neutral value, and shares batches with jobs that give another one.
            row_cost: of each row, in `cost_unit`.
        """
        return Job(self.card.with_neutral(feeds), row_cost)

    def reserve_rows(self, sizes: Mapping[str, int]) -> AbstractContextManager[Reservation]:
        """Reserve space in the queue for rows of these sizes; see `Batcher.reserve`."""
        rows, row_cost = sizes[ROWS.name], self._row_cost(sizes)
        return self.batcher.reserve(rows * row_cost, min(rows, self._job_rows()) * row_cost)

    async def run_rows(self, reservation: Reservation, feeds: Feeds, sizes: Mapping[str, int]) -> list[Images]:
        """Run rows of the card's tensors. More rows than a job may have run in several jobs.

        Args:
            reservation: for these rows.
            feeds: from `complete`.
            sizes: of the dimensions of the feeds.

        Returns:
            the rows of the output, in order, in one or several arrays.
        """
        rows, step = sizes[ROWS.name], self._job_rows()
        starts = range(0, rows, step)
        row_cost = self._row_cost(sizes)
        jobs = [self.job({name: array[i : i + step] for name, array in feeds.items()}, row_cost) for i in starts]
        del feeds
        return await self.batcher.submit(reservation, jobs)

    def _row_cost(self, sizes: Mapping[str, int]) -> int:
        if self.cost_unit == "rows":
            return 1
        return math.prod(size for name, size in sizes.items() if name != ROWS.name)

    def _job_rows(self) -> int:
        """The rows of a job. Images that count by their pixels run in jobs of their own, which the batcher joins."""
        return self.batcher.limits.max_batch if self.cost_unit == "rows" else 1

    def _limits(self, model: LoadedModel, settings: Settings) -> Limits:
        if self.cost_unit == "rows":
            max_batch, max_queue = settings.max_batch_rows, settings.max_queue_rows
        else:
            max_batch, max_queue = settings.max_batch_pixels, settings.max_queue_pixels
        return Limits(
            max_batch,
            max_queue,
            max_queue_s=settings.max_queue_wait_s,
            max_batch_s=settings.max_batch_ms / 1000,
            max_wait_s=settings.max_batch_wait_ms / 1000,
            parallel_batches=model.parallel_batches,
        )


def pad(image: Pixels, height: int, width: int) -> Pixels:
    """Extend an image [h, w, c] at its right and lower edge by reflection."""
    below, right = height - image.shape[0], width - image.shape[1]
    if not below and not right:
        return image
    return np.pad(image, ((0, below), (0, right), (0, 0)), "reflect")

"""What the handlers of all kinds share: the card, the version, the device and the batcher of one served model."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from ganvas.card import Card
from ganvas.style_file import StyleFile
from service.engine.arrays import Feeds, Pixels
from service.engine.batcher import Batcher
from service.engine.job_queue import Job, Limits
from service.engine.sessions import LoadedModel
from service.settings import Settings


class Handler(ABC):
    """One served model. A subclass serves one kind: it turns a request's values into jobs for the batcher.

    Attributes:
        card: of the model; a subclass narrows its type.
        version: of the model's file.
        preview_version: another one whenever `preview` shows something else.
        device: cpu, cuda or tensorrt.
        batcher: joins requests into batches.
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

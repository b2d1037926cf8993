"""Generators: latents to images."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np

from ganvas import api
from ganvas.card import LATENTS, TRUNCATION, GeneratorCard
from service.engine.arrays import Floats, Images, Integers, Pixels
from service.engine.batcher import Reservation
from service.engine.classes import with_classes
from service.engine.codecs import SET_BYTES
from service.engine.handlers.base import Handler
from service.engine.job_queue import Job
from service.engine.latents import latents_of_seed

PREVIEW_SEED = 0
PREVIEW_IMAGES = 16


class Generator(Handler):
    """A served generator."""

    kind = "generator"
    cost_unit = "rows"
    card: GeneratorCard

    def reserve(self, images: int) -> AbstractContextManager[Reservation]:
        """Reserve space in the queue for a number of images, until the response is built; see `Batcher.reserve`."""
        return self.batcher.reserve(images, min(images, self.max_batch))

    @property
    def max_batch(self) -> int:
        """The most rows that run together."""
        return self.batcher.limits.max_batch

    def response_bytes(self, images: int, encode_bytes: int = 0) -> int:
        """The memory in bytes that a number of images and their response take at the peak.

        Args:
            images: number of images.
            encode_bytes: per pixel, of the format of a contact sheet.
        """
        return images * self.card.height * self.card.width * (SET_BYTES + encode_bytes)

    def class_names(self) -> tuple[str, ...]:
        """The names of the card's classes, in the order of the latents that choose them."""
        return self.card.classes

    async def sample(
        self, reservation: Reservation, latents: Floats, truncation: float = 1, classes: Integers | None = None
    ) -> Images:
        """Make one image per row. More rows than `max_batch` run in several batches.

        Args:
            reservation: for one image per row.
            latents: float32 [n, latent_size].
            truncation: 0 to 1.
            classes: int64 [n], the class of each image; None if the latents choose.
        """
        images = await self.batcher.submit(reservation, self._jobs(latents, truncation, classes))
        return images[0] if len(images) == 1 else np.concatenate(images)

    async def walk(
        self, reservation: Reservation, latents: Floats, truncation: float = 1, classes: Integers | None = None
    ) -> Images:
        """Make many images as `sample` does, but one batch after the other, so that other requests run in between.

        Args:
            reservation: for one batch. It holds until the last batch, so a walk that has begun is never rejected.
            latents: float32 [n, latent_size].
            truncation: 0 to 1.
            classes: int64 [n], the class of each image; None if the latents choose.
        """
        images = []
        for job in self._jobs(latents, truncation, classes):
            images += await self.batcher.submit(reservation, [job])
        return np.concatenate(images)

    async def preview(self) -> Sequence[Pixels]:
        """Samples of a fixed seed."""
        with self.reserve(PREVIEW_IMAGES) as reservation:
            latents = latents_of_seed(PREVIEW_SEED, PREVIEW_IMAGES, self.card.latent_size)
            return list(await self.sample(reservation, latents))

    def example_command(self, url: str, photo: str) -> str:
        """A command that makes 16 samples."""
        body = f'{{"model": "{self.card.name}", "n": 16, "seed": 7}}'
        return (
            f"curl --fail-with-body {url}{api.SAMPLE} -H 'Content-Type: application/json' -d '{body}' -o {self.card.name}.png"
        )

    def _jobs(self, latents: Floats, truncation: float, classes: Integers | None) -> list[Job]:
        feeds = {LATENTS: latents}
        if TRUNCATION in self.card.optional_inputs:
            feeds[TRUNCATION] = np.full(len(latents), truncation, np.float32)
        else:
            feeds[LATENTS] = latents * np.float32(truncation)
        if classes is not None:  # last, because truncation 0 makes all latents equal
            feeds[LATENTS] = with_classes(feeds[LATENTS], classes, len(self.card.classes))
        starts = range(0, len(latents), self.max_batch)
        return [self.job({name: rows[i : i + self.max_batch] for name, rows in feeds.items()}) for i in starts]

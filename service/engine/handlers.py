"""What each kind of model does with a request: a generator makes pictures of latents, a stylizer restyles pictures."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np
import numpy.typing as npt

from ganvas.card import GeneratorCard, StylizerCard
from service.engine.batcher import Batcher
from service.engine.job_queue import Array, Job, Limits
from service.engine.sessions import LoadedModel
from service.settings import Settings

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


class Generator:
    """A served generator: latents to pictures."""

    def __init__(self, card: GeneratorCard, model: LoadedModel, settings: Settings) -> None:
        self.card = card
        self.version = model.version
        self.device = model.device
        self.batcher = Batcher(card.name, model.run, _limits(settings, model, settings.max_batch, settings.max_queue))

    def room(self, n: int) -> AbstractContextManager[None]:
        """Room in the queue for a request of n pictures, until its answer is made; see `Batcher.room`."""
        return self.batcher.room(n)

    async def sample(self, latents: Floats, *, admitted: bool = False) -> Pixels:
        """Make one picture a row: float32 [n, latent_size] to uint8 [n, h, w, c]. More than a batch runs in parts.

        Args:
            latents: what to make them of.
            admitted: whether the caller holds `room` for them.
        """
        parts = self._parts(latents)
        made = await self.batcher.submit([Job({"latents": part}) for part in parts], admitted=admitted)
        return made[0] if len(made) == 1 else np.concatenate(made)

    async def walk(self, latents: Floats) -> Pixels:
        """Make many pictures as `sample` does, but one batch after the other: whoever comes meanwhile goes between.

        The caller holds `room` for one batch at a time, to the end: a walk that began is not refused.
        """
        made = []
        for part in self._parts(latents):
            made += await self.batcher.submit([Job({"latents": part})], admitted=True)
        return np.concatenate(made)

    @property
    def max_batch(self) -> int:
        """The most rows that run together."""
        return self.batcher.limits.max_batch

    def _parts(self, latents: Floats) -> list[Floats]:
        return [latents[i : i + self.max_batch] for i in range(0, len(latents), self.max_batch)]


class Stylizer:
    """A served style network: pictures to the same pictures in its styles."""

    def __init__(self, card: StylizerCard, model: LoadedModel, settings: Settings) -> None:
        self.card = card
        self.version = model.version
        self.device = model.device
        self.batcher = Batcher(
            card.name, model.run, _limits(settings, model, settings.max_batch_pixels, settings.max_queue_pixels)
        )

    def room(self, sizes: Sequence[tuple[int, int]]) -> AbstractContextManager[None]:
        """Room in the queue for pictures of these heights and widths, until they are answered; see `Batcher.room`."""
        multiple, least = self.card.size_multiple, self.card.min_side
        return self.batcher.room(sum(grown(h, multiple, least) * grown(w, multiple, least) for h, w in sizes))

    async def stylize(
        self, pictures: Sequence[Pixels], styles: Floats, strength: float, keep_color: float, *, admitted: bool = False
    ) -> list[Pixels]:
        """Restyle pictures of any sizes.

        Args:
            pictures: uint8 [h, w, 3] each.
            styles: float32 [k], the weights of the card's styles, sum 1.
            strength: 0, the picture as it is, to 1.
            keep_color: 0 to 1, the colours of the picture.
            admitted: whether the caller holds `room` for them.

        Returns:
            uint8 [h, w, 3] each, of the sizes given.
        """
        jobs = []
        for picture in pictures:
            padded = pad(picture, self.card.size_multiple, self.card.min_side)
            feeds: dict[str, Array] = {
                "images": padded[None],
                "styles": styles[None],
                "strength": np.array([strength], np.float32),
                "keep_color": np.array([keep_color], np.float32),
            }
            jobs.append(Job(feeds, row_cost=padded.shape[0] * padded.shape[1]))
        results = await self.batcher.submit(jobs, admitted=admitted)
        return [result[0, : p.shape[0], : p.shape[1]] for p, result in zip(pictures, results, strict=True)]


def grown(side: int, multiple: int, least: int) -> int:
    """The next side from this one up that a stylizer takes."""
    return -(-max(side, least) // multiple) * multiple


def pad(picture: Pixels, multiple: int, min_side: int) -> Pixels:
    """Grow a picture [h, w, c] at its right and lower edge, mirrored, to sides that a stylizer takes."""
    below, right = (grown(side, multiple, min_side) - side for side in picture.shape[:2])
    if not below and not right:
        return picture
    return np.pad(picture, ((0, below), (0, right), (0, 0)), "reflect")


def _limits(settings: Settings, model: LoadedModel, max_batch: int, max_queue: int) -> Limits:
    return Limits(
        max_batch,
        max_queue,
        max_queue_s=settings.max_queue_s,
        max_batch_s=settings.max_batch_ms / 1000,
        max_wait_s=settings.max_wait_ms / 1000,
        lanes=model.lanes,
    )

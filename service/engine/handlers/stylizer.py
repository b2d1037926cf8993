"""Stylizers: from images to the same images in a style.

prepared = stylizer.prepare(image, brush)                                      # in a thread
(painted,) = await stylizer.paint(reservation, [prepared], style, 1.0, 0.0)    # in the event loop
image = painted.finish()                                                       # in a thread
"""

import asyncio
import base64
import contextlib
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import cast

import numpy as np
from PIL import Image, ImageOps

from ganvas import api
from ganvas.card import IMAGES, KEEP_COLOR, STRENGTH, STYLES, StylizerCard
from ganvas.style_file import StyleFile
from service.engine import brush as brushes
from service.engine.arrays import Array, Feeds, Floats, Pixels
from service.engine.batcher import Reservation
from service.engine.blends import parse_blend
from service.engine.codecs import decode
from service.engine.decoding import Cost
from service.engine.errors import InvalidValueError, NotFoundError, RequestError
from service.engine.folder import version_of
from service.engine.handlers.base import Handler, TakesUploads, pad
from service.engine.job_queue import Job
from service.engine.sessions import LoadedModel
from service.settings import Settings

THUMBNAIL_SIDE = 128  # pixels
KEPT_BYTES = 6  # per pixel of a request: the photo and the painting, or the painting and its file


@dataclass(frozen=True)
class Prepared:
    """An image that a stylizer can paint.

    Attributes:
        image: uint8 [h, w, 3].
        fed: what the graph paints, uint8 [h', w', 3]: the image at its working size, padded to a size that the graph takes.
        working: height and width of the image in `fed`.
    """

    image: Pixels
    fed: Pixels
    working: tuple[int, int]

    @property
    def is_resized(self) -> bool:
        """Whether the image is painted at another size than its own."""
        return self.working != self.image.shape[:2]


@dataclass(frozen=True)
class Painted:
    """What the graph made of an image. `finish` brings it to the size of the image."""

    painting: Pixels
    prepared: Prepared | None = None  # None if the image was painted at its own size
    strength: float = 1.0
    keep_color: float = 0.0

    def finish(self) -> Pixels:
        """The result, uint8 [h, w, 3]. Call it once: it may overwrite the image. Blocks."""
        if self.prepared is None:
            return self.painting
        height, width = self.prepared.working
        small = self.prepared.fed[:height, :width]
        brushes.finish(self.prepared.image, small, self.painting, self.strength, self.keep_color)
        return self.prepared.image


class Stylizer(Handler):
    """A served stylizer."""

    kind = "stylizer"
    cost_unit = "pixels"
    upload_input = IMAGES
    card: StylizerCard

    def __init__(self, card: StylizerCard, model: LoadedModel, settings: Settings) -> None:
        super().__init__(card, model, settings)
        self._max_side = settings.max_side
        self._own = card
        self._vectors = card.style_vectors()

    @property
    def uploads(self) -> TakesUploads:
        """This handler: it paints uploads of any size."""
        return self

    @property
    def optional(self) -> tuple[str, ...]:
        """All but the images, as in /v1/stylize."""
        return STYLES, STRENGTH, KEEP_COLOR

    def complete(self, feeds: Feeds, rows: int, style: str | None = None) -> Feeds:
        """See the base class. A model with a single style needs no name of it."""
        if style is not None and STYLES in feeds:
            raise InvalidValueError("style", f"The request has the input {STYLES}; leave one of both out")
        chosen = self._vectors[0] if STYLES in feeds else self.style(style)
        return {**_feeds(rows, chosen, api.STRENGTH.default, api.KEEP_COLOR.default), **feeds}

    def style_names(self) -> list[str]:
        """The names of the card's styles, in the order of the weights of a blend."""
        return [style.name for style in self.card.styles]

    def take_styles(self, files: Sequence[StyleFile]) -> set[str]:
        """See the base class."""
        own = self._own
        names = {style.name for style in own.styles}
        fitting = [file.style for file in files if file.style_space == own.style_space and file.style.size == own.style_size]
        added = [style for style in fitting if style.name not in names]
        self.card = own.model_copy(update={"styles": (*own.styles, *added)})
        self._vectors = self.card.style_vectors()
        thumbnails = [style.thumbnail for style in added]
        self.preview_version = f"{self.version}-{version_of(json.dumps(thumbnails).encode())}" if added else self.version
        return {style.name for style in added}

    def style(self, text: str | None) -> Floats:
        """The vector of a style or a blend of styles, float32 [m]; see `parse_blend`, which also says what it raises."""
        return parse_blend(text, self.style_names()) @ self._vectors

    def reserve(self, sizes: Sequence[tuple[int, int]], brush: float) -> AbstractContextManager[Reservation]:
        """Reserve space in the queue for images of these heights and widths; see `Batcher.reserve`."""
        pixels = [self._fed_pixels(self._working_size(size, brush)) for size in sizes]
        return self.batcher.reserve(sum(pixels), max(pixels))

    def memory(self, height: int, width: int, brush: float) -> Cost:
        """The memory in bytes that one image of this size takes.

        `decode` is that of `prepare` and `encode` that of `Painted.finish`, without decoding and encoding themselves.
        """
        size = height, width
        working = self._working_size(size, brush)
        if working == size:
            return Cost(decode=0, kept=KEPT_BYTES * self._fed_pixels(size))
        fed = self._fed_pixels(working)
        return Cost(
            decode=3 * height * width + brushes.resize_bytes(size, working) + 3 * fed,
            kept=KEPT_BYTES * (height * width + fed),
            encode=brushes.finish_bytes(size, working),
        )

    def prepare(self, image: Pixels, brush: float) -> Prepared:
        """Bring an image to the size at which it is painted. Blocks.

        Args:
            image: uint8 [h, w, 3]; `Painted.finish` may overwrite it.
            brush: 0.5 to 2, the size of the strokes; 1 as trained.
        """
        height, width = working = self._working_size((image.shape[0], image.shape[1]), brush)
        resized = image if working == image.shape[:2] else brushes.resize(image, working)
        return Prepared(image, pad(resized, self.card.height.fit(height), self.card.width.fit(width)), working)

    async def paint(
        self, reservation: Reservation, prepared: Sequence[Prepared], style: Floats, strength: float, keep_color: float
    ) -> list[Painted]:
        """Paint images of any sizes. If the caller keeps no reference, images that are painted at their own size are freed.

        Args:
            reservation: for these images.
            prepared: from `prepare`.
            style: from `style`.
            strength: 0 to 1; 0 returns the image unchanged.
            keep_color: 0 to 1; 1 keeps the colours of the image.
        """
        feeds = _feeds(len(prepared), style, strength, keep_color)
        running = self.run_uploads(reservation, prepared, feeds)
        del prepared  # `run_uploads` frees the images when it can
        return await running

    async def run_uploads(self, reservation: Reservation, prepared: Sequence[Prepared], feeds: Feeds) -> list[Painted]:
        """Paint images of any sizes, each in its own way: one row of `styles`, `strength` and `keep_color` per image."""
        sizes = [one.working for one in prepared]
        amounts = [(float(a), float(b)) for a, b in zip(feeds[STRENGTH], feeds[KEEP_COLOR], strict=True)]
        # Strength and keep_color mix the painting with the image, so an image of another size is mixed in `finish`.
        jobs = [
            self._job(one.fed, style, *((1, 0) if one.is_resized else amount))
            for one, style, amount in zip(prepared, cast("Floats", feeds[STYLES]), amounts, strict=True)
        ]
        resized = [one if one.is_resized else None for one in prepared]
        del prepared  # images that are padded exist twice
        results = await self.batcher.submit(reservation, jobs)
        return [
            Painted(result[0, :height, :width], one, *amount)
            for (height, width), one, result, amount in zip(sizes, resized, results, amounts, strict=True)
        ]

    async def preview(self) -> Sequence[Pixels]:
        """The paintings of the styles, from the card's thumbnails."""
        return await asyncio.to_thread(self._thumbnails)

    def example_command(self, url: str, photo: str) -> str:
        """A command that paints a photo in the first style."""
        style = self.card.styles[0].name
        sent = f"-F image=@{photo} -F model={self.card.name} -F style={style}"
        return f"curl --fail-with-body {url}{api.STYLIZE} {sent} -o {style}.jpg"

    def _working_size(self, size: tuple[int, int], brush: float) -> tuple[int, int]:
        card = self.card
        limits = {"stroke_side": card.stroke_side, "min_side": card.min_side, "max_side": self._max_side}
        return brushes.working_size(*size, brush=brush, **limits)

    def _fed_pixels(self, size: tuple[int, int]) -> int:
        return self.card.height.fit(size[0]) * self.card.width.fit(size[1])

    def _job(self, fed: Pixels, style: Floats, strength: float, keep_color: float) -> Job:
        feeds: dict[str, Array] = {
            IMAGES: fed[None],
            STYLES: style[None],
            STRENGTH: np.array([strength], np.float32),
            KEEP_COLOR: np.array([keep_color], np.float32),
        }
        return self.job(feeds, row_cost=fed.shape[0] * fed.shape[1])

    def _thumbnails(self) -> list[Pixels]:
        tiles = []
        for style in self.card.styles:
            with contextlib.suppress(ValueError, RequestError):  # a card's thumbnail may be missing or broken
                tiles.append(_tile(style.thumbnail))
        if not tiles:
            raise NotFoundError(f"{self.card.name} has no preview: its card has no readable thumbnail.")
        return tiles


def _feeds(rows: int, style: Floats, strength: float, keep_color: float) -> dict[str, Array]:
    """The inputs beside the images, the same in each row."""
    return {
        STYLES: np.broadcast_to(style, (rows, len(style))),
        STRENGTH: np.full(rows, strength, np.float32),
        KEEP_COLOR: np.full(rows, keep_color, np.float32),
    }


def _tile(thumbnail: str) -> Pixels:
    limits = {"max_pixels": 4096**2, "max_side": 4 * THUMBNAIL_SIDE}
    image = Image.fromarray(decode(base64.b64decode(thumbnail), name="the thumbnail", **limits))
    return np.array(ImageOps.fit(image, (THUMBNAIL_SIDE, THUMBNAIL_SIDE)))

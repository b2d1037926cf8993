"""Stylizers: from images to the same images in a style."""

import asyncio
import base64
import contextlib
from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np
from PIL import Image, ImageOps

from ganvas import api
from ganvas.card import IMAGES, KEEP_COLOR, STRENGTH, STYLES, StylizerCard
from service.engine.arrays import Array, Floats, Pixels
from service.engine.batcher import Reservation
from service.engine.codecs import decode
from service.engine.errors import NotFoundError, RequestError
from service.engine.handlers.base import Handler, pad
from service.engine.job_queue import Job

THUMBNAIL_SIDE = 128  # pixels
KEPT_BYTES = 6  # per pixel of a request: the photo and the painting, or the painting and its file


class Stylizer(Handler):
    """A served stylizer."""

    kind = "stylizer"
    cost_unit = "pixels"
    card: StylizerCard

    def style_names(self) -> list[str]:
        """The names of the card's styles, in the order of the columns of `styles`."""
        return [style.name for style in self.card.styles]

    def reserve(self, sizes: Sequence[tuple[int, int]]) -> AbstractContextManager[Reservation]:
        """Reserve space in the queue for images of these heights and widths; see `Batcher.reserve`."""
        pixels = [self.card.height.fit(h) * self.card.width.fit(w) for h, w in sizes]
        return self.batcher.reserve(sum(pixels), max(pixels))

    def kept_bytes(self, height: int, width: int) -> int:
        """The memory in bytes that one image of this size takes from its decoding until the response is built."""
        return KEPT_BYTES * self.card.height.fit(height) * self.card.width.fit(width)

    async def stylize(
        self, reservation: Reservation, images: Sequence[Pixels], styles: Floats, strength: float, keep_color: float
    ) -> list[Pixels]:
        """Stylize images of any sizes. They are freed when they are stylized, if the caller keeps no reference.

        Args:
            reservation: for these images.
            images: uint8 [h, w, 3] each.
            styles: float32 [k], the weights of the card's styles, sum 1.
            strength: 0 to 1; 0 returns the image unchanged.
            keep_color: 0 to 1; 1 keeps the colours of the image.

        Returns:
            uint8 [h, w, 3] each, of the sizes of the inputs.
        """
        sizes = [image.shape[:2] for image in images]
        jobs = [self._job(image, styles, strength, keep_color) for image in images]
        del images  # those that are padded exist twice
        results = await self.batcher.submit(reservation, jobs)
        return [result[0, :height, :width] for (height, width), result in zip(sizes, results, strict=True)]

    async def preview(self) -> Sequence[Pixels]:
        """The paintings of the styles, from the card's thumbnails."""
        return await asyncio.to_thread(self._thumbnails)

    def example_command(self, url: str, photo: str) -> str:
        """A command that paints a photo in the first style."""
        style = self.card.styles[0].name
        sent = f"-F image=@{photo} -F model={self.card.name} -F style={style}"
        return f"curl --fail-with-body {url}{api.STYLIZE} {sent} -o {style}.jpg"

    def _job(self, image: Pixels, styles: Floats, strength: float, keep_color: float) -> Job:
        height, width = self.card.height.fit(image.shape[0]), self.card.width.fit(image.shape[1])
        feeds: dict[str, Array] = {
            IMAGES: pad(image, height, width)[None],
            STYLES: styles[None],
            STRENGTH: np.array([strength], np.float32),
            KEEP_COLOR: np.array([keep_color], np.float32),
        }
        return self.job(feeds, row_cost=height * width)

    def _thumbnails(self) -> list[Pixels]:
        tiles = []
        for style in self.card.styles:
            with contextlib.suppress(ValueError, RequestError):  # a card's thumbnail may be missing or broken
                tiles.append(_tile(style.thumbnail))
        if not tiles:
            raise NotFoundError(f"{self.card.name} has no preview: its card has no readable thumbnail.")
        return tiles


def _tile(thumbnail: str) -> Pixels:
    limits = {"max_pixels": 4096**2, "max_side": 4 * THUMBNAIL_SIDE}
    image = Image.fromarray(decode(base64.b64decode(thumbnail), name="the thumbnail", **limits))
    return np.array(ImageOps.fit(image, (THUMBNAIL_SIDE, THUMBNAIL_SIDE)))

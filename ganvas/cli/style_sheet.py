"""A contact sheet of one photo in every style, each with a caption."""

import asyncio
import io
import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont, ImageOps

from ganvas.api import ImageFormat
from ganvas.card import StylizerCard
from ganvas.client import AsyncClient
from ganvas.contact_sheet import contact_sheet
from ganvas.errors import UnexpectedResponseError
from ganvas.uploads import ImageSource, upload_of

GAP = 8  # pixels around each image and its caption
CAPTION = 22  # pixels below an image
TEXT = 14  # height of the letters in pixels
MAX_STYLES = 144  # one request and one image in memory for each


async def stylize_in_every_style(
    client: AsyncClient,
    photo: ImageSource,
    model: str | None,
    strength: float,
    keep_color: float,
    brush: float,
    max_side: int,
    image_format: ImageFormat,
) -> tuple[bytes, list[str]]:
    """Stylize a photo in each style of a stylizer.

    Returns:
        The sheet as a file, starting with the photo itself, and the names of the styles.

    Raises:
        ValueError: there is no such stylizer, none is named and several are served, or it has too many styles.
        GanvasError: the service rejects a request or fails.
    """
    card, _ = (await client.models()).find(model, StylizerCard)
    if len(card.styles) > MAX_STYLES:
        raise ValueError(f"{card.name} has {len(card.styles)} styles. A sheet shows at most {MAX_STYLES}.")
    data = upload_of(photo).data
    names = [style.name for style in card.styles]

    async def stylize(caption: str, style: str, strength: float) -> tuple[str, Image.Image]:
        stylized = await client.stylize(
            data,
            style=style,
            model=card.name,
            strength=strength,
            keep_color=keep_color,
            brush=brush,
            max_side=max_side,
            format="png",
        )
        if max(stylized.image.size) > max_side:
            message = (
                f"The service returned {stylized.image.width} x {stylized.image.height} pixels instead of at most {max_side}."
            )
            raise UnexpectedResponseError(message, request_id=stylized.request_id)
        return caption, stylized.image

    # Strength 0 returns the photo, turned and shrunk like the others.
    tiles = await asyncio.gather(stylize("photo", names[0], 0), *(stylize(name, name, strength) for name in names))
    return _file(captioned_sheet(tiles), image_format), names


def captioned_sheet(tiles: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """Lay out images of one size with their captions in rows, in a sheet that is about square."""
    width, height = tiles[0][1].size
    columns = math.ceil(math.sqrt(len(tiles) * height / width))
    sheet = contact_sheet([_captioned(image, caption) for caption, image in tiles], columns, GAP)
    return ImageOps.expand(sheet, GAP, "white")


def _captioned(image: Image.Image, caption: str) -> Image.Image:
    """An image with its caption below it."""
    width, height = image.size
    tile = Image.new("RGB", (width, height + CAPTION), "white")
    tile.paste(image)
    place = width / 2, height + CAPTION / 2
    ImageDraw.Draw(tile).text(place, caption, fill="black", font=ImageFont.load_default(TEXT), anchor="mm")
    return tile


def _file(image: Image.Image, image_format: ImageFormat) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, quality=92)
    return buffer.getvalue()

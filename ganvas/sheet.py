"""A contact sheet: one photo in every style, each with its name under it."""

import asyncio
import io
import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from ganvas.api import ImageFormat
from ganvas.card import StylizerCard
from ganvas.client import AsyncClient
from ganvas.uploads import ImageSource, upload_of

GAP = 8
CAPTION = 22
TEXT = 14


async def paint_every_style(
    client: AsyncClient,
    photo: ImageSource,
    model: str | None,
    strength: float,
    keep_color: float,
    max_side: int,
    image_format: ImageFormat,
) -> tuple[bytes, list[str]]:
    """Paint a photo in each style of a stylizer.

    Returns:
        The sheet as a file, first the photo itself, and the styles' names.

    Raises:
        ValueError: no such stylizer, or none named where there are several.
        GanvasError: the service refuses or fails.
    """
    card, _ = (await client.models()).find(model, StylizerCard)
    data = upload_of(photo).data
    names = [style.name for style in card.styles]

    async def paint(caption: str, style: str, strength: float) -> tuple[str, Image.Image]:
        painted = await client.stylize(
            data, style=style, model=card.name, strength=strength, keep_color=keep_color, max_side=max_side, format="png"
        )
        return caption, painted.image

    # Strength 0 is the photo, turned and shrunk as its pictures are.
    tiles = await asyncio.gather(paint("photo", names[0], 0), *(paint(name, name, strength) for name in names))
    return _file(contact_sheet(tiles), image_format), names


def contact_sheet(tiles: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """Lay pictures of one size out in rows, as square as can be, each with its caption below."""
    width, height = tiles[0][1].size
    columns = math.ceil(math.sqrt(len(tiles) * height / width))
    rows = math.ceil(len(tiles) / columns)
    step_x, step_y = width + GAP, height + CAPTION + GAP
    sheet = Image.new("RGB", (columns * step_x + GAP, rows * step_y + GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(TEXT)
    for i, (caption, picture) in enumerate(tiles):
        x, y = GAP + i % columns * step_x, GAP + i // columns * step_y
        sheet.paste(picture, (x, y))
        draw.text((x + width / 2, y + height + CAPTION / 2), caption, fill="black", font=font, anchor="mm")
    return sheet


def _file(image: Image.Image, image_format: ImageFormat) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, quality=92)
    return buffer.getvalue()

"""A contact sheet: images of one size, laid out in rows."""

import math
from collections.abc import Sequence

from PIL import Image

GAP = 2  # pixels of white between images


def contact_sheet(images: Sequence[Image.Image], columns: int | None = None, gap: int = GAP) -> Image.Image:
    """Lay out images of one size and mode in rows on white.

    Args:
        images: at least one.
        columns: images in a row. None makes the sheet as square as possible.
        gap: pixels between images.
    """
    columns = columns or math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    width, height = images[0].size
    step_x, step_y = width + gap, height + gap
    sheet = Image.new(images[0].mode, (columns * step_x - gap, rows * step_y - gap), "white")
    for i, image in enumerate(images):
        sheet.paste(image, (i % columns * step_x, i // columns * step_y))
    return sheet

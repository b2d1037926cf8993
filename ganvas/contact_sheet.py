"""A contact sheet: images of one size, laid out in rows."""

import math
from collections.abc import Sequence

from PIL import Image

from ganvas.transparency import CLEAR

GAP = 2  # pixels between images


def contact_sheet(images: Sequence[Image.Image], columns: int | None = None, gap: int = GAP) -> Image.Image:
    """Lay out images of one size and mode in rows: on white, or on transparency if they have alpha.

    Args:
        images: at least one.
        columns: images in a row. None makes the sheet as square as possible.
        gap: pixels between images.
    """
    columns = columns or math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    width, height = images[0].size
    step_x, step_y = width + gap, height + gap
    mode = images[0].mode
    sheet = Image.new(mode, (columns * step_x - gap, rows * step_y - gap), CLEAR if mode == "RGBA" else "white")
    for i, image in enumerate(images):
        sheet.paste(image, (i % columns * step_x, i // columns * step_y))
    return sheet

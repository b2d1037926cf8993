"""Images with transparency, laid on an opaque background.

Alpha is straight, as PNG and WebP store it: a colour does not depend on its alpha. What is fully transparent is white, so that
programs that ignore alpha show what formats without alpha show.
"""

from PIL import Image

HIDDEN = 255
"""Red, green and blue of fully transparent pixels in what this project makes."""

CLEAR = (HIDDEN, HIDDEN, HIDDEN, 0)
"""A fully transparent pixel."""

_LIGHT, _DARK = 242, 204  # grey levels
_MIDDLE = 128
_SQUARE = 8  # pixels


def on_white(image: Image.Image) -> Image.Image:
    """Lay an RGBA image on white: RGB."""
    return _laid_on(Image.new("RGB", image.size, "white"), image)


def on_grey(image: Image.Image) -> Image.Image:
    """Lay an RGBA image on mid-grey, which hides neither white nor black: RGB."""
    return _laid_on(Image.new("RGB", image.size, (_MIDDLE,) * 3), image)


def on_checkerboard(image: Image.Image) -> Image.Image:
    """Lay an RGBA image on grey squares, which show what is transparent: RGB."""
    square = Image.new("RGB", (_SQUARE, _SQUARE), (_LIGHT,) * 3)
    board = Image.new("RGB", image.size, (_DARK,) * 3)
    for row, top in enumerate(range(0, image.height, _SQUARE)):
        for left in range(row % 2 * _SQUARE, image.width, 2 * _SQUARE):
            board.paste(square, (left, top))
    return _laid_on(board, image)


def _laid_on(background: Image.Image, image: Image.Image) -> Image.Image:
    background.paste(image, mask=image)
    return background

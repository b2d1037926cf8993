"""How large a response may be. The limits hold after decompression, and for decoded pixels as well.

Without them, a few kilobytes of a hostile or broken service would fill the memory of the caller.
"""

from dataclasses import dataclass

MIB = 2**20

JSON_BYTES = 4 * MIB
"""A list of models or one card. The shipped cards take less than 0.1 MiB."""

LISTED_MODELS = 10_000
"""Models, or refused files, in a list of models. Checking a card takes far longer than receiving two bytes of it."""

ERROR_BYTES = MIB
"""The body of an error. A longer one is not read."""

IMAGE_BYTES = 16 * MIB
"""One image of a generator: 2300 x 2300 pixels, RGB, or 2048 x 2048, RGBA."""

STYLIZED_BYTES = 64 * MIB
"""A stylized image if the caller sets no max_side: 4700 x 4700 pixels, RGB."""

MAX_BYTES = 1024 * MIB
"""Any response."""


@dataclass(frozen=True)
class Limit:
    """What one response may hold: a number of images or frames, and bytes, both packed and as pixels."""

    images: int
    bytes: int


NO_LIMIT = Limit(2**31, 2**63)
"""For images that did not come from a service."""


def images_limit(count: object) -> Limit:
    """The limit for a number of images of a generator. The service rejects a count that is not a positive integer."""
    images = max(1, count) if isinstance(count, int) else 1
    return Limit(images, min(MAX_BYTES, images * IMAGE_BYTES + MIB))


def stylized_limit(max_side: object) -> Limit:
    """The limit for one stylized image: RGB, `max_side` x `max_side` pixels, and a third more for its format."""
    if not isinstance(max_side, int):
        return Limit(1, STYLIZED_BYTES)
    return Limit(1, min(MAX_BYTES, 4 * max_side**2 + MIB))

"""Text for messages, Markdown and names."""

import re

from anyascii import anyascii

_LONGEST_NAME = 63


def count_of(count: int, noun: str) -> str:
    """`1 image`, `2 images`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def cell(text: str) -> str:
    """Text that can end neither its cell nor its row of a Markdown table."""
    return " ".join(text.replace("|", "\\|").split())


def name_from(text: str) -> str:
    """A `ganvas.card.Name` made from any text: `Köpfe für Zoë` -> `kopfe-fur-zoe`, `星月夜` -> `xingyueye`.

    Empty if nothing in the text can be written with the letters a-z and digits.
    """
    return re.sub(r"[^a-z0-9]+", "-", anyascii(text).lower()).strip("-")[:_LONGEST_NAME].strip("-")

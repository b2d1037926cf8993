"""Makes text from the service safe to print and to use in file names.

The client does not trust the service. All titles, details, headers and names pass through this module first.
"""

import re
import unicodedata

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"  # Persian, Hindi and emoji need them

UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of control characters, format characters (some reverse text), surrogates and separators."""

MAX_STEM = 96  # bytes, so that model, seeds and suffix fit into a name of 255
RESERVED = frozenset({"CON", "PRN", "AUX", "NUL", *(f"{port}{i}" for port in ("COM", "LPT") for i in range(10))})
"""Names of devices on Windows, with any suffix."""


def printable(text: str, limit: int | None = None) -> str:
    """Make text safe for a terminal: one line, without control characters.

    Args:
        text: of any length.
        limit: most characters; the rest is cut off.

    Returns:
        The text with each run of white space as one space, and U+FFFD in place of each character that controls a terminal or
        reverses text.
    """
    if limit is not None and len(text) > limit:
        text = f"{text[:limit]}..."
    if text.isprintable():
        return text
    safe = (
        character if character in JOINERS or unicodedata.category(character) not in UNSAFE else REPLACEMENT
        for character in " ".join(text.split())
    )
    return "".join(safe)


def file_stem(*parts: str) -> str:
    """Join parts to a file name without its suffix that is safe on Linux, macOS and Windows.

    It consists of letters, digits, `_` and inner hyphens, so it is neither hidden nor a path.
    """
    text = unicodedata.normalize("NFC", "-".join(parts))
    stem = re.sub(r"[\W]+", "-", text).encode()[:MAX_STEM].decode(errors="ignore").strip("-")
    return f"{stem}-image" if stem.upper() in RESERVED else stem or "image"


def class_stem(model: str, class_: str | None) -> str:
    """The start of a file's name for images of a generator: `digits`, or `digits_three` if all are of one class."""
    return model if class_ is None else file_stem(f"{model}_{class_}")

"""Which files of a folder are read as images, and why the others are left out."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

from ganvas.api import UPLOAD_FORMATS_TEXT, UPLOAD_SUFFIXES
from ganvas.formats.signatures import SIGNATURE_BYTES, format_of

START_BYTES = SIGNATURE_BYTES

_CAMERAS = (".arw", ".cr2", ".cr3", ".dng", ".heic", ".heif", ".nef", ".orf", ".raf", ".rw2")
_PROGRAMS = (".avif", ".bmp", ".gif", ".ico", ".jp2", ".jxl", ".psd", ".svg", ".tif", ".tiff", ".xcf")
OTHER_IMAGES = frozenset(_CAMERAS + _PROGRAMS)
"""Suffixes of images in formats that are not read."""


def why_left_out(name: str, start: Callable[[], bytes]) -> str | None:
    """Why a file is not read as an image; None if it is.

    Args:
        name: of the file, with any folders.
        start: reads the first `START_BYTES` of the file, which decide if its name has no suffix. May raise.
    """
    path = PurePosixPath(name)
    suffix = path.suffix.lower()
    if path.name.startswith(".") or "__MACOSX" in path.parts:
        return "a hidden file"  # such as the companions that macOS puts beside real images
    if suffix in UPLOAD_SUFFIXES or (not suffix and format_of(start())):
        return None
    return f"a {suffix} file; {UPLOAD_FORMATS_TEXT} files are read" if suffix in OTHER_IMAGES else "not an image file"


def left_out_text(names: Iterable[str]) -> str:
    """`12 files left out: 10 .heic, 2 .txt`."""
    counts = Counter(_kind(PurePosixPath(name).name) for name in names)
    total = counts.total()
    each = ", ".join(f"{count:,} {kind}" for kind, count in counts.most_common())
    return f"{total:,} file{'' if total == 1 else 's'} left out: {each}"


def _kind(name: str) -> str:
    return "hidden" if name.startswith(".") else PurePosixPath(name).suffix.lower() or "without suffix"

"""Bounds on what is read beside the pixels, and the errors of files that cannot be used.

`ganvas.api` has the bounds on the structure of a file. Within them, walking over a file of 32 MiB takes milliseconds.
"""

MAX_PROFILE_BYTES = 4 * 2**20
"""Colour profile, unpacked. Profiles of printers have up to about 3 MB. A larger profile is ignored."""

MAX_EXIF_BYTES = 2**16
"""EXIF in which the orientation is looked for. More does not fit into a segment of a JPEG."""


class ImageFileError(ValueError):
    """An image file that cannot be used. The message completes "the file is ..."."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ImageTooLargeError(ImageFileError):
    """The header states more pixels, or a longer side, than is allowed. Nothing was decoded."""


class UnreadableImageError(ImageFileError):
    """Not an image of a format that is read, or a broken one. The cause is Pillow's error."""


def too_complex(what: str, most: int) -> UnreadableImageError:
    """The error of a file with more blocks of a kind than the bound allows."""
    return UnreadableImageError(f"too complex: more than {most:,} {what}; save it again with another program")


def truncated() -> UnreadableImageError:
    """The error of a file whose end is missing."""
    return UnreadableImageError("truncated: its end is missing")

"""Bounds on the structure of an image file, and the errors of files that cannot be used. docs/api.md lists the bounds.

A bound is far above what cameras and programs write, and low enough that walking over a file of 32 MiB takes milliseconds.
"""

MAX_SEGMENTS = 4_096
"""Segments of a JPEG. A profile and extended XMP, the two that are split into segments, have at most 255 each as a rule."""

MAX_SCANS = 100
"""Scans of a JPEG. Each is a pass over all pixels, however small the scan is. Progressive files have about ten."""

MAX_CHUNKS = 65_536
"""Chunks of a PNG or a WebP. Usual programs split the pixels of a PNG into chunks of 8 KiB or more."""

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
    """The header states more pixels than are allowed. Nothing was decoded."""


class UnreadableImageError(ImageFileError):
    """Not an image of a format that is read, or a broken one. The cause is Pillow's error."""


def too_complex(what: str, most: int) -> UnreadableImageError:
    """The error of a file with more blocks of a kind than are allowed."""
    return UnreadableImageError(f"too complex: over {most:,} {what}, which is the most that is allowed")


def truncated() -> UnreadableImageError:
    """The error of a file whose end is missing."""
    return UnreadableImageError("truncated: its end is missing")

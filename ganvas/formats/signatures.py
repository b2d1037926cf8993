"""Recognises the format of a file by its first bytes. The name does not matter."""

SIGNATURE_BYTES = 12


def format_of(start: bytes) -> str | None:
    """Pillow's name of the format; None if it is not one that is read.

    Args:
        start: the first `SIGNATURE_BYTES` of the file.
    """
    if start.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    return None

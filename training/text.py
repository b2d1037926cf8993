"""Text for messages and Markdown."""


def count_of(count: int, noun: str) -> str:
    """`1 image`, `2 images`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def cell(text: str) -> str:
    """Text that can end neither its cell nor its row of a Markdown table."""
    return " ".join(text.replace("|", "\\|").split())

"""Writes Markdown."""


def cell(text: str) -> str:
    """Text that can end neither its cell nor its row of a table."""
    return " ".join(text.replace("|", "\\|").split())

"""Writes the tables of benchmarks into documents."""

import re
from pathlib import Path

import typer


def replace_section(page: Path, name: str, text: str) -> None:
    """Replace the text between the marks `<!-- NAME -->` and `<!-- /NAME -->` of a page.

    Raises:
        typer.BadParameter: the page has no such marks.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before = page.read_text()
    after, found = re.subn(
        f"({re.escape(begin)}\n).*?({re.escape(end)})",
        lambda match: f"{match[1]}\n{text.strip()}\n\n{match[2]}",
        before,
        flags=re.S,
    )
    if not found:
        raise typer.BadParameter(f"{page} has no line {begin} with a line {end} after it.")
    page.write_text(after)

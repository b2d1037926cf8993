"""The tables of models in README.md and exported/README.md, made from the cards: nobody keeps them by hand.

python -m training table
"""

from pathlib import Path

import onnx
from pydantic import ValidationError

from ganvas.card import METADATA_KEY, Card, StylizerCard, parse_card
from ganvas.files import write_whole
from training.errors import ExportError, first_line

BEGIN, END = "<!-- models: made by `python -m training table` -->", "<!-- end of models -->"


def read_card(path: Path) -> Card:
    """The card of an exported model.

    Raises:
        ExportError: the file is no ONNX file, or has no card, or one that cannot be read.
    """
    try:
        metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    except Exception as error:  # protobuf raises what it likes on a broken file
        raise ExportError(f"{path} is not an ONNX file: {first_line(error)}.") from error
    if METADATA_KEY not in metadata:
        raise ExportError(f"{path} has no card. Export it with: python -m training export.")
    try:
        return parse_card(metadata[METADATA_KEY])
    except ValidationError as error:
        raise ExportError(f"The card of {path} cannot be read: {error.errors()[0]['msg']}.") from error


def models_table(folder: Path) -> str:
    """A Markdown table, a row a model."""
    rows = ["| model | kind | what it makes | licence | size |", "| --- | --- | --- | --- | --- |"]
    for path in sorted(folder.glob("*.onnx")):
        card = read_card(path)
        size = f"{path.stat().st_size / 1e6:.1f} MB"
        rows.append(f"| `{card.name}` | {card.kind} | {_cell(card.summary)}{_styles(card)} | {_cell(card.licence)} | {size} |")
    return "\n".join(rows) + "\n"


def exported_readme(folder: Path) -> str:
    """The whole of exported/README.md: the table, then each card in words."""
    parts = ["# Exported models\n", "Made from the cards by `python -m training table`; do not edit.\n", models_table(folder)]
    for path in sorted(folder.glob("*.onnx")):
        card = read_card(path)
        lines = [f"## {card.title}", "", card.summary, "", f"- architecture: {card.architecture}", f"- licence: {card.licence}"]
        lines += [f"- trained on: {data.title}; {data.source}; {data.licence}" for data in card.training_data]
        lines += [f"- {metric.name}: {metric.value:g} ({metric.method})" for metric in card.metrics]
        lines.append("- config: " + ", ".join(f"{key} {_value(value)}" for key, value in card.training_config.items()))
        if isinstance(card, StylizerCard):
            lines += ["", "| style | title | artist | year | licence |", "| --- | --- | --- | --- | --- |"]
            lines += [
                f"| `{s.name}` | {_cell(s.title)} | {_cell(s.artist)} | {s.year or ''} | {_cell(s.licence)} |"
                for s in card.styles
            ]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def readme_with_table(readme: str, folder: Path) -> str:
    """README.md with the table between its two markers made anew.

    Raises:
        ExportError: a marker is missing.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ExportError(f"README.md needs the lines {BEGIN} and {END}, between which the table goes.")
    return f"{before}{begin}\n{models_table(folder)}{end}{after}"


def write_tables(folder: Path, readme: Path) -> None:
    """Write exported/README.md and the table in README.md.

    Raises:
        ExportError: there is no such folder, or one of its models has no card, or README.md no place for the table.
    """
    if not folder.is_dir():
        raise ExportError(f"{folder} is no folder. Name the one that holds the exported models.")
    table = exported_readme(folder)
    whole = readme_with_table(readme.read_text(), folder)
    write_whole(folder / "README.md", lambda path: path.write_text(table))
    write_whole(readme, lambda path: path.write_text(whole))


def _cell(text: str) -> str:
    """Text that cannot end its cell or its row."""
    return " ".join(text.replace("|", "\\|").split())


def _styles(card: Card) -> str:
    return f" ({', '.join(f'`{style.name}`' for style in card.styles)})" if isinstance(card, StylizerCard) else ""


def _value(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)

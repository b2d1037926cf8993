"""Makes the tables of models in README.md and exported/README.md from the cards.

python -m training table
"""

from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

from pydantic import JsonValue

from ganvas.card import Card
from ganvas.files import write_whole
from training.errors import ExportError
from training.kinds import kind_of_card
from training.metrics.evaluation import four_digits
from training.onnx_file import read_card
from training.text import cell

BEGIN, END = "<!-- models: made by `python -m training table` -->", "<!-- end of models -->"


def models_table(folder: Path) -> str:
    """A Markdown table with one row a model."""
    rows = ["| model | kind | what it makes | licence | size |", "| --- | --- | --- | --- | --- |"]
    for path in sorted(folder.glob("*.onnx")):
        card = read_card(path)
        names = ", ".join(f"`{cell(name)}`" for name in kind_of_card(card).table_entry(card).names)
        makes = cell(card.summary) + (f" ({names})" if names else "")
        size = f"{path.stat().st_size / 1e6:.1f} MB"
        rows.append(f"| `{card.name}` | {card.kind} | {makes} | {cell(card.licence)} | {size} |")
    return "\n".join(rows) + "\n"


def exported_readme(folder: Path) -> str:
    """The content of exported/README.md: the table, then one section a model."""
    parts = ["# Exported models\n", "Made from the cards by `python -m training table`; do not edit.\n", models_table(folder)]
    for path in sorted(folder.glob("*.onnx")):
        card = read_card(path)
        lines = [f"## {card.title}", "", card.summary, "", f"- architecture: {card.architecture}", f"- licence: {card.licence}"]
        lines += [f"- trained on: {data.title}; {data.source}; {data.licence}" for data in card.training_data]
        lines.append("- config: " + ", ".join(f"{key} {value}" for key, value in _flat(card.training_config)))
        lines += _metrics(card)
        if section := kind_of_card(card).table_entry(card).section:
            lines += ["", *section]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def readme_with_table(readme: str, folder: Path) -> str:
    """README.md with a new table between its two markers.

    Raises:
        ExportError: a marker is missing.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ExportError(f"README.md needs the lines {BEGIN} and {END}. The table goes between them.")
    return f"{before}{begin}\n{models_table(folder)}{end}{after}"


def write_tables(folder: Path, readme: Path) -> None:
    """Write exported/README.md and the table in README.md.

    Raises:
        ExportError: the folder does not exist, one of its models has no card, or README.md has no place for the table.
    """
    if not folder.is_dir():
        raise ExportError(f"{folder} is not a folder. Name the folder that holds the exported models.")
    table = exported_readme(folder)
    whole = readme_with_table(readme.read_text(), folder)
    write_whole(folder / "README.md", lambda path: path.write_text(table))
    write_whole(readme, lambda path: path.write_text(whole))


def _metrics(card: Card) -> Iterator[str]:
    """One table for each way in which metrics were measured. A distance means little without what real images score."""
    for method, measured in groupby(card.metrics, lambda metric: metric.method):
        yield from ("", f"Measured: {cell(method)}", "", "| metric | model | real images |", "| --- | ---: | ---: |")
        for metric in measured:
            real = "not measured" if metric.real is None else f"{four_digits(metric.real):,.10g}"
            yield f"| {cell(metric.name)} | {four_digits(metric.value):,.10g} | {real} |"


def _flat(config: Mapping[str, JsonValue]) -> Iterator[tuple[str, str]]:
    """The values of a config by key; the keys of a table are dotted."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from ((f"{key}.{inner}", each) for inner, each in _flat(value))
        else:
            yield key, " ".join(map(str, value)) if isinstance(value, list) else str(value)

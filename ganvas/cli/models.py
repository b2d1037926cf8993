"""`ganvas models`: the models that the service offers."""

import shutil
import textwrap
from collections.abc import Iterator
from itertools import groupby
from typing import Annotated

import typer

from ganvas.card import Card, GeneratorCard, Metric, StylizerCard
from ganvas.cli.errors import print_json, report_errors
from ganvas.cli.options import Json, Url
from ganvas.client import Client
from ganvas.models import Model, Models

MAX_WIDTH = 100
LABEL = 14  # characters of a label and the space after it
NEWER = "cannot be read by this client version"


@report_errors
def models(
    name: Annotated[str | None, typer.Argument(help="Show this model with its whole card.", show_default=False)] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List the models with their styles and classes, or show one of the models."""
    with Client(url) as client:
        if name is not None:
            _show(client.model(name), as_json=as_json)
        else:
            _list(client.models(), as_json=as_json)


def _list(found: Models, *, as_json: bool) -> None:
    if as_json:
        parts = {"models": tuple(found), "refused": found.refused, "unreadable": found.unreadable}
        print_json({name: [entry.model_dump(mode="json") for entry in entries] for name, entries in parts.items()})
        return
    for model in found:
        card = model.card
        typer.echo(_wrapped(f"{card.name} ({card.kind}): {card.title}"))
        for line in _usage(card):
            typer.echo(_wrapped(line, indent=4))
    for unreadable in found.unreadable:
        typer.secho(
            _wrapped(f"{unreadable.name}: {NEWER}: {unreadable.reason}. Install a newer client."), fg="yellow", err=True
        )
    for file in found.refused:
        typer.secho(_wrapped(f"Not served: {file.file}: {file.reason}"), fg="yellow", err=True)
    if not found:
        typer.secho("The service has no model that this client can read.", fg="yellow", err=True)


def _usage(card: Card) -> Iterator[str]:
    """What a model offers, and a command that uses it."""
    if isinstance(card, GeneratorCard):
        yield f"{card.width} x {card.height} pixels"
        if card.classes:
            yield f"classes: {', '.join(card.classes)}"
        yield f"ganvas sample -m {card.name}"
    elif isinstance(card, StylizerCard):
        yield f"styles: {', '.join(style.name for style in card.styles)}"
        yield f"ganvas stylize PHOTO -m {card.name} -s {card.styles[0].name}"
    else:
        yield f"{NEWER}: its kind is unknown. Install a newer client."


def _show(model: Model, *, as_json: bool) -> None:
    if as_json:
        print_json(model.model_dump(mode="json"))
        return
    card = model.card
    rows: list[tuple[str, str]] = [
        ("model", f"{card.name}@{model.version}"),
        ("kind", card.kind),
        ("title", card.title),
        ("summary", card.summary),
    ]
    if isinstance(card, GeneratorCard):
        rows.append(("makes", f"{card.width} x {card.height} pixels from latents of {card.latent_size}"))
        if card.classes:
            rows.append(("classes", ", ".join(card.classes)))
    if isinstance(card, StylizerCard):
        rows += [("style", f"{style.name}: {style.title}, {style.artist}") for style in card.styles]
    rows += [("architecture", card.architecture), ("licence", card.licence)]
    rows += [("trained on", f"{data.title} ({data.licence}), {data.source}") for data in card.training_data]
    other = "unpainted photos" if isinstance(card, StylizerCard) else "real images"
    for method, measured in groupby(card.metrics, lambda metric: metric.method):
        rows += [("metric", _valued(metric, other)) for metric in measured]
        rows.append(("measured", method))
    before = None
    for label, text in rows:
        typer.echo(_wrapped(f"{label if label != before else '':{LABEL}}{text}", hanging=LABEL))
        before = label


def _valued(metric: Metric, other: str) -> str:
    real = "" if metric.real is None else f" ({other} {metric.real:g})"
    return f"{metric.name}: {metric.value:g}{real}"


def _wrapped(text: str, *, indent: int = 0, hanging: int = 4) -> str:
    """Wrap text between words to the width of the terminal."""
    return textwrap.fill(
        text,
        width=min(MAX_WIDTH, shutil.get_terminal_size().columns),
        initial_indent=" " * indent,
        subsequent_indent=" " * max(indent, hanging),
        break_long_words=False,
        break_on_hyphens=False,
    )

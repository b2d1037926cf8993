"""`ganvas models`: the models that the service offers."""

from typing import Annotated

import typer
from rich.table import Table

from ganvas.card import Card, GeneratorCard, Metric, StylizerCard
from ganvas.cli.errors import Stdout, print_json, report_errors
from ganvas.cli.options import Json, Url
from ganvas.client import DEFAULT_URL, Client
from ganvas.models import Model, Models


@report_errors
def models(
    name: Annotated[str | None, typer.Argument(help="Show this model with its whole card.", show_default=False)] = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """List the models, or show one of them."""
    with Client(url) as client:
        if name is not None:
            _show(client.model(name), as_json=as_json)
        else:
            _list(client.models(), as_json=as_json)


def _list(found: Models, *, as_json: bool) -> None:
    if as_json:
        refused = [file.model_dump(mode="json") for file in found.refused]
        print_json({"models": [model.model_dump(mode="json") for model in found], "refused": refused})
        return
    table = Table("model", "kind", "what it makes", "licence", "version")
    for model in found:
        table.add_row(model.name, model.card.kind, _what(model.card), model.card.licence, model.version)
    Stdout().print(table)
    for file in found.refused:
        typer.secho(f"Not served: {file.file}: {file.reason}", fg="yellow", err=True)


def _show(model: Model, *, as_json: bool) -> None:
    if as_json:
        print_json(model.model_dump(mode="json"))
        return
    card = model.card
    table = Table(show_header=False, box=None)
    rows = {
        "model": f"{card.name}@{model.version}",
        "kind": card.kind,
        "title": card.title,
        "what it makes": _what(card),
        "architecture": card.architecture,
        "licence": card.licence,
        "trained on": "\n".join(f"{data.title} ({data.licence}), {data.source}" for data in card.training_data),
        "measured": "\n".join(map(_measured, card.metrics)),
    }
    for label, text in rows.items():
        if text:
            table.add_row(label, text)
    Stdout().print(table)


def _measured(metric: Metric) -> str:
    real = "" if metric.real is None else f" (real images {metric.real:g})"
    return f"{metric.name} {metric.value:g}{real}: {metric.method}"


def _what(card: Card) -> str:
    if isinstance(card, GeneratorCard):
        return f"{card.summary} {card.width} x {card.height}, latents of {card.latent_size}"
    if isinstance(card, StylizerCard):
        return f"{card.summary}\n" + "\n".join(f"{style.name}: {style.title}, {style.artist}" for style in card.styles)
    return f"{card.title}: {card.summary}"

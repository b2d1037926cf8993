"""Options that several commands share, and their shell completion."""

import re
from dataclasses import dataclass
from typing import Annotated, TypeVar

import typer

from ganvas.api import FILE_TYPES, IMAGE_FORMATS, TRUNCATION
from ganvas.card import Card, GeneratorCard, StylizerCard
from ganvas.client import Client
from ganvas.environment import DEFAULT_URL, URL_VARIABLE
from ganvas.errors import GanvasError

C = TypeVar("C", bound=Card)

IMAGE_SUFFIXES = ", ".join(FILE_TYPES[name].suffix for name in IMAGE_FORMATS)
"""Suffixes of the image files that are written, for help."""


@dataclass
class Given:
    """Options that were given before the command: `ganvas --url URL models`."""

    url: str | None = None
    as_json: bool = False


BEFORE_COMMAND = Given()


def _listed(context: typer.Context, kind: type[C]) -> list[C]:
    """The service's models of a kind, for shell completion. Empty if the service does not respond within a second."""
    url = context.params.get("url") or context.find_root().params.get("url")
    try:
        with Client(url, timeout=1, retries=0) as client:
            return client.models().cards(kind)
    except (GanvasError, ValueError):
        return []


def _help(*texts: str) -> str:
    """Help for a completion without the signs of a shell: zsh evaluates what the completion prints."""
    return re.sub(r"[^\w .,()-]", "", ", ".join(texts))


def _generators(context: typer.Context) -> list[tuple[str, str]]:
    return [(card.name, _help(card.title)) for card in _listed(context, GeneratorCard)]


def _stylizers(context: typer.Context) -> list[tuple[str, str]]:
    return [(card.name, _help(card.title)) for card in _listed(context, StylizerCard)]


def _styles(context: typer.Context) -> list[tuple[str, str]]:
    named = context.params.get("model")
    return [
        (style.name, _help(style.title, style.artist))
        for card in _listed(context, StylizerCard)
        if named in (None, card.name)
        for style in card.styles
    ]


def _classes(context: typer.Context) -> list[tuple[str, str]]:
    named = context.params.get("model")
    cards = [card for card in _listed(context, GeneratorCard) if named in (None, card.name)]
    return [(name, _help(card.title)) for card in cards for name in card.classes]


Url = Annotated[
    str | None,
    typer.Option("--url", help="Address of the service.", show_default=f"{URL_VARIABLE}, or else {DEFAULT_URL}"),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout: the result, or the error.")]
Progress = Annotated[
    bool | None,
    typer.Option(
        "--progress/--no-progress", help="Show the progress of a batch. By default, in a terminal only.", show_default=False
    ),
]
MaxConcurrency = Annotated[
    int, typer.Option("--max-concurrency", min=1, max=1024, help="Most requests of a batch in flight at a time.")
]
GeneratorName = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="A generator. Needed if several are served, unless a class is named that only one has.",
        autocompletion=_generators,
        show_default=False,
    ),
]
StylizerName = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="A stylizer. Needed if several are served, unless a style is named that only one has.",
        autocompletion=_stylizers,
        show_default=False,
    ),
]
SheetModel = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", help="A stylizer. Needed if several are served.", autocompletion=_stylizers, show_default=False
    ),
]
StyleName = Annotated[
    str | None,
    typer.Option("--style", "-s", help="A style, or a blend: NAME:0.7,NAME:0.3.", autocompletion=_styles, show_default=False),
]
ClassNames = Annotated[
    list[str] | None,
    typer.Option(
        "--class",
        "-c",
        help="A class of the generator. Given several times: one for each image or seed.",
        autocompletion=_classes,
        show_default="of any class",
    ),
]
Truncation = Annotated[float, typer.Option(help=f"{TRUNCATION}. Below 1, images are more typical and less varied.")]

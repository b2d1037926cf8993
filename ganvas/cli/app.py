"""The command line: `ganvas`."""

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from ganvas.cli.generators import interpolate, sample
from ganvas.cli.models import models
from ganvas.cli.options import BEFORE_COMMAND, Json, Url
from ganvas.cli.stylizers import sheet, stylize

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 success; 1 some images failed; 2 wrong usage; 3 the service rejected the request; 4 the service "
    "failed, is full or cannot be reached; 5 a file cannot be read or written; 130 stopped by Ctrl-C; "
    "141 the reader of stdout closed it.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        try:
            typer.echo(f"ganvas {version('ganvas')}")
        except PackageNotFoundError:
            typer.echo("ganvas, not installed: its version is unknown")
        raise typer.Exit


@app.callback()
def ganvas(
    url: Url = None,
    as_json: Json = False,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Make images with a Ganvas service. GANVAS_URL can hold its address, and GANVAS_API_KEY its API key.

    --url and --json may stand before or after the command.
    """
    BEFORE_COMMAND.url, BEFORE_COMMAND.as_json = url, as_json


app.command()(models)
app.command()(sample)
app.command()(interpolate)
app.command()(stylize)
app.command()(sheet)

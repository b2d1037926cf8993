"""The command line: `ganvas`."""

import typer

from ganvas.cli.generators import interpolate, sample
from ganvas.cli.models import models
from ganvas.cli.stylizers import sheet, stylize

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Make images with a Ganvas service. Set its address with --url or GANVAS_URL, and its API key with GANVAS_API_KEY.",
    epilog="Exit codes: 0 success; 1 some images failed; 2 wrong usage; 3 the service rejected the request; 4 the service "
    "failed, is full or cannot be reached; 5 a file cannot be read or written; 130 stopped by Ctrl-C.",
)
app.command()(models)
app.command()(sample)
app.command()(interpolate)
app.command()(stylize)
app.command()(sheet)

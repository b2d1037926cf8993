"""The command line: `ganvas`."""

import typer

from ganvas.cli.generators import interpolate, sample
from ganvas.cli.models import models
from ganvas.cli.stylizers import sheet, stylize

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Pictures from a Ganvas service. --url or GANVAS_URL says where it is, GANVAS_API_KEY holds the key if it wants one.",
    epilog="Exit codes: 0 done; 1 some pictures failed; 2 used wrongly; 3 the service refused; 4 the service failed, is full "
    "or cannot be reached; 5 a file cannot be read or written; 130 stopped by Ctrl-C.",
)
app.command()(models)
app.command()(sample)
app.command()(interpolate)
app.command()(stylize)
app.command()(sheet)

"""The command line: `python -m training`."""

import typer

from training.cli.check import check
from training.cli.gan import gan
from training.cli.models import evaluate, export, sample, table
from training.cli.style import int8, paint, style

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Train on a folder of images, then export one ONNX file for the service.",
)
for command in (check, gan, style, paint, sample, evaluate, export, int8, table):
    app.command()(command)

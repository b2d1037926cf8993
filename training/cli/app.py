"""The command line: `python -m training`."""

import typer

from training.cli.gan import gan
from training.cli.models import evaluate_, export, int8, table
from training.cli.style import paint_, style

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Train on a folder of pictures, then export one ONNX file that the service serves.",
)
app.command()(gan)
app.command()(style)
app.command("paint")(paint_)
app.command("evaluate")(evaluate_)
app.command()(export)
app.command()(int8)
app.command()(table)

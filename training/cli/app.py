"""The command line: `python -m training`.

The module of a command is imported when the command runs: torch takes seconds to import, and the list of commands does not need
it.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import typer
from typer._click import Command, Context  # typer brings its own click
from typer.core import TyperCommand

COMMANDS = {
    "check": ("training.cli.check", "Check images before a long training."),
    "gan": ("training.cli.gan", "Train a GAN on a folder or zip of images."),
    "style": ("training.cli.style", "Train one style network on all paintings of a folder."),
    "paint": ("training.cli.style", "Paint one photo by optimisation."),
    "sample": ("training.cli.models", "Write a sheet of samples from a run."),
    "evaluate": ("training.cli.models", "Measure a run or an exported model."),
    "export": ("training.cli.export", "Export a run to the file that the service serves."),
    "int8": ("training.cli.style", "Convert the convolutions of a stylizer to int8."),
    "table": ("training.cli.export", "Write the tables of models in the READMEs."),
}
"""Name -> module, which has a function of this name, and what the list of commands says."""


class _LateCommand(TyperCommand):
    """A command whose module is imported when the command runs."""

    def make_context(self, info_name: str | None, args: list[str], parent: Context | None = None, **extra: Any) -> Context:
        """The context of the command itself, with its own options."""
        return load_command(str(self.name)).make_context(info_name, args, parent, **extra)


def load_command(name: str) -> Command:
    """Import a command."""
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    function: Callable[..., None] = getattr(import_module(COMMANDS[name][0]), name)
    alone.command(name)(function)
    return typer.main.get_command(alone)


def _never_called() -> None:
    """`_LateCommand` runs the function of the module instead."""


app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Train on a folder of images, then export one ONNX file for the service.",
)
for _name, (_, _help) in COMMANDS.items():
    app.command(_name, cls=_LateCommand, help=_help)(_never_called)

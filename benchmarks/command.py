"""Turns a benchmark into a command."""

import sys
from collections.abc import Callable

import typer
from rich.console import Console

from training.errors import TrainingError


def run_command(benchmark: Callable[..., None]) -> None:
    """Run a benchmark from the command line. Its parameters are the options and its docstring is the help."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(benchmark)
    try:
        app()
    except TrainingError as error:
        Console(stderr=True).print(f"Error: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
        sys.exit(2)

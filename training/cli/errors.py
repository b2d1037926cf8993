"""Ends a failed command with a message and an exit code instead of a traceback."""

import logging
import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import typer

from ganvas.signals import Terminated, sigterm_interrupts
from training.errors import TrainingError

P = ParamSpec("P")


def report_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Turn errors that the user can fix into a message and exit code 2, Ctrl-C into exit code 130, and SIGTERM into 143."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
        try:
            with sigterm_interrupts():
                command(*args, **kwargs)
        except TrainingError as error:
            typer.secho(f"Error: {error}", fg="red", err=True)
            raise typer.Exit(2) from None
        except UnicodeError as error:
            typer.secho(f"Error: a name or a file is not UTF-8: {error}.", fg="red", err=True)
            raise typer.Exit(2) from None
        except OSError as error:
            typer.secho(f"Error: {error.filename or 'a file'}: {error.strerror or error}", fg="red", err=True)
            raise typer.Exit(2) from None
        except (MemoryError, RuntimeError) as error:
            # torch has an error class for the GPU's memory but not for the CPU's
            if isinstance(error, RuntimeError) and "memory" not in str(error):
                raise
            typer.secho(
                "Error: out of memory. To train, lower batch_size, width or the image size with --set. To evaluate, lower "
                "--samples.",
                fg="red",
                err=True,
            )
            raise typer.Exit(2) from None
        except KeyboardInterrupt as stop:
            typer.secho("Stopped. Continue a run from its last checkpoint with --resume.", fg="yellow", err=True)
            raise typer.Exit(stop.exit_code if isinstance(stop, Terminated) else 130) from None

    return wrapped

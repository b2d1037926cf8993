"""Ends a failed command with a message and an exit code instead of a traceback."""

import contextlib
import errno
import logging
import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import typer

from ganvas.signals import Terminated, sigterm_interrupts
from training.cli.resume import resume_command
from training.errors import Stopped, TrainingError
from training.text import count_of

P = ParamSpec("P")

PIPE_CLOSED = 141  # the shell's code for a program that SIGPIPE ended
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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
        except BrokenPipeError:
            # The reader, such as `head`, has closed the pipe. Python would fail again when it flushes stdout at exit.
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(PIPE_CLOSED) from None
        except OSError as error:
            typer.secho(f"Error: {_cannot(error)}", fg="red", err=True)
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
            typer.secho(_stopped(stop), fg="yellow", err=True)
            raise typer.Exit(stop.exit_code if isinstance(stop, Terminated | Stopped) else 130) from None

    return wrapped


def _cannot(error: OSError) -> str:
    """What could not be done with a file, and what to do."""
    name = error.filename or "a file"
    if error.errno not in _FULL:
        return f"{name}: {error.strerror or error}"
    resume = resume_command()
    then = f"Earlier checkpoints are intact. Resume with: {resume}" if resume else "Repeat the command."
    reason = "is larger than this system allows" if error.errno == errno.EFBIG else "cannot be written: the disk is full"
    return f"{name} {reason}. Free some space. {then}"


def _stopped(stop: KeyboardInterrupt) -> str:
    """What a stopped command leaves behind."""
    resume = resume_command()
    if isinstance(stop, Stopped):
        verb = "is" if stop.step == 1 else "are"
        return f"Stopped at step {stop.step:,}; {count_of(stop.step, 'step')} {verb} kept. Resume with: {resume}"
    if resume:
        return f"Stopped at once. The last checkpoint is kept. Resume with: {resume}"
    return "Stopped."

"""Errors of the commands: a message or JSON, and an exit code; never a traceback."""

import contextlib
import json
import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import typer
from rich.console import Console

from ganvas.errors import GanvasError, ProblemError, QueueFullError

P = ParamSpec("P")

SOME_FAILED = 1
USAGE = 2
REJECTED = 3
NOT_SERVED = 4
DISK_FAILED = 5
STOPPED = 130
PIPE_CLOSED = 141  # the shell's code for a program that SIGPIPE ended

WRONG_PATH = (FileNotFoundError, IsADirectoryError, NotADirectoryError, BlockingIOError)
"""Errors of a path that the user gave, or of a folder that another batch writes into. Other OSErrors are the disk's own."""


def report_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Report errors of a command on stderr, or with --json as `{"error": ...}` on stdout, and set the exit code."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except GanvasError as error:
            _end(str(error), _document(error), code_of(error), as_json=bool(kwargs.get("as_json")))
        except BrokenPipeError:
            # The reader, such as `head`, has closed the pipe. Python would fail again when it flushes stdout at exit.
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(PIPE_CLOSED) from None
        except (OSError, ValueError) as error:
            message = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
            is_usage = isinstance(error, (ValueError, *WRONG_PATH))
            document: dict[str, object] = {"title": "Wrong usage" if is_usage else "Disk failed", "detail": message}
            _end(message, document, USAGE if is_usage else DISK_FAILED, as_json=bool(kwargs.get("as_json")))
        except KeyboardInterrupt:
            typer.secho("Stopped. The same command continues a batch.", fg="yellow", err=True)
            raise typer.Exit(STOPPED) from None

    return wrapped


class Stdout(Console):
    """Rich's stdout, which leaves a closed pipe to `report_errors`. Rich alone would exit with code 1."""

    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError instead of exiting."""
        raise BrokenPipeError


def code_of(error: GanvasError) -> int:
    """Exit code 3 if the request must change, 4 if the same request may succeed later."""
    is_rejection = isinstance(error, ProblemError) and error.status < 500 and not isinstance(error, QueueFullError)
    return REJECTED if is_rejection else NOT_SERVED


def print_json(document: object) -> None:
    """Print one JSON object on stdout."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
    sys.stdout.flush()  # inside `report_errors`, which handles a closed pipe


def _document(error: GanvasError) -> dict[str, object]:
    if not isinstance(error, ProblemError):
        title = type(error).__name__.removesuffix("Error")
        return {"title": title, "detail": error.message, "request_id": error.request_id}
    document: dict[str, object] = {"type": error.type, "title": error.title, "status": error.status, "detail": error.detail}
    if error.errors:
        document["errors"] = [{"field": e.field, "detail": e.detail} for e in error.errors]
    return {**document, "request_id": error.request_id}


def _end(message: str, document: dict[str, object], code: int, *, as_json: bool) -> None:
    if as_json:
        print_json({"error": document})
    else:
        typer.secho(f"Error: {message}", fg="red", err=True)
    raise typer.Exit(code)

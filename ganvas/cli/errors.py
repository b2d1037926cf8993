"""Errors of the commands: a message or JSON, and an exit code; never a traceback."""

import contextlib
import json
import os
import re
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import typer

from ganvas.cli.options import BEFORE_COMMAND
from ganvas.errors import ConfigurationError, GanvasError, ProblemError, QueueFullError
from ganvas.text import printable

P = ParamSpec("P")

SOME_FAILED = 1
USAGE = 2
REJECTED = 3
NOT_SERVED = 4
DISK_FAILED = 5
STOPPED = 130
PIPE_CLOSED = 141  # the shell's code for a program that SIGPIPE ended

WRONG_PATH = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, BlockingIOError)
"""Errors of a path that the user gave, or of a folder that another batch writes into. Other OSErrors are the disk's own."""

OPTIONS = {
    "n": "-n",
    "url": "--url",
    **{
        name: f"--{name.replace('_', '-')}"
        for name in (
            "model",
            "style",
            "class",
            "seed",
            "truncation",
            "steps",
            "fps",
            "strength",
            "keep_color",
            "brush",
            "max_side",
            "format",
        )
    },
}
"""Fields of the API and arguments of the SDK -> the options that set them."""

HINTS = {
    "n": "To make more images, name a folder: -o FOLDER/ sends several requests.",
    "model": "`ganvas models` lists the models.",
    "style": "`ganvas models` lists the styles.",
    "class": "`ganvas models` lists the classes.",
}
"""Field of a rejected request -> what to do."""


def report_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Report errors of a command on stderr, or with --json as `{"error": ...}` on stdout, and set the exit code.

    Also pass it the options that were given before its name.
    """

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        options: dict[str, Any] = kwargs
        options["url"] = options.get("url") or BEFORE_COMMAND.url
        options["as_json"] = as_json = options.get("as_json") or BEFORE_COMMAND.as_json
        try:
            command(*args, **kwargs)
        except ConfigurationError as error:
            setting = OPTIONS.get(error.setting, error.setting)
            message = f"{setting} is {error.value!r}. {error.reason}"
            _end(message, {"title": "Wrong usage", "detail": message}, USAGE, as_json=as_json)
        except GanvasError as error:
            _end(_message(error), _document(error), code_of(error), as_json=as_json)
        except BrokenPipeError:
            # The reader, such as `head`, has closed the pipe. Python would fail again when it flushes stdout at exit.
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(PIPE_CLOSED) from None
        except (OSError, ValueError) as error:
            message = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
            is_usage = isinstance(error, (ValueError, *WRONG_PATH))
            document: dict[str, object] = {"title": "Wrong usage" if is_usage else "Disk failed", "detail": _worded(message)}
            _end(_worded(message), document, USAGE if is_usage else DISK_FAILED, as_json=as_json)
        except KeyboardInterrupt:
            message = "Stopped. The same command continues a batch."
            if as_json:
                print_json({"error": {"title": "Stopped", "detail": message}})
            else:
                typer.secho(message, fg="yellow", err=True)
            raise typer.Exit(STOPPED) from None

    return wrapped


def code_of(error: GanvasError) -> int:
    """Exit code 3 if the request must change, 4 if the same request may succeed later."""
    is_rejection = isinstance(error, ProblemError) and error.status < 500 and not isinstance(error, QueueFullError)
    return REJECTED if is_rejection else NOT_SERVED


def print_json(document: object) -> None:
    """Print one JSON object on stdout."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
    sys.stdout.flush()  # inside `report_errors`, which handles a closed pipe


def _message(error: GanvasError) -> str:
    """The error in the words of the command line: options instead of fields, and a hint."""
    if not isinstance(error, ProblemError) or not error.errors:
        return _worded(str(error))
    fields = [e.field if e.field in OPTIONS else e.field.partition("[")[0] for e in error.errors]  # class[1] is of --class
    wrong = "; ".join(f"{OPTIONS.get(field, e.field)}: {e.detail}" for field, e in zip(fields, error.errors, strict=True))
    hints = " ".join(HINTS[field] for field in dict.fromkeys(fields) if field in HINTS)
    request = f" [request {error.request_id}]" if error.request_id else ""
    return f"{error.title} ({error.status}): {wrong.rstrip('.')}. {hints}".rstrip() + request


def _worded(message: str) -> str:
    return re.sub(r"`(\w+)`", lambda match: OPTIONS.get(match[1], match[0]), message)


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
        typer.secho(f"Error: {printable(message)}", fg="red", err=True)
    raise typer.Exit(code)

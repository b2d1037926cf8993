"""Output of the commands: images to a file, stdout or a folder, and reports of batches."""

import errno
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import typer

from ganvas.api import formats_by_suffix
from ganvas.batches.report import BatchReport
from ganvas.cli.errors import SOME_FAILED, print_json
from ganvas.files import write_new
from ganvas.left_out import left_out_text
from ganvas.results import ImageResult
from ganvas.text import printable

F = TypeVar("F", bound=str)

STDOUT = "-"

MAX_FAILURES_SHOWN = 20


def is_folder(out: str | None) -> bool:
    """Whether `--out` names a folder: an existing one, or a path that ends in a slash."""
    return out is not None and (out.endswith(("/", "\\")) or Path(out).is_dir())


def format_of(out: str | None, given: F | None, formats: Iterable[F], default: F) -> F:
    """The format to request: the given format, or else the format of the file's suffix.

    Raises:
        ValueError: the command has no format with this suffix.
    """
    if given is not None:
        return given
    if out is None or out == STDOUT:
        return default
    suffixes = formats_by_suffix(formats)
    suffix = Path(out).suffix.lower()
    if suffix not in suffixes:
        folder = "" if suffix else f" For a folder, write {out.rstrip('/')}/."
        raise ValueError(f"{out} does not end in {', '.join(suffixes)}. Rename the file, or add --format.{folder}")
    return suffixes[suffix]


def check_target(out: str | None, *, as_json: bool) -> None:
    """Check, before a request is sent, that a file can be written: to `out`, or else to the current folder.

    Raises:
        ValueError: stdout is a terminal, or is used for JSON.
        OSError: `out` is a folder, or its folder does not exist or cannot be written into.
    """
    if out == STDOUT:
        if as_json or sys.stdout.isatty():
            raise ValueError("Images cannot be written to a terminal or beside --json. Name a file with --out.")
        return
    if is_folder(out):
        raise IsADirectoryError(f"{out} is a folder. Name a file with --out.")
    folder = Path(out or ".").parent
    if not folder.exists():
        raise FileNotFoundError(f"The folder {folder} does not exist. Create it, or choose another path for --out.")
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file, not a folder. Choose another path for --out.")
    if not os.access(folder, os.W_OK):
        raise PermissionError(
            errno.EACCES, "Files cannot be written into this folder. Choose another path for --out", str(folder)
        )


def write_result(result: ImageResult, out: str | None, *, as_json: bool) -> None:
    """Write images to a file or to stdout, and print what was written.

    Without `out`, the file has a new name, made of the model or photo and the seeds. It replaces no file.

    Raises:
        OSError: the file cannot be written.
    """
    if out == STDOUT:
        sys.stdout.buffer.write(result.content)
        sys.stdout.buffer.flush()
        return
    path = result.save(out) if out else write_new(Path(result.filename), result.content)
    if as_json:
        print_json(
            {
                "file": str(path),
                "model": result.model,
                "version": result.version,
                "seeds": list(result.seeds),
                "request_id": result.request_id,
            }
        )
        return
    seeds = f", seed {', '.join(map(str, result.seeds))}" if result.seeds else ""
    typer.echo(f"Wrote {printable(str(path))} ({result.model}@{result.version}{seeds}).")


def report_batch(report: BatchReport, *, as_json: bool) -> None:
    """Print what a batch did, and exit with code 1 if some images failed."""
    if as_json:
        print_json(
            {
                "made": report.made,
                "skipped": report.skipped,
                "failed": [{"source": f.source, "detail": str(f.error)} for f in report.failures],
                "left_out": dict(report.left_out),
                "seconds": round(report.seconds, 3),
                "manifest": str(report.manifest),
                "failures": str(report.failures_file) if report.failures_file else None,
            }
        )
    else:
        if report.left_out:
            typer.secho(f"{printable(left_out_text(report.left_out))}. --json lists them.", fg="yellow", err=True)
        for failure in report.failures[:MAX_FAILURES_SHOWN]:
            typer.secho(printable(str(failure)), fg="red", err=True)
        if len(report.failures) > MAX_FAILURES_SHOWN:
            typer.secho(f"and {len(report.failures) - MAX_FAILURES_SHOWN} more", fg="red", err=True)
        if report.failures_file:
            typer.secho(f"All failures are listed in {printable(str(report.failures_file))}.", fg="red", err=True)
        typer.echo(f"{report}; see {printable(str(report.manifest))}")
    if not report.ok:
        raise typer.Exit(SOME_FAILED)

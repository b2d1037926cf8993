"""Output of the commands: images to a file, stdout or a folder, and reports of batches."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import typer

from ganvas.api import formats_by_suffix
from ganvas.batches.report import BatchReport
from ganvas.cli.errors import SOME_FAILED, print_json
from ganvas.results import ImageResult

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
        raise ValueError(f"{out} does not end in {', '.join(suffixes)}. Rename the file, or add --format.")
    return suffixes[suffix]


def write_result(result: ImageResult, out: str | None, *, as_json: bool) -> None:
    """Write images to a file, by default under the name that the service suggests, or to stdout, and print what was written.

    Raises:
        ValueError: stdout is a terminal, or is used for JSON.
        OSError: the file cannot be written.
    """
    if out == STDOUT:
        if as_json or sys.stdout.isatty():
            raise ValueError("Images cannot be written to a terminal or beside --json. Name a file with --out.")
        sys.stdout.buffer.write(result.content)
        sys.stdout.buffer.flush()
        return
    path = result.save(out or result.filename)
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
    typer.echo(f"Wrote {path} ({result.model}@{result.version}{seeds}).")


def report_batch(report: BatchReport, *, as_json: bool) -> None:
    """Print what a batch did, and exit with code 1 if some images failed."""
    if as_json:
        print_json(
            {
                "made": report.made,
                "skipped": report.skipped,
                "failed": [{"source": f.source, "detail": str(f.error)} for f in report.failures],
                "seconds": round(report.seconds, 3),
                "manifest": str(report.manifest),
            }
        )
    else:
        for failure in report.failures[:MAX_FAILURES_SHOWN]:
            typer.secho(str(failure), fg="red", err=True)
        if len(report.failures) > MAX_FAILURES_SHOWN:
            typer.secho(f"and {len(report.failures) - MAX_FAILURES_SHOWN} more", fg="red", err=True)
        typer.echo(f"{report}; see {report.manifest}")
    if not report.ok:
        raise typer.Exit(SOME_FAILED)

"""Where a command's pictures go: a file, stdout, or a folder."""

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

FAILURES_SHOWN = 20


def is_folder(out: str | None) -> bool:
    """Whether `--out` names a folder: one that is there, or a path that ends in a slash."""
    return out is not None and (out.endswith(("/", "\\")) or Path(out).is_dir())


def format_of(out: str | None, given: F | None, formats: Iterable[F], default: F) -> F:
    """The format to ask for: the one given, or what the file's suffix says.

    Raises:
        ValueError: the suffix is none of a format that there is.
    """
    if given is not None:
        return given
    if out is None or out == STDOUT:
        return default
    suffixes = formats_by_suffix(formats)
    suffix = Path(out).suffix.lower()
    if suffix not in suffixes:
        raise ValueError(f"{out} does not end in {', '.join(suffixes)}; name it so, or give --format")
    return suffixes[suffix]


def put(pictures: ImageResult, out: str | None, *, as_json: bool) -> None:
    """Write pictures to a file, by default under the name that the service gave, or to stdout; and say so.

    Raises:
        ValueError: stdout is a terminal, or is wanted for JSON.
        OSError: the file cannot be written.
    """
    if out == STDOUT:
        if as_json or sys.stdout.isatty():
            raise ValueError("stdout is for one thing: pictures into a pipe or a file, or --json; name a file with --out")
        sys.stdout.buffer.write(pictures.content)
        sys.stdout.buffer.flush()
        return
    path = pictures.save(out or pictures.filename)
    if as_json:
        print_json(
            {
                "file": str(path),
                "model": pictures.model,
                "version": pictures.version,
                "seeds": list(pictures.seeds),
                "request_id": pictures.request_id,
            }
        )
        return
    seeds = f", seed {', '.join(map(str, pictures.seeds))}" if pictures.seeds else ""
    typer.echo(f"Wrote {path} ({pictures.model}@{pictures.version}{seeds}).")


def tell(report: BatchReport, *, as_json: bool) -> None:
    """Say what a batch did, and end with 1 if some pictures failed."""
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
        for failure in report.failures[:FAILURES_SHOWN]:
            typer.secho(str(failure), fg="red", err=True)
        if len(report.failures) > FAILURES_SHOWN:
            typer.secho(f"and {len(report.failures) - FAILURES_SHOWN} more", fg="red", err=True)
        typer.echo(f"{report}; see {report.manifest}")
    if not report.ok:
        raise typer.Exit(SOME_FAILED)

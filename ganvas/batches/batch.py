"""What every batch does once it knows its jobs: run them, write down what came, show how far it is, report."""

import time
from collections.abc import Iterable

from ganvas.batches.link import Link
from ganvas.batches.manifest import Made, Manifest
from ganvas.batches.progress import progress
from ganvas.batches.report import BatchReport, Failure
from ganvas.batches.runner import Job, Runner


async def run_batch(
    link: Link,
    manifest: Manifest,
    jobs: Iterable[Job],
    *,
    title: str,
    total: int,
    skipped: int,
    most_at_once: int,
    patience: float,
    shown: bool | None,
) -> BatchReport:
    """Run the jobs of a batch.

    Args:
        link: sends a call.
        manifest: of the folder that the jobs write into.
        jobs: what is to be done.
        title: for the progress bar.
        total: pictures of the whole batch.
        skipped: those of them that need no job.
        most_at_once: see `Runner`.
        patience: see `Runner`.
        shown: see `progress`.

    Raises:
        GanvasError, OSError: see `Runner.run`.
    """
    failures: list[Failure] = []
    made = 0
    started = time.monotonic()
    runner = Runner(link, most_at_once=most_at_once, patience=patience)
    with progress(title, total, skipped, shown) as advance:

        def done(job: Job, pictures: Made) -> None:
            nonlocal made
            manifest.add(pictures)
            made += job.pictures
            advance(job.pictures, job.pictures, runner.window.under_way)

        def failed(job: Job, error: Exception) -> None:
            failures.append(Failure(job.name, _bare(error)))
            advance(job.pictures, 0, runner.window.under_way)

        await runner.run(jobs, done, failed)
    return BatchReport(made, skipped, tuple(failures), time.monotonic() - started, manifest.path)


def _bare(error: Exception) -> Exception:
    """An error to keep by the thousand: without the frames that it came through, which hold the photo and its request."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)

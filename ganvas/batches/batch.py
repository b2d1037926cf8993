"""Run the requests of a batch, record the images, show the progress, and report."""

import contextlib
import time
from collections.abc import Iterable, Sequence

from anyio.to_thread import run_sync

from ganvas.batches.manifest import Entry, Manifest
from ganvas.batches.progress import progress
from ganvas.batches.report import BatchReport, Failure, write_failures
from ganvas.batches.runner import BatchRequest, Runner
from ganvas.batches.send import Send


async def run_batch(
    send: Send,
    manifest: Manifest,
    requests: Iterable[BatchRequest],
    *,
    title: str,
    total: int,
    skipped: int,
    max_concurrency: int,
    patience: float,
    shown: bool | None,
) -> BatchReport:
    """Run the requests of a batch.

    Args:
        send: sends a call.
        manifest: of the folder that the images are written into.
        requests: the requests of all images that do not exist yet.
        title: for the progress bar.
        total: images of the whole batch.
        skipped: images of the batch that exist already.
        max_concurrency: see `Runner`.
        patience: see `Runner`.
        shown: see `progress`.

    Raises:
        GanvasError, OSError: see `Runner.run`.
    """
    failures: list[Failure] = []
    made = 0
    started = time.monotonic()
    runner = Runner(send, max_concurrency=max_concurrency, patience=patience)
    with progress(title, total, skipped, shown) as advance:

        def done(request: BatchRequest, entries: Sequence[Entry]) -> None:
            nonlocal made
            manifest.add(entries)
            made += request.images
            advance(request.images, request.images, runner.limiter.in_flight)

        def failed(request: BatchRequest, error: Exception) -> None:
            failures.append(Failure(request.name, _without_frames(error)))
            advance(request.images, 0, runner.limiter.in_flight)

        try:
            await runner.run(requests, done, failed)
        except BaseException:
            with contextlib.suppress(OSError):  # the first error says more
                write_failures(manifest.folder, failures)
            raise
    seconds = time.monotonic() - started
    failures_file = await run_sync(write_failures, manifest.folder, failures)
    return BatchReport(made, skipped, tuple(failures), seconds, manifest.path, failures_file)


def _without_frames(error: Exception) -> Exception:
    """Remove the frames of an error. They would keep the photo and the request of each failure in memory."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)

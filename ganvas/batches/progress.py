"""Progress of a batch: a bar in a terminal, a line every ten seconds elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec

LINE_INTERVAL_S = 10.0

Advance = Callable[[int, int, int], None]
"""Called with the newly settled images, how many of these were made, and the requests in flight."""


@contextlib.contextmanager
def progress(title: str, total: int, skipped: int, shown: bool | None) -> Iterator[Advance]:
    """Show the progress of a batch on stderr.

    Args:
        title: what is being made.
        total: images of the whole batch.
        skipped: images that exist already. Like failures, they count as settled but not for the rate.
        shown: True, False, or None for a terminal only. The bar needs rich (`pip install "ganvas[cli]"`). Without rich, or if
            stderr is not a terminal, a line is written every ten seconds.
    """
    is_terminal = sys.stderr.isatty()
    if shown is False or (shown is None and not is_terminal):
        yield lambda _settled, _made, _in_flight: None
    elif is_terminal and find_spec("rich"):
        with _bar(title, total, skipped) as advance:
            yield advance
    else:
        yield _lines(title, total, skipped)


@contextlib.contextmanager
def _bar(title: str, total: int, skipped: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[in_flight]} in flight"),
    )
    started, made = time.monotonic(), 0
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total, completed=skipped, rate="", in_flight=0)

        def advance(newly_settled: int, newly_made: int, in_flight: int) -> None:
            nonlocal made
            made += newly_made
            rate = f"{made / (time.monotonic() - started):.1f}/s"
            bar.update(task, advance=newly_settled, rate=rate, in_flight=in_flight)

        yield advance


def _lines(title: str, total: int, skipped: int) -> Advance:
    started = written = time.monotonic()
    settled = made = 0

    def advance(newly_settled: int, newly_made: int, in_flight: int) -> None:
        nonlocal settled, made, written
        settled, made = settled + newly_settled, made + newly_made
        now, left = time.monotonic(), total - skipped - settled
        if now - written >= LINE_INTERVAL_S or left == 0:
            written, rate, pace = now, made / (now - started), settled / (now - started)
            seconds_left = f"{left / pace:.0f} s left" if pace else "time left unknown"
            sys.stderr.write(f"{title}: {skipped + settled}/{total}, {rate:.1f}/s, {seconds_left}, {in_flight} in flight\n")
            sys.stderr.flush()

    return advance

"""How far a batch is: a bar in a terminal, a line now and then elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec

LINE_EVERY_S = 10.0

Advance = Callable[[int, int, int], None]
"""Called with how many pictures are settled, how many of these were made, and how many requests are under way."""


@contextlib.contextmanager
def progress(title: str, total: int, skipped: int, shown: bool | None) -> Iterator[Advance]:
    """Show how far a batch is, on stderr.

    Args:
        title: what is being made.
        total: pictures of the whole batch.
        skipped: those of them that are there already; like failures they count as settled, but not for the rate.
        shown: True, False, or None for a terminal only. A bar needs rich (`pip install "ganvas[cli]"`); without it, and
            where stderr is no terminal, a line is written every ten seconds.
    """
    is_terminal = sys.stderr.isatty()
    if shown is False or (shown is None and not is_terminal):
        yield lambda _settled, _made, _under_way: None
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
        TextColumn("{task.fields[under_way]} at once"),
    )
    started, made = time.monotonic(), 0
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total, completed=skipped, rate="", under_way=0)

        def advance(settled: int, newly_made: int, under_way: int) -> None:
            nonlocal made
            made += newly_made
            rate = f"{made / (time.monotonic() - started):.1f}/s"
            bar.update(task, advance=settled, rate=rate, under_way=under_way)

        yield advance


def _lines(title: str, total: int, skipped: int) -> Advance:
    started = said = time.monotonic()
    settled = made = 0

    def advance(newly_settled: int, newly_made: int, under_way: int) -> None:
        nonlocal settled, made, said
        settled, made = settled + newly_settled, made + newly_made
        now, left = time.monotonic(), total - skipped - settled
        if now - said >= LINE_EVERY_S or left == 0:
            said, rate, pace = now, made / (now - started), settled / (now - started)
            seconds_left = f"{left / pace:.0f} s left" if pace else "time left unknown"
            sys.stderr.write(f"{title}: {skipped + settled}/{total}, {rate:.1f}/s, {seconds_left}, {under_way} at once\n")
            sys.stderr.flush()

    return advance

"""Shows the progress of long work: a bar on a terminal, otherwise a line every 30 s, for `kubectl logs`, nohup and CI."""

import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

T = TypeVar("T")

_FIRST_LINE_S, _LINE_S = 5.0, 30.0
_WINDOW_S = 60.0  # the estimate of the end uses the speed of this time


class Display:
    """Shows the progress of long work on the standard output. Use it as a context manager.

    Args:
        work: what is done, such as `Training`.
        total: steps of the work.
        completed: steps that were done before.
        unit: name of a step, such as `pair`.
        quiet: show nothing.
    """

    def __init__(self, work: str, total: int, *, completed: int = 0, unit: str = "step", quiet: bool = False) -> None:
        self._work, self._total, self._completed, self._unit, self._quiet = work, total, completed, unit, quiet
        self.console = Console(quiet=quiet, highlight=False)
        self._bar: _Bar | None = None
        if sys.stdout.isatty() and not self.console.is_dumb_terminal and not quiet:
            self._bar = _Bar(work, total, completed, self.console)
        self._values: Mapping[str, str] = {}
        self._history: deque[tuple[float, int]] = deque()
        self._next_line = self._begun = 0.0

    def __enter__(self) -> Self:
        """Start the clock, and show the bar."""
        self._begun = time.monotonic()
        self._next_line = self._begun + _FIRST_LINE_S
        self._history = deque([(self._begun, self._completed)])
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Leave the bar where it is."""
        if self._bar:
            self._bar.stop()

    def show(self, completed: int, values: Mapping[str, str] | None = None) -> None:
        """Show a step.

        Args:
            completed: steps done; fewer than before if the work went back.
            values: name -> text, the most important first; None: those of the last call. The name may be empty.
        """
        now = time.monotonic()
        if completed < self._completed:
            self._history.clear()
        self._completed = completed
        self._values = self._values if values is None else values
        self._history.append((now, completed))
        while len(self._history) > 2 and now - self._history[1][0] > _WINDOW_S:
            self._history.popleft()
        if self._bar:
            self._bar.show(completed, self._left(), self._words())
        elif now >= self._next_line:
            self._next_line = now + _LINE_S
            self.console.print(self._line(now), soft_wrap=True)

    def say(self, message: str) -> None:
        """Print a message, above the bar."""
        self.console.print(message, soft_wrap=True, markup=False)

    def _left(self) -> str:
        """The time that the rest takes at the speed of the last minute, in words; empty if it is not known."""
        (begun, first), (now, last) = self._history[0], self._history[-1]
        if last <= first or last >= self._total:
            return ""
        return f"{duration((self._total - last) * (now - begun) / (last - first))} left"

    def _words(self) -> list[str]:
        return [f"{name} {value}".strip() for name, value in self._values.items()]

    def _line(self, now: float) -> str:
        percent = f"{self._completed / max(self._total, 1):.1%}"
        done = f"{self._work}: {self._unit} {self._completed:,} of {self._total:,} ({percent})"
        elapsed = f"{duration(now - self._begun)} elapsed"
        return ", ".join(word for word in (done, elapsed, self._left(), *self._words()) if word)


def track(items: Sequence[T] | Iterable[T], work: str, total: int | None = None, unit: str = "step") -> Iterator[T]:
    """Yield items and show the progress.

    Args:
        items: what to go through.
        work: as for `Display`.
        total: number of items; None: their length.
        unit: what an item is called.
    """
    if total is None:
        total = len(items) if isinstance(items, Sequence) else 0
    with Display(work, total, unit=unit) as display:
        for done, item in enumerate(items, 1):
            yield item
            display.show(done)


def duration(seconds: float) -> str:
    """A time in words: 40 s, 12 min, 2 h 5 min, 3 d 4 h."""
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"
    return f"{hours // 24} d {hours % 24} h"


class _Bar(Progress):
    """Two lines, as wide as the terminal: the bar, and the measured values."""

    def __init__(self, work: str, total: int, completed: int, console: Console) -> None:
        self._words: list[str] = []
        whole = [Column(no_wrap=True) for _ in range(4)]
        super().__init__(
            TextColumn("{task.description}", table_column=whole[0]), BarColumn(bar_width=None),
            TextColumn("{task.fields[done]}", table_column=whole[1]), TimeElapsedColumn(table_column=whole[2]),
            TextColumn("{task.fields[left]}", table_column=whole[3]), console=console, expand=True,
        )  # fmt: skip
        self._shown: TaskID = self.add_task(work, total=total, completed=completed, done="", left="")
        self.show(completed, "", [])

    def show(self, completed: int, left: str, words: list[str]) -> None:
        """Change what is shown."""
        self._words = words
        self.update(self._shown, completed=completed, done=f"{completed:,}/{self.tasks[0].total:,.0f}", left=left)

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bar, then the values that fit on a line."""
        yield self.make_tasks_table(self.tasks)
        line = ""
        for word in self._words:
            if len(line) + len(word) + 2 > self.console.width:
                break
            line += f"{'  ' if line else ''}{word}"
        yield Text(line, no_wrap=True)

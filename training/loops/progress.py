"""What a training run says of itself while it runs: a progress bar, statistics, and a stop when a loss is no number."""

import math
import time
from types import TracebackType
from typing import Any, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor

from training.errors import RunError
from training.run import Run


class Reporter:
    """A progress bar and a line of stats.jsonl every so many steps; use it as a context manager.

    Args:
        run: where the statistics go.
        steps: of the whole run.
        start: steps done already.
        pictures: pictures a step.
        every: steps between two reports; several intervals may be given, such as that of the checkpoints, so that none is
            written whose losses nobody looked at.
    """

    def __init__(self, run: Run[Any], *, steps: int, start: int, pictures: int, every: tuple[int, ...]) -> None:
        self._run, self._steps, self._pictures, self._every = run, steps, pictures, every
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[news]}"),
            TimeElapsedColumn(), TimeRemainingColumn(),
        )  # fmt: skip
        self._task = self._bar.add_task("Training", total=steps, completed=start, news="")
        self._reported, self._since = start, time.monotonic()

    def __enter__(self) -> Self:
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Leave the bar as it is."""
        self._bar.stop()

    def done(self, step: int, **losses: Tensor) -> None:
        """Say that a step is done.

        Args:
            step: how many are done now.
            losses: by name, scalars; read only when a report is due, since reading waits for the device.

        Raises:
            RunError: a loss is not finite. The last checkpoint is untouched.
        """
        self._bar.update(self._task, completed=step)
        if step != self._steps and all(step % every for every in self._every):
            return
        values = {name: loss.item() for name, loss in losses.items()}
        if bad := [name for name, value in values.items() if not math.isfinite(value)]:
            raise RunError(
                f"{' and '.join(bad)} became NaN or infinite at step {step}. A checkpoint before it is whole; train "
                f"anew with a lower rate (--set learning_rate=...). See {self._run.folder / 'stats.jsonl'}."
            )
        rate = (step - self._reported) * self._pictures / (time.monotonic() - self._since)
        self._reported, self._since = step, time.monotonic()
        self._run.log(step, **values, pictures_per_second=rate)
        shown = " ".join(f"{name} {value:.3g}" for name, value in values.items())
        self._bar.update(self._task, news=f"{rate:.3g} pictures/s {shown}")

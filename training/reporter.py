"""What a training run says of itself while it runs: a progress bar, statistics, TensorBoard, and a word when a loss is none."""

import math
import time
from types import TracebackType
from typing import Any, Self

import numpy as np
from PIL import Image
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from training.errors import NotFiniteError
from training.run import Run


class Reporter:
    """A progress bar, and a line of stats.jsonl every so many steps, mirrored to TensorBoard; use it as a context manager.

    Args:
        run: where the statistics go.
        steps: of the whole run.
        start: steps done already.
        pictures: pictures a step.
        every: steps between two reports; several intervals may be given, such as that of the checkpoints, so that none is
            written whose losses nobody looked at.
        quiet: show and write nothing, but look at the losses all the same: the further processes of a run.
    """

    def __init__(
        self, run: Run[Any], *, steps: int, start: int, pictures: int, every: tuple[int, ...], quiet: bool = False
    ) -> None:
        self._run, self._steps, self._pictures = run, steps, pictures
        self._every = tuple(interval for interval in every if interval)
        self._quiet = quiet
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[news]}"),
            TimeElapsedColumn(), TimeRemainingColumn(), disable=quiet,
        )  # fmt: skip
        self._task = self._bar.add_task("Training", total=steps, completed=start, news="")
        self._board: SummaryWriter | None = None
        self._reported, self._since = start, time.monotonic()

    def __enter__(self) -> Self:
        """Show the bar."""
        self._bar.start()
        if not self._quiet:
            self._board = SummaryWriter(self._run.folder / "tensorboard", purge_step=self._reported + 1)
        self._since = time.monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Leave the bar as it is."""
        self._bar.stop()
        if self._board:
            self._board.close()

    def due(self, step: int) -> bool:
        """Whether a report is due when this step is done."""
        return step == self._steps or any(step % every == 0 for every in self._every)

    def done(self, step: int, **losses: Tensor) -> None:
        """Say that a step is done.

        Args:
            step: how many are done now.
            losses: by name, scalars; read only when a report is due, since reading waits for the device.

        Raises:
            NotFiniteError: a loss is not finite. The last checkpoint is untouched.
        """
        self._bar.update(self._task, completed=step)
        if not self.due(step):
            return
        values = {name: loss.item() for name, loss in losses.items()}
        if bad := [name for name, value in values.items() if not math.isfinite(value)]:
            raise NotFiniteError(
                f"{' and '.join(bad)} became NaN or infinite at step {step}. A checkpoint before it is whole; train "
                f"anew with a lower rate (--set learning_rate=...). See {self._run.folder / 'stats.jsonl'}."
            )
        rate = (step - self._reported) * self._pictures / (time.monotonic() - self._since)
        self._reported, self._since = step, time.monotonic()
        self.log(step, **values, pictures_per_second=rate)
        shown = " ".join(f"{name} {value:.3g}" for name, value in values.items())
        self._bar.update(self._task, news=f"{rate:.3g} pictures/s {shown}")

    def log(self, step: int, **stats: float) -> None:
        """Write numbers to stats.jsonl and TensorBoard."""
        if self._quiet:
            return
        self._run.log(step, images=step * self._pictures, **stats)
        for name, value in stats.items():
            self._scalar(name, value, step)

    def event(self, step: int, words: str) -> None:
        """Say something in words: above the bar, in stats.jsonl and in TensorBoard."""
        if self._quiet:
            return
        self._run.log(step, images=step * self._pictures, event=words)
        self._bar.console.print(f"[yellow]At {step * self._pictures:,} images: [/]{words}", highlight=False, soft_wrap=True)
        if self._board:
            self._board.add_text("event", words, step)

    def picture(self, step: int, picture: Image.Image) -> None:
        """Keep a sample picture, in samples/ and in TensorBoard."""
        if self._quiet:
            return
        self._run.save_sample(step, picture)
        if self._board:
            self._board.add_image("samples", np.asarray(picture.convert("RGB")), step, dataformats="HWC")

    def busy(self, news: str) -> None:
        """Show what takes a while beside training; its time does not count as training."""
        self._bar.update(self._task, news=news)

    def back_to(self, step: int) -> None:
        """Go on from an earlier step: the statistics after it were forgotten."""
        self._bar.update(self._task, completed=step)
        self.resume_clock(step)

    def resume_clock(self, step: int) -> None:
        """Measure pictures/s from here on."""
        self._reported, self._since = step, time.monotonic()

    def _scalar(self, name: str, value: float, step: int) -> None:
        if self._board:
            self._board.add_scalar(name, value, step)

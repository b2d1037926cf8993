"""Reports on a run while it trains: progress bar, statistics, TensorBoard, and a check that every loss is finite."""

import math
import time
from types import TracebackType
from typing import Any, Self

import numpy as np
from PIL import Image
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from ganvas.signals import raise_if_terminated
from training.errors import NotFiniteError
from training.run import Run


class Reporter:
    """Shows a progress bar and writes statistics to stats.jsonl and TensorBoard. Use it as a context manager.

    Args:
        run: the run whose folder takes the statistics.
        steps: steps of the whole run.
        start: steps that were done before this process.
        images_per_step: training images in one step.
        intervals: steps between two reports. If there are several intervals, a report is due at each of them. Include the
            interval of checkpoints: then the losses are checked before each checkpoint is written.
        status: names of the scalars to show beside the bar; None: all.
        quiet: show and write nothing, but check the losses. Set it in all processes of a run except the first.
    """

    def __init__(
        self,
        run: Run[Any],
        *,
        steps: int,
        start: int,
        images_per_step: int,
        intervals: tuple[int, ...],
        status: tuple[str, ...] | None = None,
        quiet: bool = False,
    ) -> None:
        self._run, self._steps, self._images_per_step = run, steps, images_per_step
        self._intervals = tuple(interval for interval in intervals if interval)
        self._status, self._quiet = status, quiet
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[status]}"),
            TimeElapsedColumn(), TimeRemainingColumn(), disable=quiet,
        )  # fmt: skip
        self._task = self._bar.add_task("Training", total=steps, completed=start, status="")
        self._board: SummaryWriter | None = None
        self._reported, self._since = start, time.monotonic()

    def __enter__(self) -> Self:
        """Show the bar and open TensorBoard's log."""
        self._bar.start()
        if not self._quiet:
            self._board = SummaryWriter(self._run.folder / "tensorboard", purge_step=self._reported + 1)
        self._since = time.monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop the bar where it is and close TensorBoard's log."""
        self._bar.stop()
        if self._board:
            self._board.close()

    def due(self, step: int) -> bool:
        """Whether a report is due after this step."""
        return step == self._steps or any(step % interval == 0 for interval in self._intervals)

    def step_done(self, step: int, **scalars: Tensor | float) -> None:
        """Advance the bar and, if a report is due, check and report the scalars of the step.

        Args:
            step: steps done so far.
            scalars: by name. Tensors are read only if a report is due, because reading waits for the device.

        Raises:
            NotFiniteError: a scalar is not finite. The last checkpoint is untouched.
            Terminated: SIGTERM has come, and its exception was swallowed.
        """
        raise_if_terminated()
        self._bar.update(self._task, completed=step)
        if not self.due(step):
            return
        values = {name: scalar.item() if isinstance(scalar, Tensor) else scalar for name, scalar in scalars.items()}
        if bad := [name for name, value in values.items() if not math.isfinite(value)]:
            raise NotFiniteError(
                f"{' and '.join(bad)} became NaN or infinite at step {step}. The last checkpoint is intact. Start a new run "
                f"with a lower learning rate. See {self._run.folder / 'stats.jsonl'}."
            )
        rate = (step - self._reported) * self._images_per_step / (time.monotonic() - self._since)
        self.restart_timer(step)
        self.log(step, **values, images_per_second=rate)
        shown = " ".join(f"{name} {value:.3g}" for name, value in values.items() if not self._status or name in self._status)
        self.show_status(f"{rate:.3g} images/s {shown}")

    def log(self, step: int, **stats: float) -> None:
        """Write numbers to stats.jsonl and TensorBoard."""
        if self._quiet:
            return
        self._run.log(step, images=step * self._images_per_step, **stats)
        if self._board:
            for name, value in stats.items():
                self._board.add_scalar(name, value, step)

    def log_event(self, step: int, message: str) -> None:
        """Write a message above the bar, to stats.jsonl and to TensorBoard."""
        if self._quiet:
            return
        images = step * self._images_per_step
        self._run.log(step, images=images, event=message)
        self._bar.console.print(f"[yellow]At {images:,} images: [/]{message}", highlight=False, soft_wrap=True)
        if self._board:
            self._board.add_text("event", message, step)

    def save_sample(self, step: int, image: Image.Image) -> None:
        """Write a sample image to samples/ and TensorBoard."""
        if self._quiet:
            return
        self._run.save_sample(step, image)
        if self._board:
            self._board.add_image("samples", np.asarray(image.convert("RGB")), step, dataformats="HWC")

    def show_status(self, status: str) -> None:
        """Show a few words beside the bar."""
        self._bar.update(self._task, status=status)

    def rewind(self, step: int) -> None:
        """Continue from an earlier step. `Run.restore` has deleted the statistics after it."""
        self._bar.update(self._task, completed=step)
        self.restart_timer(step)

    def restart_timer(self, step: int) -> None:
        """Measure images/s from this step on. Call it after work that is not training."""
        self._reported, self._since = step, time.monotonic()

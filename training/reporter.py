"""Reports on a run while it trains: progress, statistics, TensorBoard, and a check that every loss is finite."""

import contextlib
import math
import os
import time
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from ganvas.cpus import available_cpus
from ganvas.files import naming
from training.console import Display
from training.errors import NotFiniteError
from training.run import Run
from training.text import count_of

_BOARD = "tensorboard"
_COLLAPSED, _COLLAPSED_S = 0.2, 20.0


class Reporter:
    """Shows the progress and writes statistics to stats.jsonl and TensorBoard. Use it as a context manager.

    Args:
        run: the run whose folder takes the statistics.
        steps: steps of the whole run.
        start: steps that were done before this process.
        images_per_step: training images in one step.
        device: where the run trains.
        status: names of the scalars to show with the progress; None: all.
        quiet: show and write nothing, but check the losses. Set it in all processes of a run except the first.
    """

    def __init__(
        self,
        run: Run[Any],
        *,
        steps: int,
        start: int,
        images_per_step: int,
        device: torch.device,
        status: tuple[str, ...] | None = None,
        quiet: bool = False,
    ) -> None:
        self._run, self._images_per_step = run, images_per_step
        self._status, self._quiet = status, quiet
        self._display = Display("Training", steps, completed=start, quiet=quiet)
        self._board: SummaryWriter | None = None
        self._reported, self._since = start, time.monotonic()
        self._rates = RateWatch() if device.type == "cpu" and not quiet else None

    def __enter__(self) -> Self:
        """Show the progress and open TensorBoard's log."""
        self._display.__enter__()
        if self._rates and (warning := busy_warning(os.getloadavg()[0], available_cpus(), torch.get_num_threads())):
            self._display.say(warning)
        if not self._quiet:
            self._board = SummaryWriter(self._run.folder / _BOARD, purge_step=self._reported + 1)
        self._since = time.monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Leave the progress where it is and close TensorBoard's log."""
        self._display.__exit__(kind, error, trace)
        if self._board:
            with contextlib.suppress(OSError) if error else naming(self._run.folder / _BOARD):
                self._board.close()

    def step_done(self, step: int) -> None:
        """Show that a step is done."""
        self._display.show(step)

    def report(self, step: int, **scalars: Tensor | float) -> None:
        """Check and report the scalars of a step. Reading tensors waits for the device, so not every step is reported.

        Raises:
            NotFiniteError: a scalar is not finite. The last checkpoint is untouched.
        """
        values = {name: scalar.item() if isinstance(scalar, Tensor) else scalar for name, scalar in scalars.items()}
        if bad := [name for name, value in values.items() if not math.isfinite(value)]:
            raise NotFiniteError(
                f"{' and '.join(bad)} became NaN or infinite at step {step}. The last checkpoint is intact. Start a new run "
                f"with a lower learning rate. See {self._run.folder / 'stats.jsonl'}."
            )
        seconds = time.monotonic() - self._since
        rate = (step - self._reported) * self._images_per_step / seconds
        self.restart_timer(step)
        self.log(step, **values, images_per_second=rate)
        shown = {name: f"{value:.3g}" for name, value in values.items() if not self._status or name in self._status}
        self._display.show(step, {"": f"{rate:,.3g} images/s", **shown})
        if self._rates and (warning := self._rates.judge(rate, seconds)):
            self._display.say(warning)

    def log(self, step: int, **stats: float) -> None:
        """Write numbers to stats.jsonl and TensorBoard."""
        if self._quiet:
            return
        self._run.log(step, images=step * self._images_per_step, **stats)
        if self._board:
            with naming(self._run.folder / _BOARD):
                for name, value in stats.items():
                    self._board.add_scalar(name, value, step)

    def log_event(self, step: int, message: str) -> None:
        """Show a message, and write it to stats.jsonl and TensorBoard."""
        if self._quiet:
            return
        images = step * self._images_per_step
        self._run.log(step, images=images, event=message)
        self._display.say(f"At {images:,} images: {message}")
        if self._board:
            with naming(self._run.folder / _BOARD):
                self._board.add_text("event", message, step)

    def save_sample(self, step: int, image: Image.Image) -> None:
        """Write a sample image to samples/ and TensorBoard."""
        if self._quiet:
            return
        self._run.save_sample(step, image)
        if self._board:
            with naming(self._run.folder / _BOARD):
                self._board.add_image("samples", np.asarray(image.convert("RGB")), step, dataformats="HWC")

    def show_work(self, step: int, work: str) -> None:
        """Show what the run does between two steps, such as `evaluating`."""
        self._display.show(step, {"": work})

    def rewind(self, step: int) -> None:
        """Continue from an earlier step. `Run.restore` has deleted the statistics after it."""
        self._display.show(step)
        self.restart_timer(step)

    def restart_timer(self, step: int) -> None:
        """Measure images/s from this step on. Call it after work that is not training."""
        self._reported, self._since = step, time.monotonic()

    def expect_other_rate(self) -> None:
        """Forget the best rate: from now on, a step does more or less work than before."""
        if self._rates:
            self._rates = RateWatch()


def busy_warning(load: float, cpus: int, threads: int) -> str | None:
    """What to say at the start of a run if other programs use the CPU, or None.

    Args:
        load: of the machine in the last minute. This program has added up to 1.
        cpus: that this process may use.
        threads: that the run uses.
    """
    if load < cpus + 1:
        return None
    advice = "Stop them, or stop this run with Ctrl-C and resume with --threads 1." if threads > 1 else "The run takes longer."
    return f"Other programs use the CPU (load {load:.0f} on {count_of(cpus, 'CPU')}). {advice}"


class RateWatch:
    """Notices that a run on a CPU has become far slower than it was."""

    def __init__(self) -> None:
        self._best = self._slow_s = 0.0
        self._told = False

    def judge(self, rate: float, seconds: float) -> str | None:
        """Note the rate of the last `seconds`, in images/s. Returns a warning when the rate has been low for 20 s, once."""
        self._best = max(self._best, rate)
        self._slow_s = self._slow_s + seconds if rate < _COLLAPSED * self._best else 0.0
        if self._told or self._slow_s < _COLLAPSED_S:
            return None
        self._told = True
        advice = "Stop with Ctrl-C and resume with --threads 1." if torch.get_num_threads() > 1 else "The run takes longer."
        return f"The speed fell from {self._best:,.3g} to {rate:,.3g} images/s. Other programs use the CPU. {advice}"

"""When a run reports, shows samples and saves checkpoints: after a number of steps, or by the clock.

By the clock, a run shows something within its first minute, however slow its steps are. Nothing that follows the clock changes
the weights. What steers a training, such as evaluations, follows its steps, so the same seed gives the same weights.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import torch
from lightning_fabric import Fabric

from ganvas.signals import StopRequest

Every = int | Literal["auto"]
"""Steps between two events; auto: by the clock."""

Clock = Callable[[], float]

_SHARE = 0.05  # of the time, at most, is spent on what follows the clock


class Interval:
    """Says after which steps something is due.

    By the clock, it is first due after `first_s`. Each time, the interval doubles, up to `longest_s`. It is longer still if the
    work itself takes long.

    Args:
        every: steps, or auto.
        first_s: seconds.
        longest_s: seconds.
        clock: seconds that never go back.
    """

    def __init__(self, every: Every, *, first_s: float, longest_s: float, clock: Clock = time.monotonic) -> None:
        self.every, self._longest, self._clock = every, longest_s, clock
        self._gap = first_s
        self._at = clock() + first_s

    def due(self, step: int, *, look: bool = True) -> bool:
        """Whether it is due after this step. Without a look at the clock, nothing that follows the clock is due."""
        return look and self._clock() >= self._at if self.every == "auto" else step % self.every == 0

    @contextmanager
    def work(self) -> Iterator[None]:
        """A context for the work that was due. Sets the next time."""
        begun = self._clock()
        yield
        self._gap = min(2 * self._gap, self._longest)
        now = self._clock()
        self._at = now + max(self._gap, (now - begun) / _SHARE)


@dataclass(frozen=True)
class Due:
    """What is due after a step.

    Attributes:
        report: the scalars of the step. Before a checkpoint they are always checked.
        sample: a sheet of samples.
        checkpoint: the last checkpoint.
        stop: the exit code, if the run shall stop.
    """

    report: bool = False
    sample: bool = False
    checkpoint: bool = False
    stop: int | None = None


class Pace:
    """Says what is due after each step of a run, the same in all of its processes.

    Args:
        steps: of the run.
        report_every: steps between two reports; slow steps are reported every 10 s.
        sample_every: steps, or auto: after 20 s, 1 min, 2.3 min, ... and every 10 min.
        checkpoint_every: steps, or auto: after 30 s, 1.5 min, and every 2 min. A killed run loses no more than that.
        stop: the request that ends the run.
        fabric: of the run, if it can have several processes. They look at the clock, and for a stop in any of them, about once
            a second.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        steps: int,
        report_every: int,
        sample_every: Every,
        checkpoint_every: Every,
        stop: StopRequest,
        fabric: Fabric | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._steps, self._report_every, self._stop, self._clock = steps, report_every, stop, clock
        self._fabric = fabric if fabric and fabric.world_size > 1 else None
        self.reports = Interval("auto", first_s=5, longest_s=10, clock=clock)
        self.samples = Interval(sample_every, first_s=20, longest_s=600, clock=clock)
        self.checkpoints = Interval(checkpoint_every, first_s=30, longest_s=120, clock=clock)
        self._next_look: int | None = None
        self._looked = 0, clock()

    def due(self, step: int) -> Due:
        """What is due after a step."""
        look = self._fabric is None or self._next_look is None or step >= self._next_look
        last = step == self._steps
        due = Due(
            report=step % self._report_every == 0 or self.reports.due(step, look=look),
            sample=last or self.samples.due(step, look=look),
            checkpoint=last or self.checkpoints.due(step, look=look),
            stop=self._stop.exit_code if look else None,
        )
        if self._fabric is not None and look:
            due = self._agree(self._fabric, step, due)
        due = replace(due, checkpoint=due.checkpoint or due.stop is not None)
        due = replace(due, report=due.report or due.checkpoint)
        if due.report:
            with self.reports.work():
                pass
        return due

    def _agree(self, fabric: Fabric, step: int, due: Due) -> Due:
        """Agree on what is due: the first process decides, and any process can stop the run. Waits for all processes."""
        stop = fabric.all_reduce(torch.tensor(float(due.stop or 0), device=fabric.device), reduce_op="max")
        assert isinstance(stop, torch.Tensor)  # noqa: S101  Fabric's type also allows collections
        before, begun = self._looked
        self._looked = step, self._clock()
        a_second = max(1, round((step - before) / max(self._clock() - begun, 1e-9)))
        due, self._next_look = fabric.broadcast((due, step + a_second))
        return replace(due, stop=int(stop.item()) or None)

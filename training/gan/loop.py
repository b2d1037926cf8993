"""Trains a GAN: the generator and the discriminator against each other, watched for collapse.

    python -m training gan --data FOLDER_OR_ZIP --out runs/NAME

Goodfellow et al. 2014; Radford et al. 2016. The generator that is sampled and exported is an exponential moving average of
the one that is trained (EMA), whose pictures are steadier. All that is random in a step is drawn from (seed, step): a
resumed run goes on as if it had never stopped.
"""

from contextlib import nullcontext
from dataclasses import asdict
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from PIL import Image
from torch import Tensor, nn

from training.data.split import split
from training.errors import NotFiniteError, RunError
from training.gan.config import GanConfig
from training.gan.evaluator import Evaluator
from training.gan.plan import GanPlan
from training.gan.report.page import NEIGHBOURS, WALK, write_report
from training.gan.report.walk import latent_walk, write_walk
from training.gan.setup import draw_latents
from training.gan.trainer import Adversaries, Losses, mean_over_processes
from training.gan.watch import CollapseWatch, Verdict
from training.images import grid, to_uint8
from training.metrics.features import FeatureNetwork
from training.reporter import Reporter
from training.run import BEST, LAST, Run
from training.vgg import VggFeatures

OnCollapse = Literal["warn", "stop", "rollback"]

_SAMPLES = 3  # stream of random numbers
_REPORT_EVERY = 20  # steps
_MOST_SETBACKS = 3
_DAMPING = 0.5  # of the learning rates, when a run goes back to an earlier checkpoint


def train_gan(
    run: Run[GanPlan],
    squares: Tensor,
    fabric: Fabric,
    network: FeatureNetwork | None = None,
    on_collapse: OnCollapse = "warn",
    vgg: VggFeatures | None = None,
    labels: Tensor | None = None,
) -> None:
    """Train until the config's images have been seen, from the run's last checkpoint where there is one.

    Args:
        run: where it is kept.
        squares: uint8 [N, c, size, size], the real pictures.
        fabric: launched; carries device, precision and processes.
        network: what the metrics are measured in; None: nothing is measured, nothing watched.
        on_collapse: what to do when the watch says that the run has collapsed.
        vgg: with the layers that the config's second discriminator judges, where there are any.
        labels: int64 [N], the pictures' classes, where the config has any.

    Raises:
        RunError: the run diverged too often, collapsed and was to stop, its checkpoint cannot be read, or another process
            is training it.
    """
    with run.held() if fabric.is_global_zero else nullcontext():
        _Training(run, squares, fabric, network, on_collapse, vgg, labels).train()


class _Training:
    def __init__(
        self,
        run: Run[GanPlan],
        squares: Tensor,
        fabric: Fabric,
        network: FeatureNetwork | None,
        on_collapse: OnCollapse,
        vgg: VggFeatures | None,
        labels: Tensor | None,
    ) -> None:
        self.run, self.fabric, self.on_collapse = run, fabric, on_collapse
        self.config = config = run.plan.config
        learned, real = split(len(squares), config.evaluation.samples, config.seed)
        self.learned = squares[learned]
        self.adversaries = Adversaries(config, fabric, self.learned, vgg, None if labels is None else labels[learned])
        self.evaluator = (
            Evaluator(config, squares[real], network, fabric.device)
            if network and config.evaluation.every and fabric.is_global_zero
            else None
        )
        self.watch = CollapseWatch()
        self.course = _Course(self.adversaries)
        self.parts = {**self.adversaries.parts, "watch": self.watch, "course": self.course}
        self.start = self._restore(LAST)
        self.reporter = Reporter(
            run, steps=config.steps, start=self.start, images_per_step=config.images_per_step, quiet=not fabric.is_global_zero,
            intervals=(_REPORT_EVERY, config.checkpoint_every, config.evaluation.every),
        )  # fmt: skip

    def train(self) -> None:
        step = self.start
        with self.reporter:
            if step == 0:
                self._save(0, LAST)  # so that there is always one to go back to
            while step < self.config.steps:
                step += 1
                try:
                    self._step(step)
                except NotFiniteError as error:
                    step = self._go_back(step, LAST, str(error).split(". ")[0] + ".")
                except _CollapsedError as collapsed:
                    step = self._go_back(step, BEST, str(collapsed))
            if self.fabric.is_global_zero:
                self.reporter.show_status("writing the report")
                if self.evaluator is not None:
                    self.evaluator.write_neighbours(self.run.folder / NEIGHBOURS, self.generator, self.learned)
                self._show()

    def _step(self, step: int) -> None:
        config = self.config
        losses = self.adversaries.step(step)
        self.course.count(losses)
        if self.fabric.world_size > 1 and self.reporter.due(step):
            losses = {name: mean_over_processes(self.fabric, loss) for name, loss in losses.items()}
        self.reporter.step_done(step, **losses)
        if self._due(step, config.sample_every):
            self.reporter.save_sample(step, sample_grid(self.generator, config, self.fabric.device))
        verdict = self._evaluate(step) if self._due(step, config.evaluation.every) else Verdict()
        if self._due(step, config.checkpoint_every) or (verdict.collapsed and self.on_collapse == "stop"):
            self._save(step, LAST)
        if verdict.collapsed:
            self._act(verdict)

    @property
    def generator(self) -> nn.Module:
        """The one that is sampled and exported."""
        return self.adversaries.average.module

    def _evaluate(self, step: int) -> Verdict:
        """Measure, judge and report on the first process; the others learn what came of it."""
        accuracy = self.course.accuracy(self.fabric)
        verdict = Verdict()
        best = False
        if self.evaluator is not None:
            self.reporter.show_status("evaluating")
            fidelity = self.evaluator.measure(self.generator)
            verdict = self.watch.judge(step, step * self.config.images_per_step, fidelity, accuracy)
            self.reporter.log(step, **asdict(fidelity))
            best = self.watch.best is not None and self.watch.best[0] == step
            if verdict.words:
                self.reporter.log_event(step, " ".join(verdict.words))
        verdict, best = self.fabric.broadcast((verdict, best))
        if best:
            self._save(step, BEST)
        if self.evaluator is not None and step < self.config.steps:  # at the end everything is shown at once
            self._show()
        self.reporter.restart_timer(step)
        return verdict

    def _act(self, verdict: Verdict) -> None:
        if self.on_collapse == "stop":
            raise RunError(
                f"Stopped, as --on-collapse says. {' '.join(verdict.words)} The best checkpoint so far is kept: export "
                f"{self.run.folder}, or go on with --resume."
            )
        if self.on_collapse == "rollback":
            raise _CollapsedError("The run has collapsed.")

    def _go_back(self, step: int, name: str, why: str) -> int:
        """Put an earlier checkpoint in place, with lower rates; the step it was made at."""
        setbacks = self.course.setbacks + 1
        if setbacks > _MOST_SETBACKS:
            raise RunError(
                f"{why} The run has gone back {_MOST_SETBACKS} times, each time with lower rates, to no avail. Begin anew with "
                "a lower learning_rate, a larger r1 and r2, or more pictures."
            )
        damping = self.adversaries.damping * _DAMPING
        back = self._restore(name)
        self.course.setbacks, self.adversaries.damping = setbacks, damping
        self._save(back, LAST)  # so that a run killed from here on resumes with the lower rates
        self.reporter.rewind(back)
        images = back * self.config.images_per_step
        self.reporter.log_event(back, f"{why} Back to the checkpoint of {images:,} images, with rates times {damping:g}.")
        return back

    def _restore(self, name: str) -> int:
        """Put a checkpoint in place in every process; none goes on before all have read it."""
        step = self.run.restore(self.parts, name)
        self.fabric.barrier()
        return step

    def _save(self, step: int, name: str) -> None:
        """Write a checkpoint on the first process; the others wait, and fail where it fails."""
        error: NotFiniteError | None = None
        if self.fabric.is_global_zero:
            try:
                self.run.save_checkpoint(step, self.parts, name)
            except NotFiniteError as found:
                error = found
        if error := self.fabric.broadcast(error):
            raise error

    def _show(self) -> None:
        """The walk through latent space, and the report."""
        folder, config = self.run.folder, self.config
        write_walk(folder / WALK, latent_walk(self.generator, config.latent_size, config.seed, self.fabric.device))
        write_report(folder, self.run.plan)

    def _due(self, step: int, every: int) -> bool:
        return bool(every) and (step % every == 0 or step == self.config.steps)


class _CollapsedError(Exception):
    """The watch says that the run has collapsed, and it is to go back."""


class _Course:
    """What a run remembers beside its networks: setbacks, and how often the discriminator was right."""

    def __init__(self, adversaries: Adversaries) -> None:
        self.setbacks = 0
        self._adversaries = adversaries
        self._right: Tensor | float = 0.0
        self._steps = 0

    def count(self, losses: Losses) -> None:
        self._right = self._right + losses["d_accuracy"]
        self._steps += 1

    def accuracy(self, fabric: Fabric) -> float:
        """The mean since it was last asked for, over all processes."""
        mean = torch.as_tensor(self._right, device=fabric.device) / max(self._steps, 1)
        self._right, self._steps = 0.0, 0
        return float(mean_over_processes(fabric, mean))

    def state_dict(self) -> dict[str, Any]:
        return {
            "setbacks": self.setbacks,
            "damping": self._adversaries.damping,
            "right": float(self._right),
            "steps": self._steps,
        }

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        self.setbacks, self._adversaries.damping = state_dict["setbacks"], state_dict["damping"]
        self._right, self._steps = state_dict["right"], state_dict["steps"]


@torch.no_grad()
def sample_grid(generator: nn.Module, config: GanConfig, device: torch.device) -> Image.Image:
    """A grid of 64 pictures from the same latents every time, so that a run's samples can be compared."""
    training = generator.training
    generator.eval()
    latents = draw_latents(config, (0, _SAMPLES), 64).to(device)
    pictures = to_uint8(generator(latents))
    generator.train(training)
    return grid(pictures.cpu().numpy(), columns=8)

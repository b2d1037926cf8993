"""Trains a GAN and watches it for collapse.

    python -m training gan --data FOLDER_OR_ZIP --out runs/NAME

Goodfellow et al. 2014; Radford et al. 2016. The generator that is sampled and exported is an exponential moving average (EMA)
of the trained one: its images are steadier. All random numbers of a step are a function of (seed, step), so a resumed run
continues as if it had never stopped.
"""

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import asdict

import torch
from lightning_fabric import Fabric
from PIL import Image
from torch import Tensor, nn

from ganvas.signals import StopRequest
from training.config import OnCollapse
from training.data.image_set import Chosen, Images
from training.data.split import others, split
from training.errors import NotFiniteError, RunError, Stopped
from training.gan.config import GanConfig
from training.gan.evaluator import Evaluator
from training.gan.images import images_of
from training.gan.origin import load_weights
from training.gan.plan import GanPlan
from training.gan.report.page import NEIGHBOURS, WALK, write_report
from training.gan.report.reference import read_reference
from training.gan.report.walk import latent_walk, write_walk
from training.gan.run_state import RunState
from training.gan.trainer import GanTrainer, Scalars, mean_over_processes
from training.gan.watch import CollapseWatch, Verdict
from training.images import grid
from training.metrics.features import FeatureNetwork
from training.metrics.fidelity import Fidelity
from training.pace import Due, Interval, Pace
from training.random import Stream, draw_latents
from training.reporter import Reporter
from training.run import BEST, FALLBACK, LAST, Run
from training.threads import use_threads
from training.vgg import VggFeatures

_REPORT_EVERY = 20  # steps
_FALLBACK_EVERY = 500  # steps, if checkpoints follow the clock
_MAX_ROLLBACKS = 3
_ROLLBACK_LR_SCALE = 0.5  # of the learning rates, at each rollback
_LARGE = 256  # pixels; 64 larger images make a grid of 4096 pixels a side
_STATUS = ("d_loss", "g_loss", "d_accuracy", "feature_accuracy")  # shown with the progress


def train_gan(
    run: Run[GanPlan],
    images: Images,
    fabric: Fabric,
    network: FeatureNetwork | None = None,
    on_collapse: OnCollapse = "warn",
    vgg: VggFeatures | None = None,
    classes: Tensor | None = None,
    threads: int | None = None,
    begin: Run[GanPlan] | None = None,
) -> None:
    """Train until the discriminator has seen the config's images, from the run's last checkpoint if it has one.

    Args:
        run: keeps the results.
        images: the real images.
        fabric: launched; carries device, precision and processes.
        network: network that the metrics are measured in; None: no evaluations, and no watch.
        on_collapse: what to do if the watch finds that the run has collapsed.
        vgg: with the layers of the config's [features], if it has any.
        classes: int64 [N], the classes of the images, if the config has classes.
        threads: of the CPU; None: those that the run recorded, or the fastest number.
        begin: run whose weights a new run begins with; see `training.gan.origin`.

    Raises:
        RunError: the run diverged too often, collapsed and should stop, has an unreadable checkpoint, or is trained by another
            process.
        Stopped: the user or the system stopped the run. A checkpoint holds all of its steps.
    """
    with run.held() if fabric.is_global_zero else nullcontext(), StopRequest() as stop:
        _Training(run, images, fabric, network, on_collapse, vgg, classes, stop, begin).train(threads)


class _Training:
    def __init__(
        self,
        run: Run[GanPlan],
        images: Images,
        fabric: Fabric,
        network: FeatureNetwork | None,
        on_collapse: OnCollapse,
        vgg: VggFeatures | None,
        classes: Tensor | None,
        stop: StopRequest,
        begin: Run[GanPlan] | None,
    ) -> None:
        self.run, self.fabric, self.on_collapse, self.stop = run, fabric, on_collapse, stop
        self.config = config = run.plan.config
        learned, held_out = split(len(images), config.evaluation.samples, config.seed)
        self.learned = Chosen(images, learned)
        self.others = Chosen(images, others(learned, held_out))
        self.trainer = GanTrainer(
            config, fabric, self.learned, vgg, None if classes is None else classes[learned], grown=run.plan.origin is not None
        )  # fmt: skip
        if begin is not None:
            load_weights(self.trainer, begin)
        self.evaluation_every = config.evaluation.every if network else 0
        self.evaluator = (
            Evaluator(config, Chosen(images, held_out), network, fabric.device)
            if network and config.evaluation.every and fabric.is_global_zero
            else None
        )
        self.watch = CollapseWatch()
        self.state = RunState(self.trainer)
        self.parts = {**self.trainer.parts, "watch": self.watch, "run_state": self.state}
        self.start = self._restore(LAST)
        self.reports = Interval("auto", first_s=0, longest_s=0)  # short evaluations would spend most of the time on reports
        self.pace = Pace(config.steps, _REPORT_EVERY, config.sample_every, config.checkpoint_every, stop, fabric)
        self.fallback_every = _FALLBACK_EVERY if config.checkpoint_every == "auto" else config.checkpoint_every
        self.reporter = Reporter(
            run, steps=config.steps, start=self.start, images_per_step=config.images_per_step, device=fabric.device,
            status=_STATUS, quiet=not fabric.is_global_zero,
        )  # fmt: skip

    def train(self, threads: int | None) -> None:
        step = self.start
        with self.reporter:
            if step == 0:
                self._save(0, LAST)  # so there is always a checkpoint to go back to
            if self.run.load_checkpoint(FALLBACK) is None:
                self._save(step, FALLBACK)
            self._set_threads(threads)
            if step == 0 and self.config.sample_every == "auto":
                self._show(0)  # slow steps would show nothing for a while
            pending = self._evaluates(step) and self.watch.last_step != step  # the run was stopped before this evaluation
            while step < self.config.steps or pending:
                try:
                    due = Due()
                    if not pending:
                        step += 1
                        due = self._learn(step)
                    pending = False
                    self._after(step, due)
                except NotFiniteError as error:
                    step = self._roll_back(step, FALLBACK, str(error).split(". ")[0] + ".")
                except _CollapsedError as collapsed:
                    step = self._roll_back(step, BEST, str(collapsed))
            if self.fabric.is_global_zero:
                self.reporter.show_work(step, "writing the report")
                if self.evaluator is not None:
                    self.evaluator.write_neighbours(self.run.folder / NEIGHBOURS, self.generator, self.learned)
                self._write_report()

    def _set_threads(self, asked: int | None) -> None:
        """Choose the number of threads. A new run tries its next step, and forgets it."""
        plan, step = self.run.plan, self.start
        tries = self.fabric.world_size == 1 and plan.threads is None and step < self.config.steps
        threads = use_threads(self.fabric.device, asked, plan.threads, (lambda: self.trainer.step(step + 1)) if tries else None)
        if tries:
            self._restore(LAST)
        if self.fabric.is_global_zero:
            self.run.record_threads(threads)
        self.reporter.restart_timer(step)

    def _learn(self, step: int) -> Due:
        """Make a step. Returns what is due after it."""
        joined = self._features_joined(step)
        if joined != self._features_joined(step - 1):
            self.reporter.expect_other_rate()
        scalars = self.trainer.step(step)
        self.state.record(scalars, self.fabric)
        due = self.pace.due(step)
        self.reporter.step_done(step)
        if due.report or self._evaluates(step) or self._falls_back(step):
            self._report(step, scalars)
        return due

    def _after(self, step: int, due: Due) -> None:
        """Show, measure and save what is due after a step. What changes the training depends on the step alone."""
        if due.sample and self.fabric.is_global_zero:
            with self.pace.samples.work():
                self._show(step)
        verdict, stop = Verdict(), due.stop
        if self._evaluates(step) and stop is None:
            verdict, stop = self._evaluate(step)
        if due.checkpoint or stop is not None or (verdict.collapsed and self.on_collapse == "stop"):
            with self.pace.checkpoints.work():
                self._save(step, LAST)
        if self._falls_back(step):
            self._save(step, FALLBACK)
        if stop is not None:
            if not due.sample:
                self.reporter.show_work(step, "writing the report")  # as new as the checkpoint
                self._show(step)
            raise Stopped(step, stop)
        if verdict.collapsed:
            self._react(verdict)

    def _evaluates(self, step: int) -> bool:
        return bool(self.evaluation_every) and step > 0 and self._due(step, self.evaluation_every)

    def _features_joined(self, step: int) -> bool:
        return self.trainer.features is not None and self.config.progress(step).fraction >= self.config.features.start

    def _falls_back(self, step: int) -> bool:
        return step % self.fallback_every == 0

    @property
    def generator(self) -> nn.Module:
        """The generator that is sampled and exported."""
        return self.trainer.generator_ema.module

    def _report(self, step: int, scalars: Scalars) -> None:
        if self.fabric.world_size > 1:
            scalars = {name: mean_over_processes(self.fabric, scalar) for name, scalar in scalars.items()}
        self.reporter.report(step, **scalars | self.state.penalties | self.trainer.settings(step))

    def _show(self, step: int) -> None:
        """Write a sheet of samples and the report, in the first process."""
        if self.fabric.is_global_zero:
            self.reporter.save_sample(step, sample_grid(self.generator, self.config, self.fabric.device))
            self._write_report()
            self.reporter.restart_timer(step)

    def _evaluate(self, step: int) -> tuple[Verdict, int | None]:
        """Measure in the first process, and judge in all. Returns the verdict, and the exit code if the run shall stop.

        A stop ends the evaluation, which may take minutes. The resumed run begins with it.
        """
        fidelity: Fidelity | None
        fidelity, stop = self.fabric.broadcast((self._measure(step), self.stop.exit_code))
        if fidelity is None:
            return Verdict(), stop
        accuracy = self.state.take_accuracy(self.fabric)
        verdict = self.watch.judge(step, self.config.progress(step).images, fidelity, accuracy)
        self.reporter.log(step, **asdict(fidelity))
        if verdict.findings:
            self.reporter.log_event(step, verdict.message)
        if self.watch.best is not None and self.watch.best[0] == step:
            self._save(step, BEST)
        # The report at the end comes after the neighbours.
        if self.fabric.is_global_zero and step < self.config.steps and (verdict.findings or self.reports.due(step)):
            with self.reports.work():
                self._write_report()
        self.reporter.restart_timer(step)
        return verdict, stop

    def _measure(self, step: int) -> Fidelity | None:
        """The metrics, in the first process; None if the run shall stop."""
        if self.evaluator is None:
            return None  # not the first process
        self.reporter.show_work(step, "evaluating")
        try:
            return self.evaluator.measure(self.generator, self._until_stopped)
        except _StoppedError:
            return None

    def _until_stopped(self, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        for batch in batches:
            if self.stop.exit_code is not None:
                raise _StoppedError
            yield batch

    def _react(self, verdict: Verdict) -> None:
        if self.on_collapse == "stop":
            raise RunError(
                f"Stopped because of --on-collapse stop. {verdict.message} The best checkpoint is kept. Export "
                f"{self.run.folder}, or continue with --resume."
            )
        if self.on_collapse == "rollback":
            raise _CollapsedError("The run has collapsed.")

    def _roll_back(self, step: int, name: str, reason: str) -> int:
        """Restore an earlier checkpoint with lower learning rates, and return its step."""
        rollbacks = self.state.rollbacks + 1
        if rollbacks > _MAX_ROLLBACKS:
            raise RunError(
                f"{reason} The run has gone back {_MAX_ROLLBACKS} times, each time with lower learning rates, without success. "
                "Start a new run with a lower optimizer.learning_rate, larger penalty.r1 and penalty.r2, or more images."
            )
        lr_scale = self.trainer.lr_scale * _ROLLBACK_LR_SCALE
        restored = self._restore(name)
        self.state.rollbacks, self.trainer.lr_scale = rollbacks, lr_scale
        self._save(restored, LAST)  # so a run that is killed now resumes with the lower rates
        self._save(restored, FALLBACK)  # the last one may be of a later step
        self.reporter.rewind(restored)
        images = restored * self.config.images_per_step
        self.reporter.log_event(
            restored, f"{reason} Back to the checkpoint of {images:,} images, with learning rates times {lr_scale:g}."
        )
        return restored

    def _restore(self, name: str) -> int:
        """Restore a checkpoint in every process; no process continues before all have read it."""
        step = self.run.restore(self.parts, name, forget=self.fabric.is_global_zero)
        self.fabric.barrier()
        return step

    def _save(self, step: int, name: str) -> None:
        """Write a checkpoint in the first process; the others wait, and fail if it fails."""
        error: NotFiniteError | OSError | None = None
        if self.fabric.is_global_zero:
            try:
                self.run.save_checkpoint(step, self.parts, name)
            except (NotFiniteError, OSError) as found:
                error = found
        if error := self.fabric.broadcast(error):
            raise error

    def _write_report(self) -> None:
        """Write the walk through latent space and the report."""
        folder, config = self.run.folder, self.config
        if self.evaluator is not None and self.watch.best is not None and read_reference(folder) is None:
            self.evaluator.measure_real(self.others).write(folder)
        write_walk(folder / WALK, latent_walk(self.generator, config.latent_size, config.seed, self.fabric.device))
        write_report(folder, self.run.plan)

    def _due(self, step: int, every: int) -> bool:
        return bool(every) and (step % every == 0 or step == self.config.steps)


class _StoppedError(Exception):
    """The run shall stop before an evaluation has ended."""


class _CollapsedError(Exception):
    """The watch found that the run has collapsed, and the run should go back."""


def sample_grid(generator: nn.Module, config: GanConfig, device: torch.device) -> Image.Image:
    """A grid of 64 samples, or of 16 large ones. The latents are the same every time, so the grids of a run can be compared."""
    columns = 8 if config.image_size <= _LARGE else 4
    latents = draw_latents(config.seed, Stream.SAMPLE_GRID, count=columns**2, size=config.latent_size)
    return grid(images_of(generator, latents, device).cpu().numpy(), columns)

"""Trains a style network: one feed-forward network for every painting of a folder.

    python -m training style --styles PAINTINGS --content PHOTOS --out runs/NAME

Johnson et al. 2016, with the conditional instance normalisation of Dumoulin et al. 2017. A step paints a batch of crops, each
crop in one style, and compares VGG-16 features: with those of the crop for content, with the Gram matrices of the painting for
style. Every random number of a step depends on (seed, step) alone, so a resumed run ends like an uninterrupted one.
"""

from contextlib import closing

import torch
import torch.nn.functional as F
from torch import Tensor

from ganvas.cpus import available_cpus
from ganvas.signals import StopRequest
from training.data.crops import Crops
from training.data.prefetch import prefetch
from training.data.sampler import batch_indices
from training.errors import Stopped
from training.pace import Pace
from training.random import Stream
from training.reporter import Reporter
from training.run import Run, Stateful
from training.style.config import StyleConfig
from training.style.consistency import Disturbance
from training.style.losses import lattice_loss
from training.style.network import Stylizer, build_stylizer, is_style_parameter
from training.style.objective import Objective
from training.style.optimizers import StyleOptimizers
from training.style.plan import StylePlan
from training.style.report.held_out import Gallery
from training.style.report.page import write_report
from training.style.sample import style_sheet
from training.style.skies import with_skies
from training.threads import use_threads

_REPORT_EVERY = 10  # steps
_SAMPLE_PHOTOS = 4
_MAX_PREFETCH = 8  # batches that are decoded while a GPU trains


def train_style(
    run: Run[StylePlan],
    crops: Crops,
    objective: Objective,
    device: torch.device,
    network: Stylizer | None = None,
    threads: int | None = None,
    gallery: Gallery | None = None,
) -> None:
    """Train for the config's steps, from the run's last checkpoint if there is one.

    Args:
        run: where checkpoints, samples and statistics go. If its plan keeps styles, these styles and everything that all styles
            share stay bit for bit the same.
        crops: batches of photos.
        objective: to lower, on `device`; its paintings are those of the styles that the plan does not keep, in the order of the
            network's rows.
        device: where to train.
        network: to begin with, such as from `stylizer_from`. None begins with an untrained network.
        threads: of the CPU; None: those that the run recorded, or the fastest number.
        gallery: of held-out photos, for the report; None: the report does without.

    Raises:
        RunError: a loss became NaN, the checkpoint cannot be read, or another process is training this run.
        Stopped: the user or the system stopped the run. A checkpoint holds all of its steps.
    """
    with run.held(), StopRequest() as stop:
        _train(run, crops, objective, device, network, threads, stop, gallery)


def _train(
    run: Run[StylePlan],
    crops: Crops,
    objective: Objective,
    device: torch.device,
    network: Stylizer | None,
    asked: int | None,
    stop: StopRequest,
    gallery: Gallery | None,
) -> None:
    config, kept = run.plan.config, run.plan.kept
    new_styles = len(run.plan.styles) - kept
    torch.manual_seed(config.seed)
    network = (network or build_stylizer(config, len(run.plan.styles))).to(device)
    if kept:
        _freeze_all_but_new_styles(network, kept)
    optimizers = StyleOptimizers(network, config)
    parts: dict[str, Stateful] = {"network": network, **optimizers.parts}
    start = run.restore(parts)
    if start == 0:
        run.save_checkpoint(0, parts)  # the first weights may come from another run
    sample_photos = crops.first(_SAMPLE_PHOTOS).to(device)
    # On the CPU, more than one thread would take the cores from the networks.
    prefetched = 1 if device.type == "cpu" else min(_MAX_PREFETCH, available_cpus())

    def learn(step: int, batch: Tensor) -> dict[str, Tensor]:
        # Each style is painted equally often.
        chosen = batch_indices(new_styles, config.batch_size, step - 1, config.seed, Stream.STYLES)
        losses = losses_of(network, objective, config, batch, torch.from_numpy(chosen).to(device), step, kept)
        optimizers.step(torch.stack(list(losses.values())).sum(), config.progress(step))
        return losses

    tries = run.plan.threads is None and start < config.steps
    first = crops.batch(start) if tries else None
    run.record_threads(use_threads(device, asked, run.plan.threads, None if first is None else lambda: learn(start + 1, first)))
    if tries:
        run.restore(parts)
    pace = Pace(config.steps, _REPORT_EVERY, config.sample_every, config.checkpoint_every, stop)
    reporter = Reporter(run, steps=config.steps, start=start, images_per_step=config.batch_size, device=device)
    with reporter, closing(prefetch(crops.batch, range(start, config.steps), prefetched)) as batches:
        if start == 0 and config.sample_every == "auto":  # slow steps would show nothing for a while
            reporter.save_sample(0, style_sheet(network, sample_photos))
            write_report(run.folder, run.plan)
            reporter.restart_timer(0)
        for step, batch in enumerate(batches, start + 1):
            losses = learn(step, batch)
            due = pace.due(step)
            reporter.step_done(step)
            if due.report:
                reporter.report(step, **losses)
            if due.sample:
                with pace.samples.work():
                    reporter.save_sample(step, style_sheet(network, sample_photos))
                    if gallery is not None:
                        reporter.log(step, **gallery.update(step, network))
                    write_report(run.folder, run.plan)
                    reporter.restart_timer(step)
            if due.checkpoint:
                with pace.checkpoints.work():
                    run.save_checkpoint(step, parts)
            if due.stop is not None:
                if not due.sample:
                    reporter.save_sample(step, style_sheet(network, sample_photos))
                    write_report(run.folder, run.plan)
                raise Stopped(step, due.stop)


def losses_of(
    network: Stylizer,
    objective: Objective,
    config: StyleConfig,
    batch: Tensor,
    chosen: Tensor,
    step: int,
    kept: int = 0,
) -> dict[str, Tensor]:
    """The mean losses of photos as the network paints them, by name; their sum is to be lowered.

    Args:
        network: has `kept` more styles than the objective.
        objective: to lower, with what the config adds to it.
        config: weights, precision and seed.
        batch: photos, uint8 [n, 3, h, w] on the CPU.
        chosen: int [n], the index of each photo's style in the objective.
        step: decides how the photos are disturbed.
        kept: rows of the network before the objective's styles.
    """
    device = chosen.device
    batch, is_sky = with_skies(batch, config.sky_share, config.seed, step)
    photos = batch.to(device, torch.float32, memory_format=torch.channels_last)
    styles = F.one_hot(chosen, network.styles - kept).float()
    rows = F.pad(styles, (kept, 0))

    def paint(images: Tensor) -> Tensor:
        # The norms and the losses stay float32.
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            painted: Tensor = network(images, rows)
        return painted

    painted = paint(photos)
    terms = objective(painted, objective.content(photos), styles)
    losses = {"content": terms.content.mean(), "style": terms.style.mean()}
    if config.variation_weight:
        losses["variation"] = terms.variation.mean()
    if config.lattice_weight:
        losses["lattice"] = config.lattice_weight * lattice_loss(painted).mean()
    if config.consistency_weight:
        disturbance = Disturbance(config.seed, step)
        again = paint(disturbance.disturb(batch).to(device, memory_format=torch.channels_last))
        # The strokes in a smooth sky can hang on nothing but its noise.
        steady = disturbance.loss(painted, again).where(~is_sky.to(device), 0)
        losses["consistency"] = config.consistency_weight * steady.mean()
    return losses


def _freeze_all_but_new_styles(network: Stylizer, kept: int) -> None:
    """Let only the rows of styles from `kept` on learn. The gradient of the others is 0, and so is Adam's step."""
    for name, parameter in network.named_parameters():
        if is_style_parameter(name):
            learns = (torch.arange(len(parameter), device=parameter.device) >= kept).to(parameter)[:, None]
            parameter.register_hook(learns.mul)
        else:
            parameter.requires_grad_(False)

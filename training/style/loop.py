"""Trains a style network: every painting of a folder into one feed-forward network.

    python -m training style --styles PAINTINGS --content PHOTOS --out runs/NAME

Johnson et al. 2016 with the conditional instance normalisation of Dumoulin et al. 2017. A step paints a batch of crops, each
in one style, and compares VGG-16 features: with the crop's for content, with the painting's Gram matrices for
style. All that is random in a step is drawn from (seed, step): a resumed run goes on as if it had never stopped.
"""

import os
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from training.data.crops import Crops
from training.data.prefetch import prefetch
from training.data.sampler import batch_indices
from training.images import grid
from training.reporter import Reporter
from training.run import Run, Stateful, StylePlan
from training.style.config import ARCHITECTURE, StyleConfig
from training.style.network import Stylizer
from training.style.objective import Objective, Terms
from training.style.optimizers import StyleOptimizers, of_a_style

_REPORT_EVERY = 10  # steps
_SAMPLE_PHOTOS = 4
_MOST_AHEAD = 8  # batches that are decoded while a GPU trains


def build_stylizer(config: StyleConfig, styles: int) -> Stylizer:
    """The network of a resolved config, untrained."""
    return Stylizer(styles, **{name: getattr(config, name) for name in ARCHITECTURE})


def stylizer_from(config: StyleConfig, styles: Sequence[str], state: Mapping[str, Tensor], known: Sequence[str]) -> Stylizer:
    """A network that begins with the weights of a trained one; styles new to it as the mean of its own: Dumoulin et al. 2017.

    Args:
        config: of the same `ARCHITECTURE` as the trained network's.
        styles: names of the network's rows.
        state: the trained network's weights.
        known: names of its rows.
    """
    network = build_stylizer(config, len(styles))
    with torch.no_grad():
        for name, value in network.state_dict().items():
            old = state[name]
            if of_a_style(name):
                old = torch.stack([old[known.index(style)] if style in known else old.mean(dim=0) for style in styles])
            value.copy_(old)
    return network


def train_style(
    run: Run[StylePlan], crops: Crops, objective: Objective, device: torch.device, network: Stylizer | None = None
) -> None:
    """Train for the config's steps, from the run's last checkpoint where there is one.

    Args:
        run: where it is kept. What its plan keeps, and all that styles share, then stays as it is, bit for bit.
        crops: batches of photos.
        objective: what to lower; its paintings are those that the plan does not keep, in the order of the network's rows.
        device: where to train; the objective is there too.
        network: to begin with, for instance from `stylizer_from`; None: an untrained one.

    Raises:
        RunError: a loss became NaN, the checkpoint cannot be read, or another process is training this run.
    """
    with run.held():
        _train(run, crops, objective, device, network)


def _train(run: Run[StylePlan], crops: Crops, objective: Objective, device: torch.device, network: Stylizer | None) -> None:
    config, kept = run.plan.config, run.plan.kept
    styles = len(run.plan.styles) - kept  # to learn
    torch.manual_seed(config.seed)
    network = (network or build_stylizer(config, kept + styles)).to(device)
    if kept:
        _keep(network, kept)
    optimizers = StyleOptimizers(network, config)
    parts: dict[str, Stateful] = {"network": network, **optimizers.parts}
    start = run.restore(parts)
    if start == 0:
        run.save_checkpoint(0, parts)  # what it begins with may come from another run
    sample_crops = crops.first(_SAMPLE_PHOTOS)

    reporter = Reporter(
        run,
        steps=config.steps,
        start=start,
        images_per_step=config.batch_size,
        intervals=(_REPORT_EVERY, config.checkpoint_every),
    )
    # On the CPU one is enough, and more would take the cores from the networks.
    count = 1 if device.type == "cpu" else min(_MOST_AHEAD, os.cpu_count() or 1)
    with reporter:
        for step, batch in enumerate(prefetch(crops.batch, range(start, config.steps), count), start + 1):
            photos = batch.to(device, torch.float32, memory_format=torch.channels_last)
            # Every style is painted equally often.
            chosen = torch.from_numpy(batch_indices(styles, config.batch_size, step - 1, config.seed + 1)).to(device)

            terms = losses_of(network, objective, photos, chosen, kept)
            optimizers.step(terms.total.mean())

            reporter.step_done(step, **{name: losses.mean() for name, losses in terms._asdict().items()})
            if step % config.sample_every == 0 or step == config.steps:
                reporter.save_sample(step, style_sheet(network, sample_crops.to(device)))
            if step % config.checkpoint_every == 0 or step == config.steps:
                run.save_checkpoint(step, parts)


def losses_of(network: Stylizer, objective: Objective, photos: Tensor, chosen: Tensor, kept: int = 0) -> Terms:
    """The losses of photos as the network paints them.

    Args:
        network: with `kept` styles more than the objective has.
        objective: what to lower.
        photos: float [n, 3, h, w] RGB in 0..255.
        chosen: int [n], the objective's style of each.
        kept: rows of the network before those.
    """
    styles = F.one_hot(chosen, network.styles - kept).float()
    painted = network(photos, F.pad(styles, (kept, 0)))
    return objective(painted, objective.content(photos), styles)


@torch.no_grad()
def style_sheet(network: Stylizer, photos: Tensor) -> Image.Image:
    """Photos in the first column, each style in one of the others.

    Args:
        network: in any mode; instance normalisation knows none.
        photos: uint8 [n, 3, h, w].
    """
    styles = network.styles
    rows = []
    for photo in photos.float():
        copies = photo.expand(styles, -1, -1, -1)
        painted = network(copies, torch.eye(styles, device=photo.device))
        rows.append(torch.cat([photo[None], painted]))
    pictures = torch.cat(rows).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    return grid(pictures.cpu().numpy(), columns=styles + 1)


def _keep(network: Stylizer, kept: int) -> None:
    """Let only the rows of styles from `kept` on learn: the others' gradient is 0, and so is Adam's step."""
    for name, parameter in network.named_parameters():
        if of_a_style(name):
            learns = (torch.arange(len(parameter), device=parameter.device) >= kept).to(parameter)[:, None]
            parameter.register_hook(learns.mul)
        else:
            parameter.requires_grad_(False)

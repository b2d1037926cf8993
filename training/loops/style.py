"""Trains a style network: every painting of a folder into one feed-forward network.

    python -m training style --styles PAINTINGS --content PHOTOS --out runs/NAME

Johnson et al. 2016 with the conditional instance normalisation of Dumoulin et al. 2017. A step paints a batch of crops, each
in one style, and compares VGG-16 features: with the crop's for content, with the painting's Gram matrices for
style. All that is random in a step is drawn from (seed, step): a resumed run goes on as if it had never stopped.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from training.config import StyleConfig
from training.data.crops import Crops
from training.data.order import batch_indices
from training.loops.progress import Reporter
from training.losses.painting import Objective
from training.networks.stylizer import Stylizer
from training.pictures import grid
from training.run import Run, Stateful, StylePlan

_REPORT_EVERY = 10  # steps
_BETAS = (0.9, 0.99)  # Adam's; the first losses are a hundred times the last: 0.999 would remember them for a thousand steps
_SAMPLE_PHOTOS = 4


def build_stylizer(config: StyleConfig, styles: int) -> Stylizer:
    """The network of a resolved config, untrained."""
    return Stylizer(
        styles, config.width, config.residual_blocks, config.halvings, config.kernel, config.stride, separable=config.separable
    )


def train_style(run: Run[StylePlan], crops: Crops, objective: Objective, device: torch.device) -> None:
    """Train for the config's steps, from the run's last checkpoint where there is one.

    Args:
        run: where it is kept.
        crops: batches of photos.
        objective: what to lower; its paintings are in the order of the network's rows.
        device: where to train; the objective is there too.

    Raises:
        RunError: a loss became NaN, the checkpoint cannot be read, or another process is training this run.
    """
    with run.held():
        _train(run, crops, objective, device)


def _train(run: Run[StylePlan], crops: Crops, objective: Objective, device: torch.device) -> None:
    config, styles = run.plan.config, len(run.plan.styles)
    torch.manual_seed(config.seed)
    network = build_stylizer(config, styles).to(device)
    optimizer = torch.optim.Adam(_parameter_groups(network, config), config.learning_rate, _BETAS)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(config, step))
    parts: dict[str, Stateful] = {"network": network, "optimizer": optimizer, "schedule": schedule}
    start = run.restore(parts)
    sample_crops = crops.first(_SAMPLE_PHOTOS)

    reporter = Reporter(
        run, steps=config.steps, start=start, pictures=config.batch_size, every=(_REPORT_EVERY, config.checkpoint_every)
    )
    with reporter, ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(crops.batch, start)
        for step in range(start + 1, config.steps + 1):
            photos = coming.result().to(device, torch.float32, memory_format=torch.channels_last)
            coming = ahead.submit(crops.batch, step)
            # Every style is painted equally often.
            chosen = torch.from_numpy(batch_indices(styles, config.batch_size, step - 1, config.seed + 1)).to(device)

            weights = F.one_hot(chosen, styles).float()
            terms = objective(network(photos, weights), objective.content(photos), weights)
            optimizer.zero_grad()
            terms.total.mean().backward()
            optimizer.step()
            schedule.step()

            reporter.done(step, **{name: losses.mean() for name, losses in terms._asdict().items()})
            if step % config.sample_every == 0 or step == config.steps:
                reporter.picture(step, style_sheet(network, sample_crops.to(device)))
            if step % config.checkpoint_every == 0 or step == config.steps:
                run.save_checkpoint(step, parts)


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


def _parameter_groups(network: Stylizer, config: StyleConfig) -> list[dict[str, Any]]:
    """What belongs to a style learns faster: a step moves only the rows of the few styles in its batch."""
    shared = [p for name, p in network.named_parameters() if ".norm." not in name]
    of_styles = [p for name, p in network.named_parameters() if ".norm." in name]
    return [{"params": shared}, {"params": of_styles, "lr": config.learning_rate * config.style_rate}]


def _rate(config: StyleConfig, step: int) -> float:
    """The learning rate's factor: 1, then down to 0 along half a cosine."""
    progress = (step / config.steps - config.decay_from) / max(1 - config.decay_from, 1e-9)
    return 0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * min(max(progress, 0.0), 1.0)))))

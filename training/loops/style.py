"""Trains a style network: every painting of a folder into one feed-forward network.

    python -m training style --styles PAINTINGS --content PHOTOS --out runs/NAME

Johnson et al. 2016 with the conditional instance normalisation of Dumoulin et al. 2017. A step paints a batch of crops, each
in one style, and compares VGG-16 features: with the crop's for content, with the painting's Gram matrices for
style. All that is random in a step is drawn from (seed, step): a resumed run goes on as if it had never stopped.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from training.config import StyleConfig
from training.data.crops import Crops
from training.data.order import batch_indices
from training.errors import WeightsError
from training.loops.progress import Reporter
from training.losses.style import content_loss, gram_matrix, style_loss, total_variation
from training.networks.stylizer import Stylizer
from training.networks.vgg import VggFeatures
from training.pictures import grid
from training.run import Run, Stateful, StylePlan

_REPORT_EVERY = 10  # steps
_BETAS = (0.9, 0.99)  # Adam's; the first losses are a hundred times the last: 0.999 would remember them for a thousand steps
_SAMPLE_PHOTOS = 4


def build_stylizer(config: StyleConfig, styles: int) -> Stylizer:
    """The network of a resolved config, untrained."""
    return Stylizer(styles, config.width, config.residual_blocks)


def train_style(run: Run[StylePlan], crops: Crops, objective: "Objective", device: torch.device) -> None:
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


def _train(run: Run[StylePlan], crops: Crops, objective: "Objective", device: torch.device) -> None:
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

            painted = network(photos, F.one_hot(chosen, styles).float())
            content, style, variation = objective(painted, photos, chosen)
            loss = content + style + variation
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()

            reporter.done(step, content=content, style=style, variation=variation)
            if step % config.sample_every == 0 or step == config.steps:
                reporter.picture(step, style_sheet(network, sample_crops.to(device)))
            if step % config.checkpoint_every == 0 or step == config.steps:
                run.save_checkpoint(step, parts)


class Objective:
    """Content + style + variation of painted pictures, with the config's layers and weights."""

    def __init__(
        self, config: StyleConfig, paintings: Mapping[str, Tensor], vgg_weights: Path | None, device: torch.device
    ) -> None:
        self.config = config
        self.vgg = VggFeatures((*config.content_layers, *config.style_layers), vgg_weights).to(device)
        self.vgg_content = VggFeatures(config.content_layers, vgg_weights).to(device)  # stops at the layers that content needs
        self.balances = torch.ones(len(paintings), device=device)
        with torch.no_grad():
            per_painting = [self._grams(painting.to(device)) for painting in paintings.values()]
            self.grams = {layer: torch.cat([grams[layer] for grams in per_painting]) for layer in config.style_layers}

    @torch.no_grad()
    def balance(self, photos: Tensor) -> None:
        """Weigh each style so that unpainted photos are equally far from all: no painting drowns another.

        Args:
            photos: uint8 [n, 3, h, w].

        Raises:
            WeightsError: the features are no numbers.
        """
        features = self.vgg(photos.to(self.balances.device, torch.float32))
        count = len(self.balances)
        baselines = torch.stack([self._style(features, torch.full((len(photos),), style)).mean() for style in range(count)])
        self.balances = baselines.mean() / baselines
        if not self.balances.isfinite().all():
            raise WeightsError("The VGG-16 features of the paintings are not finite numbers: the weights of --vgg are broken.")

    def __call__(self, painted: Tensor, photos: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Weighted content, style and variation loss, means over the batch.

        Args:
            painted: float [n, 3, h, w] RGB in 0..255.
            photos: float [n, 3, h, w], what was painted.
            chosen: int [n], the style of each.
        """
        features = self.vgg(painted)
        with torch.no_grad():
            targets = self.vgg_content(photos)
        config = self.config
        content = torch.stack([content_loss(features[layer], targets[layer]).mean() for layer in config.content_layers]).sum()
        style = (self._style(features, chosen) * self.balances[chosen]).mean()
        variation = total_variation(painted).mean()
        return content * config.content_weight, style * config.style_weight, variation * config.variation_weight

    def _grams(self, painting: Tensor) -> dict[str, Tensor]:
        features = self.vgg(painting)
        return {layer: gram_matrix(features[layer].float()) for layer in self.config.style_layers}

    def _style(self, features: Mapping[str, Tensor], chosen: Tensor) -> Tensor:
        """Unweighted style loss of each picture: float [n]."""
        per_layer = [style_loss(gram_matrix(features[layer].float()), grams[chosen]) for layer, grams in self.grams.items()]
        return torch.stack(per_layer).sum(dim=0)


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

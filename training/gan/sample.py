"""Samples of a run's generator: `python -m training sample RUN -o sheet.png`."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import typer
from PIL import Image

from training.gan.export import generator_graph
from training.gan.images import images_of
from training.gan.plan import GanPlan
from training.images import grid
from training.random import Stream, draw_latents
from training.run import Checkpoint, Run


@dataclass(frozen=True)
class SampleOptions:
    """Options of `python -m training sample` for a GAN."""

    n: Annotated[int, typer.Option("--n", "-n", min=1, max=10_000, help="Images on the sheet.")] = 16
    seed: Annotated[int, typer.Option(min=0, help="Seed of the latents.")] = 0


def sample_generator(run: Run[GanPlan], checkpoint: Checkpoint, options: SampleOptions, device: torch.device) -> Image.Image:
    """See `training.kind.Kind`. The images depend on the checkpoint and the seed alone."""
    graph = generator_graph(run, checkpoint).to(device)
    latents = draw_latents(options.seed, Stream.SAMPLE_LATENTS, count=options.n, size=run.plan.config.latent_size)
    return grid(images_of(graph.generator, latents, device).cpu().numpy(), columns=math.ceil(math.sqrt(options.n)))

"""A sheet of photos in every style of a run: `python -m training sample RUN --content PHOTOS -o sheet.png`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from PIL import Image
from torch import Tensor

from training.data.crops import Crops
from training.data.image_folder import open_image_folder, require_size
from training.errors import ConfigError
from training.images import grid
from training.run import Checkpoint, Run
from training.style.export import stylizer_graph
from training.style.network import Stylizer
from training.style.plan import StylePlan

_PHOTOS = 4


@dataclass(frozen=True)
class SampleOptions:
    """Options of `python -m training sample` for a style network."""

    content: Annotated[Path | None, typer.Option(help="Folder or zip of photos to paint.", show_default=False)] = None
    n: Annotated[int, typer.Option("--n", "-n", min=1, max=10_000, help="Photos on the sheet.")] = _PHOTOS
    seed: Annotated[int, typer.Option(min=0, help="Seed of the crops of the photos.")] = 0


def sample_stylizer(run: Run[StylePlan], checkpoint: Checkpoint, options: SampleOptions, device: torch.device) -> Image.Image:
    """See `training.kind.Kind`. One row a photo: a crop of it, then the crop in each style."""
    if options.content is None:
        raise ConfigError(f"{run.folder} holds a style run. Name a folder or zip of photos to paint with --content.")
    photos = open_image_folder(options.content)
    size = run.plan.config.crop_size
    require_size(photos, size, "--set crop_size=...")
    stylizer = stylizer_graph(run, checkpoint).stylizer.to(device)
    return style_sheet(stylizer, Crops(photos, size, options.n, options.seed).first(options.n).to(device))


@torch.no_grad()
def style_sheet(stylizer: Stylizer, photos: Tensor) -> Image.Image:
    """Photos in the first column, each style in one of the others.

    Args:
        stylizer: on the device of the photos, in any mode.
        photos: uint8 [n, 3, h, w].
    """
    styles = stylizer.styles
    rows = []
    for photo in photos.float():
        copies = photo.expand(styles, -1, -1, -1)
        painted = stylizer(copies, torch.eye(styles, device=photo.device))
        rows.append(torch.cat([photo[None], painted]))
    images = torch.cat(rows).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    return grid(images.cpu().numpy(), columns=styles + 1)

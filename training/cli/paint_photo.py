"""What `python -m training paint` runs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import typer
from PIL import Image
from torch import Tensor

from training.config import load_config
from training.console import Display
from training.data.image_folder import read_image
from training.devices import find_device
from training.errors import ConfigError
from training.style.config import PaintConfig
from training.style.objective import features_for
from training.style.paint import Losses, paint
from training.style.painting_files import Painting
from training.threads import limit_threads
from training.vgg import VggFeatures


def paint_photo(
    *,
    content: Path,
    styles: Sequence[str],
    out: Path,
    config: str | None,
    changes: Sequence[str],
    vgg: Path | None,
    device: str,
) -> None:
    """Paint a photo; the options are those of `training.cli.style.paint`."""
    settings = load_config(config or "paint", PaintConfig, changes)
    painting = Painting(out)
    torch_device = find_device(device)
    photo = _tensor(read_image(content))
    named = dict(_weighted(each) for each in styles)
    paintings = {str(path): _tensor(read_image(path)) for path in named}
    weights = torch.tensor(list(named.values()))
    features = VggFeatures(features_for(settings), vgg).to(torch_device)
    limit_threads()
    display = Display("Painting", settings.iterations * settings.scales, unit="iteration")

    def show(losses: Losses, image: Tensor) -> None:
        painting.record(losses, image)
        terms = {name: f"{getattr(losses, name):.3g}" for name in ("content", "style", "variation")}
        display.show(losses.iteration, {"": f"{losses.size} px", **terms})
        if settings.sample_every and losses.iteration % settings.sample_every == 0:
            painting.save_sample()

    try:
        with display:
            paint(settings, photo, paintings, weights / weights.sum(), features, show)
    except KeyboardInterrupt:
        if saved := painting.save():
            typer.secho(f"Wrote {saved} as of iteration {painting.losses[-1].iteration}.", fg="yellow", err=True)
        raise
    typer.echo(f"Wrote {painting.save()} and its losses beside it.")


def _weighted(style: str) -> tuple[Path, float]:
    """`night.jpg:0.7` -> the painting and its weight, 1 by default."""
    path, _, weight = style.rpartition(":")
    if not path or Path(style).is_file():
        return Path(style), 1.0
    try:
        value = float(weight)
    except ValueError:
        return Path(style), 1.0
    if not 0 < value < float("inf"):
        raise ConfigError(f"--style {style}: the weight must be a number above 0, such as {path}:0.5.")
    return Path(path), value


def _tensor(image: Image.Image) -> Tensor:
    """Float [1, 3, h, w] in 0..255."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()

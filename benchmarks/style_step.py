"""Compares the time of a training step of a style network with VGG-16 features in float32 and in bfloat16.

    python -m benchmarks.style_step --config painters [--set key=value] [--vgg FILE] [--device auto] [--rounds 5]

A step is that of `python -m training style`, on noise: forward pass, VGG-16, backward pass, update. Both precisions take
turns, so a slow moment of the machine affects both. Times are medians. Ratios are taken within each round. bfloat16 runs only
if the hardware supports it.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.command import run_command
from training.config import load_config
from training.devices import Precision, best_precision, find_device
from training.style.config import StyleConfig
from training.style.loop import losses_of
from training.style.network import build_stylizer
from training.style.objective import Objective, features_for
from training.style.optimizers import StyleOptimizers
from training.vgg import VggFeatures

_STYLES = 8


def main(
    config: Annotated[str, typer.Option(help="A style config: a name or a TOML file.")] = "style",
    set_: Annotated[list[str], typer.Option("--set", help="Change a value of the config: key=value. May be repeated.")] = [],  # noqa: B006
    vgg: Annotated[Path | None, typer.Option(help="Weights of VGG-16. By default torchvision downloads them.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each precision.")] = 5,
) -> None:
    """Compare training steps."""
    settings, where = load_config(config, StyleConfig, set_), find_device(device)
    precisions = dict.fromkeys(("float32", best_precision(where)))
    steps = {precision: _step(settings, vgg, where, precision) for precision in precisions}
    times: dict[Precision, list[float]] = {precision: [] for precision in precisions}
    for turn in track(range(rounds + 1), "Training", transient=True):  # the first turn is a warm-up
        for precision, step in steps.items():
            start = time.perf_counter()
            step()
            if turn:
                times[precision].append(time.perf_counter() - start)
    size = settings.crop_size
    table = Table(title=f"{settings.batch_size} crops of {size} x {size} pixels on {where}")
    for heading in ("", "ms", "crops/s", "speedup"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for precision, taken in times.items():
        median = statistics.median(taken)
        ratio = statistics.median(plain / each for plain, each in zip(times["float32"], taken, strict=True))
        table.add_row(precision, f"{1000 * median:,.0f}", f"{settings.batch_size / median:,.3g}", f"{ratio:.2f}")
    Console().print(table)


def _step(config: StyleConfig, vgg: Path | None, device: torch.device, precision: Precision) -> Callable[[], object]:
    torch.manual_seed(0)
    shape = (3, config.crop_size, config.crop_size)
    features = VggFeatures(features_for(config), vgg).to(device).in_precision(precision)
    objective = Objective(config, {f"style-{i}": 255 * torch.rand(1, *shape) for i in range(_STYLES)}, features)
    network = build_stylizer(config, _STYLES).to(device)
    optimizers = StyleOptimizers(network, config)
    photos = (255 * torch.rand(config.batch_size, *shape)).byte()
    config = config.model_copy(update={"precision": precision})
    chosen = torch.arange(config.batch_size, device=device) % _STYLES

    def step() -> None:
        loss = torch.stack(list(losses_of(network, objective, config, photos, chosen, 1).values())).sum()
        optimizers.step(loss, config.progress(1))
        loss.item()  # waits until a GPU has finished

    return step


if __name__ == "__main__":
    run_command(main)

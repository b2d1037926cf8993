"""Compares the speed of a GAN training step with a plain float32 step of the same networks, or that of architectures.

    python -m benchmarks.gan_step --config toon-heads [--set key=value] [--device auto] [--seconds 30] [--json FILE]
    python -m benchmarks.gan_step --architecture dcgan-residual --architecture progressive --set image_size=64

The first command compares with the plain step ingredient by ingredient. The second compares architectures with the first one
named, each at its default width; the config's own architecture has the config's widths. An architecture that changes with the
progress of the run is measured at several fractions of the run.

All variants train in turn, one slice per round, so other load on the machine affects all of them. A slice contains `--slice`
seconds of ordinary steps and one step with penalties, weighted by how often each occurs. Speeds are medians over the rounds.
Ratios are taken within each round and shown with the smallest and the largest.
"""

import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from benchmarks.command import run_command
from benchmarks.plain_gan import INGREDIENTS, Ingredient, PlainGan
from ganvas.files import write_whole
from training.config import load_config
from training.devices import best_precision, find_device, launch
from training.gan.architectures.base import modules_with_progress
from training.gan.augment import FEW_IMAGES
from training.gan.config import GanConfig
from training.gan.setup import channels_of, precision_of, resolve_gan
from training.gan.trainer import GanTrainer

PLAIN, OURS = "plain", "ours"

Step = Callable[[int], object]

_SYNTHETIC = 512  # images of noise; the content does not change the time of a step
_LONG = 10**6  # steps of a run, so that a slice is at one fraction of it
_FRACTIONS = (0.05, 0.15, 0.22, 0.3, 0.4, 0.47, 0.75)


@dataclass(frozen=True)
class Speed:
    """Speed of one variant.

    Attributes:
        name: of the variant.
        images_per_second: real images, median over the rounds.
        ratio: speed divided by that of the first variant, such as the plain recipe; median over the rounds.
        lowest: smallest ratio of a round.
        highest: largest ratio of a round.
    """

    name: str
    images_per_second: float
    ratio: float
    lowest: float
    highest: float


def gan_step(
    config: Annotated[str, typer.Option(help="Name of a config in training/configs/, or a TOML file.")] = "toon-heads",
    set_: Annotated[list[str], typer.Option("--set", help="Change a value of the config: key=value. May be repeated.")] = [],  # noqa: B006
    device: Annotated[str, typer.Option(help="auto (a GPU if there is one), cpu, cuda, cuda:1, ...")] = "auto",
    seconds: Annotated[float, typer.Option(min=0.0, help="Seconds to measure each variant.")] = 30.0,
    slice_: Annotated[float, typer.Option("--slice", min=0.0, help="Seconds per turn.")] = 5.0,
    architecture: Annotated[
        list[str], typer.Option(help="Compare architectures instead. May be repeated.", show_default=False)
    ] = [],  # noqa: B006
    ablation: Annotated[bool, typer.Option(help="Also measure the ingredients, alone and added one by one.")] = True,
    json_: Annotated[Path | None, typer.Option("--json", help="File for the numbers.", show_default=False)] = None,
) -> None:
    """Compare the speed of a GAN's training step with that of the plain float32 recipe, or that of architectures."""
    where = find_device(device)
    # With this many images, a config augments only if it says so.
    settings = resolve_gan(load_config(config, GanConfig, set_), FEW_IMAGES, False, where)
    steps = architecture_steps(settings, where, architecture) if architecture else contestants(settings, where, ablation)
    rounds = max(1, round(seconds / slice_)) if slice_ else 1
    speeds = compare(race(steps, settings, where, rounds, slice_))
    title = (
        f"{config}: batches of {settings.batch_size}, {settings.image_size}x{settings.image_size}, on {_hardware(where)}, "
        f"ours in {settings.precision}; {rounds} round{'s' * (rounds != 1)} of {slice_:g} s"
    )
    Console().print(_table(title, speeds, explained=not architecture))
    if json_ is not None:
        found = {
            "config": settings.model_dump(), "hardware": _hardware(where), "torch": torch.__version__, "rounds": rounds,
            "slice_seconds": slice_, "speeds": [asdict(speed) for speed in speeds],
        }  # fmt: skip
        write_whole(json_, lambda partial: partial.write_text(json.dumps(found, indent=2) + "\n"))


def contestants(config: GanConfig, device: torch.device, ablation: bool = True) -> dict[str, Step]:
    """The training steps to compare, by name: the plain recipe, ours, and with `ablation` the steps between them.

    Args:
        config: resolved config.
        device: device to train on.
        ablation: add each ingredient alone, and (as "...") all ingredients up to each.

    Raises:
        ConfigError: the plain recipe does not support a setting of the config.
    """
    images = _noise(config)
    steps: dict[str, Step] = {PLAIN: PlainGan(config, device, images).step}
    here: list[Ingredient] = [name for name in INGREDIENTS if name != "bfloat16" or best_precision(device) == "bfloat16"]
    if ablation:
        for ingredient in here:
            steps[f"plain + {ingredient}"] = PlainGan(config, device, images, [ingredient]).step
        for count in range(2, len(here) + 1):
            steps[f"... + {here[count - 1]}"] = PlainGan(config, device, images, here[:count]).step
    steps[OURS] = GanTrainer(config, launch(device, precision_of(config)), images).step
    return steps


def architecture_steps(config: GanConfig, device: torch.device, names: Sequence[str]) -> dict[str, Step]:
    """The training steps of architectures, by name, with the fraction of the run if the architecture changes with it.

    Args:
        config: resolved config. Its tables `generator` and `discriminator` are for its own architecture.
        device: device to train on.
        names: of architectures.
    """
    steps: dict[str, Step] = {}
    for name in names:
        values = config.model_dump() | {"architecture": name, "images": _LONG * config.images_per_step}
        if name != config.architecture:
            values |= {"generator": {}, "discriminator": {}}
        trainer = GanTrainer(GanConfig.model_validate(values), launch(device, precision_of(config)), _noise(config))
        if not modules_with_progress(trainer.generator):
            steps[name] = trainer.step
            continue
        for fraction in _FRACTIONS:
            before = round(fraction * _LONG / config.penalty.every) * config.penalty.every  # steps with penalties stay that
            steps[f"{name} at {fraction:.0%}"] = partial(_step_after, trainer, before)
    return steps


def _step_after(trainer: GanTrainer, before: int, number: int) -> object:
    return trainer.step(before + number)


def _noise(config: GanConfig) -> Tensor:
    shape = (_SYNTHETIC, channels_of(config), config.image_size, config.image_size)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(config.seed))


def race(
    steps: Mapping[str, Step], config: GanConfig, device: torch.device, rounds: int, slice_seconds: float
) -> dict[str, list[float]]:
    """Let each variant train in turn.

    Args:
        steps: training steps by name.
        config: of the steps.
        device: of the steps.
        rounds: number of turns of each, after a warm-up.
        slice_seconds: minimum length of a turn; steps are not cut off.

    Returns:
        Real images per second of each round, by name.
    """
    every = config.penalty.every if config.penalty.r1 or config.penalty.r2 else 0

    def measure(step: Step, turn: int, seconds: float) -> float:
        done, start = 0, time.perf_counter()
        while done == 0 or time.perf_counter() - start < seconds:
            done += 1
            step(_ordinary(done, every))
        _wait(device)
        mean = (time.perf_counter() - start) / done
        if every:
            start = time.perf_counter()
            step(turn * every)
            _wait(device)
            mean += (time.perf_counter() - start - mean) / every
        return config.images_per_step / mean

    for step in steps.values():
        measure(step, 1, 0.0)
    found: dict[str, list[float]] = {name: [] for name in steps}
    for turn in track(range(rounds), "Measuring", transient=True):
        for name, step in steps.items():
            found[name].append(measure(step, turn + 2, slice_seconds))
    return found


def compare(found: Mapping[str, list[float]]) -> list[Speed]:
    """Medians, and ratios to the first variant, from the images per second of each round."""
    speeds, first = [], next(iter(found.values()))
    for name, rounds in found.items():
        ratios = [one / other for one, other in zip(rounds, first, strict=True)]
        speeds.append(Speed(name, statistics.median(rounds), statistics.median(ratios), min(ratios), max(ratios)))
    return speeds


def _ordinary(number: int, every: int) -> int:
    """The n-th step number that `every` does not divide: a step without penalties."""
    return number + (number - 1) // (every - 1) if every > 1 else number


def _wait(device: torch.device) -> None:
    """Wait until the device has finished."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{platform.machine()} {device.type}, {threads} thread{'s' * (threads > 1)}"


def _table(title: str, speeds: list[Speed], *, explained: bool) -> Table:
    table = Table(title=title, title_justify="left", caption_justify="left")
    if explained:
        table.caption = "\n".join(f"{name}: {words}" for name, words in INGREDIENTS.items())
    table.add_column("step")
    for heading in ("images/s", "speedup", "smallest", "largest"):
        table.add_column(heading, justify="right")
    for speed in speeds:
        numbers = (speed.ratio, speed.lowest, speed.highest)
        table.add_row(speed.name, f"{speed.images_per_second:.4g}", *(f"{number:.2f}" for number in numbers))
    return table


if __name__ == "__main__":
    run_command(gan_step)

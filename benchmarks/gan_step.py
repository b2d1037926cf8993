"""How fast is a GAN's training step, against the plain float32 recipe of the same networks, and what brings how much?

    python -m benchmarks.gan_step --config toon-heads [--set key=value] [--device auto] [--seconds 30] [--json FILE]

All contestants train in turn, a slice each, round after round, so that whatever else the machine does meets all of them. A
slice is `--slice` seconds of ordinary steps and one step with penalties, weighed as often as each comes. A speed is the median
over the rounds; a ratio is taken within each round, and given with the smallest and the largest.
"""

import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.command import run_command
from benchmarks.plain_gan import INGREDIENTS, Ingredient, PlainGan
from ganvas.files import write_whole
from training.config import load_config
from training.devices import best_precision, find_device, launch
from training.gan.augment import FEW_PICTURES
from training.gan.config import GanConfig
from training.gan.setup import channels_of, precision_of, resolve_gan
from training.gan.trainer import Adversaries

PLAIN, OURS = "plain", "ours"

Step = Callable[[int], object]

_SYNTHETIC = 512  # pictures, of noise: a step takes as long whatever they show


@dataclass(frozen=True)
class Speed:
    """How fast one contestant trains.

    Attributes:
        name: of the contestant.
        images_per_second: real pictures, the median over the rounds.
        ratio: how many times as fast as the plain recipe, the median of the rounds' ratios.
        lowest: smallest ratio of a round.
        highest: largest ratio of a round.
    """

    name: str
    images_per_second: float
    ratio: float
    lowest: float
    highest: float


def gan_step(
    config: Annotated[str, typer.Option(help="A config of training/configs/ by name, or a TOML file.")] = "toon-heads",
    set_: Annotated[list[str], typer.Option("--set", help="Change a value of the config: key=value. Repeatable.")] = [],  # noqa: B006
    device: Annotated[str, typer.Option(help="auto (a GPU where there is one), cpu, cuda, cuda:1, ...")] = "auto",
    seconds: Annotated[float, typer.Option(min=0.0, help="To measure each contestant.")] = 30.0,
    slice_: Annotated[float, typer.Option("--slice", min=0.0, help="Seconds a turn.")] = 5.0,
    ablation: Annotated[bool, typer.Option(help="Measure the ingredients as well, alone and in turn.")] = True,
    json_: Annotated[Path | None, typer.Option("--json", help="File to write the numbers to.", show_default=False)] = None,
) -> None:
    """Compare the speed of a GAN's training step with that of the plain float32 recipe."""
    where = find_device(device)
    # As many pictures as a config takes to be many: it then augments only if it says so.
    settings = resolve_gan(load_config(config, GanConfig, set_), FEW_PICTURES, False, where)
    steps = contestants(settings, where, ablation)
    rounds = max(1, round(seconds / slice_)) if slice_ else 1
    speeds = compare(race(steps, settings, where, rounds, slice_))
    title = (
        f"{config}: batches of {settings.batch_size}, {settings.image_size}x{settings.image_size}, on {_hardware(where)}, "
        f"ours in {settings.precision}; {rounds} rounds of {slice_:g} s"
    )
    Console().print(_table(title, speeds))
    if json_ is not None:
        found = {
            "config": settings.model_dump(), "hardware": _hardware(where), "torch": torch.__version__, "rounds": rounds,
            "slice_seconds": slice_, "speeds": [asdict(speed) for speed in speeds],
        }  # fmt: skip
        write_whole(json_, lambda partial: partial.write_text(json.dumps(found, indent=2) + "\n"))


def contestants(config: GanConfig, device: torch.device, ablation: bool = True) -> dict[str, Step]:
    """The training steps to compare, by name: the plain recipe, ours, and with `ablation` what lies between.

    Args:
        config: resolved.
        device: where to train.
        ablation: take in each ingredient alone, and ("...") all from the first to each.

    Raises:
        ConfigError: the config asks for what the plain recipe does not know.
    """
    shape = (_SYNTHETIC, channels_of(config), config.image_size, config.image_size)
    squares = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(config.seed))
    steps: dict[str, Step] = {PLAIN: PlainGan(config, device, squares).step}
    here: list[Ingredient] = [name for name in INGREDIENTS if name != "bfloat16" or best_precision(device) == "bfloat16"]
    if ablation:
        for ingredient in here:
            steps[f"plain + {ingredient}"] = PlainGan(config, device, squares, [ingredient]).step
        for count in range(2, len(here) + 1):
            steps[f"... + {here[count - 1]}"] = PlainGan(config, device, squares, here[:count]).step
    steps[OURS] = Adversaries(config, launch(device, precision_of(config)), squares).step
    return steps


def race(
    steps: Mapping[str, Step], config: GanConfig, device: torch.device, rounds: int, slice_seconds: float
) -> dict[str, list[float]]:
    """Let each train in turn, round after round.

    Args:
        steps: by name.
        config: theirs.
        device: theirs.
        rounds: how often each has its turn, after a warm-up.
        slice_seconds: how long a turn is; a step is not cut off.

    Returns:
        Real pictures/s of each round, by name.
    """
    every = config.penalty_every if config.r1 or config.r2 else 0

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
        return config.images_a_step / mean

    for step in steps.values():
        measure(step, 1, 0.0)
    found: dict[str, list[float]] = {name: [] for name in steps}
    for turn in track(range(rounds), "Measuring", transient=True):
        for name, step in steps.items():
            found[name].append(measure(step, turn + 2, slice_seconds))
    return found


def compare(found: Mapping[str, list[float]]) -> list[Speed]:
    """Medians, and ratios to the plain recipe, of the pictures/s of each round by name."""
    speeds = []
    for name, rounds in found.items():
        ratios = [one / plain for one, plain in zip(rounds, found[PLAIN], strict=True)]
        speeds.append(Speed(name, statistics.median(rounds), statistics.median(ratios), min(ratios), max(ratios)))
    return speeds


def _ordinary(number: int, every: int) -> int:
    """The number of a step without penalties: the n-th that `every` does not divide."""
    return number + (number - 1) // (every - 1) if every > 1 else number


def _wait(device: torch.device) -> None:
    """Until the device has done what it was told."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{platform.machine()} {device.type}, {threads} thread{'s' * (threads > 1)}"


def _table(title: str, speeds: list[Speed]) -> Table:
    table = Table(title=title, title_justify="left", caption_justify="left")
    table.caption = "\n".join(f"{name}: {words}" for name, words in INGREDIENTS.items())
    table.add_column("step")
    for heading in ("pictures/s", "times as fast", "smallest", "largest"):
        table.add_column(heading, justify="right")
    for speed in speeds:
        numbers = (speed.ratio, speed.lowest, speed.highest)
        table.add_row(speed.name, f"{speed.images_per_second:.4g}", *(f"{number:.2f}" for number in numbers))
    return table


if __name__ == "__main__":
    run_command(gan_step)

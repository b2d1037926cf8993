"""The results of `benchmarks.gan_recipes`: a Markdown table and an image of samples."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw, ImageFont
from torch.optim.swa_utils import AveragedModel

from ganvas.files import write_whole
from training.config import flatten
from training.gan.evaluator import draw_samples
from training.gan.plan import GanPlan
from training.gan.setup import build_generator
from training.images import grid
from training.report.stats import Stats
from training.run import Run

_METRICS = ("frechet", "density", "coverage")
_SAMPLES = 8
_LABEL = 16  # height of the letters in pixels
_SENTENCE = re.compile(r"(?<=\.) (?=[A-Z])")
_ADVICE = "Try "  # advice starts with this; the table shows only findings


class Curve(NamedTuple):
    """The evaluations of a run in order: images seen, seconds of training and metrics, each float [m]."""

    images: npt.NDArray[np.float64]
    seconds: npt.NDArray[np.float64]
    metrics: dict[str, npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Outcome:
    """The run of one recipe.

    Attributes:
        name: of the recipe.
        title: in the table.
        run: folder and plan.
        stats: statistics.
        failure: why the run failed; empty if it did not.
    """

    name: str
    title: str
    run: Run[GanPlan]
    stats: Stats
    failure: str = ""

    @property
    def clock(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Images seen and seconds of training, float [m] each, starting at 0. Evaluations do not count as training."""
        images, rates = self.stats.series("images_per_second")
        seconds = np.cumsum(np.diff(images, prepend=0.0) / rates)
        return np.concatenate([[0.0], images]), np.concatenate([[0.0], seconds])

    @property
    def curve(self) -> Curve:
        """The evaluations."""
        images, _ = self.stats.series("frechet")
        metrics = {name: self.stats.series(name)[1] for name in _METRICS}
        return Curve(images, np.interp(images, *self.clock), metrics)

    @property
    def seconds(self) -> float:
        """Total seconds of training."""
        return float(self.clock[1][-1])

    @property
    def findings(self) -> str:
        """Findings of the watch and of the run: each kind once, with the number of images when it first occurred."""
        kinds: dict[str, str] = {}
        for event in self.stats.events:
            for sentence in _SENTENCE.split(event.words):
                if not sentence.startswith(_ADVICE):
                    kind = sentence.split(":")[0].rstrip(".")
                    kinds.setdefault(kind, f"{kind} (first at {event.images:,} images).")
        return " ".join([*kinds.values(), *([self.failure] if self.failure else [])]) or "nothing"


def markdown(outcomes: Sequence[Outcome], reference: str) -> str:
    """Render the table and its explanation.

    Args:
        outcomes: one per recipe.
        reference: the recipe whose training time is used to compare. If it is missing, the fastest one is used.
    """
    seconds = next((one.seconds for one in outcomes if one.name == reference), min(one.seconds for one in outcomes))
    config = outcomes[0].run.plan.config
    head = f"Frechet, density, coverage at {config.images:,} images", f"the same after {_minutes(seconds)} of training"
    lines = [
        f"| recipe | {head[0]} | {head[1]} | images/s | findings of the watch |",
        "| --- | --- | --- | --- | --- |",
    ]
    early = False
    for one in outcomes:
        last, shorter = one.curve.images[-1:], one.seconds < seconds * 0.999
        early = early or shorter
        cells = (
            one.title,
            _metrics(one.curve.images, one.curve.metrics, float(config.images)) if last.size else "none",
            (_metrics(one.curve.seconds, one.curve.metrics, seconds) if last.size else "none") + " *" * shorter,
            f"{one.clock[0][-1] / one.seconds:.4g}" if one.seconds else "none",
            one.findings.replace("|", "/"),
        )
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", f"{_conditions(outcomes[0])} Frechet: lower is better; density and coverage: higher is."]
    if early:
        lines.append("\\* finished earlier; these are its last numbers.")
    return "\n".join(lines) + "\n"


def write_image(path: Path, outcomes: Sequence[Outcome], device: torch.device) -> None:
    """Write a PNG with one row per recipe: its name and its images for the same 8 latents at the end.

    Args:
        path: PNG to write.
        outcomes: one per recipe.
        device: device to compute on.
    """
    strips = []
    for one in outcomes:
        config = one.run.plan.config
        checkpoint = one.run.load_checkpoint()
        generator_ema = AveragedModel(build_generator(config).to(device))
        if checkpoint is not None:
            one.run.fit(generator_ema, checkpoint, "generator_ema")
        samples = draw_samples(generator_ema.module, config, _SAMPLES, device)
        strips.append(grid(samples.permute(0, 2, 3, 1).cpu().numpy(), columns=_SAMPLES))
    font = ImageFont.load_default(_LABEL)
    left = round(max(font.getlength(one.title) for one in outcomes)) + 2 * _LABEL
    height = max(strips[0].height + 4, 2 * _LABEL)
    sheet = Image.new("RGB", (left + strips[0].width, height * len(strips)), "white")
    draw = ImageDraw.Draw(sheet)
    for row, (one, strip) in enumerate(zip(outcomes, strips, strict=True)):
        draw.text((_LABEL, row * height + height // 2), one.title, "black", font, anchor="lm")
        sheet.paste(strip, (left, row * height + (height - strip.height) // 2))
    write_whole(path, lambda partial: sheet.save(partial, format="PNG"))


def _metrics(places: npt.NDArray[np.float64], metrics: dict[str, npt.NDArray[np.float64]], where: float) -> str:
    """Metrics at a place between two evaluations, interpolated linearly and constant outside."""
    frechet, density, coverage = (float(np.interp(where, places, metrics[name])) for name in _METRICS)
    return f"{frechet:,.1f}, {density:.2f}, {coverage:.2f}"


def _conditions(one: Outcome) -> str:
    plan = one.run.plan
    options = ", ".join(f"{key} {value}" for key, value in flatten(plan.config.generator).items())
    return (
        f"{plan.data}: {plan.images:,} images, {plan.config.image_size}x{plan.config.image_size}, generator "
        f"{options}, batches of {plan.config.batch_size}, seed {plan.config.seed}; measured in "
        f"{plan.config.evaluation.network} features."
    )


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"

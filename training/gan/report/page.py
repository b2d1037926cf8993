"""Writes report.html: one page that shows everything about a GAN run, beside the image files that it links to.

The page needs neither a server nor the network: it opens from the run folder in any browser. It is written again at every
evaluation. The walk and the neighbours take longer; `training.gan.loop` makes them before the page.

    runs/NAME/report.html
              losses.png metrics.png       drawn here
              walk.webp neighbours.png     linked where they are
              samples/0000500.png ...
"""

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image, UnidentifiedImageError

from ganvas.files import write_whole
from training.config import flatten
from training.gan.plan import GanPlan
from training.gan.report.assessment import LEAST_EVALUATIONS, assess
from training.gan.report.neighbours import read_novelty
from training.gan.report.plots import plot_losses, plot_metrics
from training.gan.report.reference import read_reference
from training.gan.report.stats import Row, Stats, read_stats
from training.metrics.fidelity import METRICS

REPORT, WALK, NEIGHBOURS = "report.html", "walk.webp", "neighbours.png"
_LOSSES, _METRICS = "losses.png", "metrics.png"
_LARGE = 800  # pixels; small images are shown enlarged up to this width


class ImageLink(NamedTuple):
    """An image file of the run folder.

    Attributes:
        href: relative to the run folder.
        width: in pixels.
        height: in pixels.
        shown: width in pixels on the page; small images are enlarged.
        step: of a sample grid, else 0.
    """

    href: str
    width: int
    height: int
    shown: int
    step: int = 0


def write_report(run_folder: Path, plan: GanPlan) -> Path:
    """Draw the plots and write the page from the present content of the run folder.

    Args:
        run_folder: an existing run folder; report.html, losses.png and metrics.png in it are replaced.
        plan: what the run set out to do.

    Returns:
        The path of report.html.
    """
    config = plan.config
    images_per_step = config.images_per_step
    stats = read_stats(run_folder / "stats.jsonl", images_per_step)
    reference = read_reference(run_folder)
    if any(len(stats.series(key)[0]) for key in ("d_loss", "g_loss")):
        _save(run_folder / _LOSSES, plot_losses(stats))
    if stats.evaluations:
        _save(run_folder / _METRICS, plot_metrics(stats, reference.fidelity.frechet if reference else None))
    samples = [
        link._replace(step=int(path.stem))
        for path in sorted((run_folder / "samples").glob("*.png"))
        if path.stem.isdecimal() and (link := _link(run_folder, f"samples/{path.name}"))
    ]
    neighbours = _link(run_folder, NEIGHBOURS)
    number = read_novelty(run_folder / NEIGHBOURS) if neighbours else None
    step = max([stats.step, *(sample.step for sample in samples)])
    page = _environment().get_template(f"{REPORT}.jinja").render(
        name=run_folder.resolve().name,
        plan=plan,
        config=config,
        settings=[(key, _toml(value)) for key, value in flatten(config).items()],
        stats=stats,
        step=step,
        images=max(stats.images, step * images_per_step),
        left=_left(stats, config.images),
        samples=samples,
        losses=_link(run_folder, _LOSSES),
        metrics=_link(run_folder, _METRICS),
        measured=_measured(stats),
        walk=_link(run_folder, WALK),
        neighbours=neighbours,
        novelty=number,
        assessment=assess(run_folder, plan, stats, reference, number),
        reference=reference,
        least_evaluations=LEAST_EVALUATIONS,
        real=asdict(reference.fidelity) if reference else {},
    )  # fmt: skip
    path = run_folder / REPORT
    write_whole(path, lambda partial: partial.write_text(page, encoding="utf-8"))
    return path


def verdict(novelty: float) -> str:
    """The meaning of a `training.gan.report.neighbours.novelty` in words."""
    if novelty < 0.25:
        return "the samples are copies of training images, or nearly so"
    if novelty < 0.75:
        return "the samples are close to single training images; compare them in the sheet"
    if novelty < 1.5:
        return "the samples are as new as other images of the folder would be"
    return "the samples are not copies, but they resemble the training images less than these resemble each other"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined,
        autoescape=True, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    filters: dict[str, Callable[..., object]] = {"whole": lambda n: f"{n:,.0f}", "digits": _digits, "verdict": verdict}
    environment.filters.update(filters)
    return environment


def _link(folder: Path, href: str) -> ImageLink | None:
    """The link to an image file; None if it is missing or broken."""
    try:
        with Image.open(folder / href) as image:
            width, height = image.size
    except (OSError, UnidentifiedImageError):
        return None
    return ImageLink(href, width, height, max(width, min(_LARGE, 4 * width)))


def _save(path: Path, image: Image.Image) -> None:
    write_whole(path, lambda partial: image.save(partial, format="PNG"))


def _measured(stats: Stats) -> dict[str, tuple[str, str]]:
    """The metrics that any evaluation has."""
    return {key: words for key, words in METRICS.items() if any(key in row for row in stats.evaluations)}


def _left(stats: Stats, images: int) -> str | None:
    """How long the rest of the run takes at its present speed; None if it is complete or the speed is unknown."""
    speed = stats.images_per_second
    if not speed or speed <= 0 or stats.images >= images:
        return None
    minutes = math.ceil((images - stats.images) / speed / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes / 60:.0f} h"


def _digits(row: Row, key: str) -> str:
    """A metric with three digits, without decimals from 1,000; a dash if it was not measured."""
    if key not in row:
        return "-"
    return f"{row[key]:,.0f}" if row[key] >= 1000 else f"{row[key]:#.3g}".rstrip(".")


def _toml(value: object) -> str:
    return value if isinstance(value, str) else "not set" if value is None else json.dumps(value)

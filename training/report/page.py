"""The page of a run: what it shows for all kinds of runs, and how its template is rendered.

The page needs neither a server nor the network: it opens from the run folder in any browser.
"""

import json
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image, UnidentifiedImageError

from ganvas.files import write_whole
from training.config import RunConfig, flatten
from training.report.assessment import Assessment
from training.report.stats import Stats
from training.run import Plan

REPORT = "report.html"
_LARGE = 800  # pixels; small images are shown enlarged up to this width


class ImageLink(NamedTuple):
    """An image file of the run folder.

    Attributes:
        href: relative to the run folder.
        width: in pixels.
        height: in pixels.
        shown: width in pixels on the page; small images are enlarged.
        step: of a sample sheet, else 0.
    """

    href: str
    width: int
    height: int
    shown: int
    step: int = 0


class Words(NamedTuple):
    """What the page calls things.

    Attributes:
        kind: of training, such as `GAN`.
        shown: what is counted, such as `real images shown`.
        sample: what a sample sheet shows.
        samples: a sentence above the sample sheets.
    """

    kind: str
    shown: str
    sample: str
    samples: str


def write_page(
    run_folder: Path,
    template: Path,
    *,
    words: Words,
    plan: Plan,
    config: RunConfig,
    stats: Stats,
    images_per_step: int,
    assessment: Assessment,
    filters: dict[str, Callable[..., object]],
    **values: Any,
) -> Path:
    """Render report.html.

    Args:
        run_folder: an existing run folder.
        template: extends base.html.jinja beside this file.
        words: of this kind of run.
        plan: of the run.
        config: of the plan.
        stats: of the run.
        images_per_step: training images in a step.
        assessment: the verdict.
        filters: of the template.
        values: other variables of the template.

    Returns:
        The path of report.html.
    """
    environment = _environment(template.parent)
    environment.filters.update(filters)
    samples = _samples(run_folder)
    step = max([stats.step, *(sample.step for sample in samples)])
    total = plan.steps * images_per_step
    page = environment.get_template(template.name).render(
        name=run_folder.resolve().name,
        words=words,
        plan=plan,
        config=config,
        settings=[(key, _shown(value)) for key, value in flatten(config).items()],
        stats=stats,
        step=step,
        images=max(stats.images, step * images_per_step),
        total_images=total,
        images_per_step=images_per_step,
        left=_left(stats, total),
        samples=samples,
        assessment=assessment,
        **values,
    )
    path = run_folder / REPORT
    write_whole(path, page.encode())
    return path


@cache
def _environment(templates: Path) -> Environment:
    """What renders the templates of a folder. It keeps each template that it has compiled."""
    environment = Environment(
        loader=FileSystemLoader([templates, Path(__file__).parent]), undefined=StrictUndefined,
        autoescape=True, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["whole"] = lambda n: f"{n:,.0f}"
    return environment


def link_to(folder: Path, href: str) -> ImageLink | None:
    """The link to an image file; None if it is missing or broken."""
    try:
        with Image.open(folder / href) as image:
            width, height = image.size
    except (OSError, UnidentifiedImageError):
        return None
    return ImageLink(href, width, height, max(width, min(_LARGE, 4 * width)))


def save_plot(path: Path, image: Image.Image) -> None:
    """Write a plot as PNG."""
    write_whole(path, lambda partial: image.save(partial, format="PNG"))


def _samples(run_folder: Path) -> list[ImageLink]:
    return [
        link._replace(step=int(path.stem))
        for path in sorted((run_folder / "samples").glob("*.png"))
        if path.stem.isdecimal() and (link := link_to(run_folder, f"samples/{path.name}"))
    ]


def _left(stats: Stats, images: int) -> str | None:
    """How long the rest of the run takes at its present speed; None if it is complete or the speed is unknown."""
    speed = stats.images_per_second
    if not speed or speed <= 0 or stats.images >= images:
        return None
    minutes = math.ceil((images - stats.images) / speed / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes / 60:.0f} h"


def _shown(value: object) -> str:
    return value if isinstance(value, str) else "not set" if value is None else json.dumps(value)

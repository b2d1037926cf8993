"""Writes report.html: one page that shows everything about a GAN run, beside the image files that it links to.

The page needs neither a server nor the network: it opens from the run folder in any browser. It is written again at every
evaluation. The walk and the neighbours take longer; `training.gan.loop` makes them before the page.

    runs/NAME/report.html
              losses.png metrics.png       drawn here
              walk.webp neighbours.png     linked where they are
              samples/0000500.png ...
"""

from dataclasses import asdict
from pathlib import Path

from training.gan.plan import GanPlan
from training.gan.report.assessment import LEAST_EVALUATIONS, assess
from training.gan.report.neighbours import read_novelty
from training.gan.report.plots import plot_losses, plot_metrics
from training.gan.report.reference import read_reference
from training.metrics.fidelity import METRICS
from training.report.page import REPORT, Words, link_to, save_plot, write_page
from training.report.stats import Row, Stats, read_stats

WALK, NEIGHBOURS = "walk.webp", "neighbours.png"
_LOSSES, _METRICS = "losses.png", "metrics.png"


_WORDS = Words(
    kind="GAN",
    shown="real images shown",
    sample="Grid of generated images",
    samples="The latents are the same each time, so you can follow an image from one grid to the next.",
)


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
        save_plot(run_folder / _LOSSES, plot_losses(stats))
    if stats.evaluations:
        save_plot(run_folder / _METRICS, plot_metrics(stats, reference.fidelity.frechet if reference else None))
    neighbours = link_to(run_folder, NEIGHBOURS)
    number = read_novelty(run_folder / NEIGHBOURS) if neighbours else None
    return write_page(
        run_folder,
        Path(__file__).with_name(f"{REPORT}.jinja"),
        words=_WORDS,
        plan=plan,
        config=config,
        stats=stats,
        images_per_step=images_per_step,
        assessment=assess(run_folder, plan, stats, reference, number),
        filters={"digits": _digits, "verdict": verdict},
        losses=link_to(run_folder, _LOSSES),
        metrics=link_to(run_folder, _METRICS),
        measured=_measured(stats),
        walk=link_to(run_folder, WALK),
        neighbours=neighbours,
        novelty=number,
        reference=reference,
        least_evaluations=LEAST_EVALUATIONS,
        real=asdict(reference.fidelity) if reference else {},
    )


def verdict(novelty: float) -> str:
    """The meaning of a `training.gan.report.neighbours.novelty` in words."""
    if novelty < 0.25:
        return "the samples are copies of training images, or nearly so"
    if novelty < 0.75:
        return "the samples are close to single training images; compare them in the sheet"
    if novelty < 1.5:
        return "the samples are as new as other images of the folder would be"
    return "the samples are not copies, but they resemble the training images less than these resemble each other"


def _measured(stats: Stats) -> dict[str, tuple[str, str]]:
    """The metrics that any evaluation has."""
    return {key: words for key, words in METRICS.items() if any(key in row for row in stats.evaluations)}


def _digits(row: Row, key: str) -> str:
    """A metric with three digits, without decimals from 1,000; a dash if it was not measured."""
    if key not in row:
        return "-"
    return f"{row[key]:,.0f}" if row[key] >= 1000 else f"{row[key]:#.3g}".rstrip(".")

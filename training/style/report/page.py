"""Writes report.html of a style run, from the present content of the run folder, beside the image files that it links to.

runs/NAME/report.html
          losses.png                      drawn here
          held-out.json held-out/         see `training.style.report.held_out`
          evaluation.json                 the comparison with slow optimisation, if it was made
          samples/0000500.png ...
"""

from pathlib import Path

from training.errors import RunError
from training.metrics.evaluation import Evaluation, read_evaluation
from training.plots import short_number
from training.program import command
from training.report.page import REPORT, Words, link_to, save_plot, write_page
from training.report.stats import read_stats
from training.style.plan import StylePlan
from training.style.plots import plot_training
from training.style.report.assessment import assess
from training.style.report.held_out import painted_file, photo_file, read_held_out

_LOSSES = "losses.png"
_WORDS = Words(
    kind="Style",
    shown="crops shown",
    sample="Crops of photos, each beside its paintings in all styles,",
    samples="Crops of training photos in the first column, then in each style. The crops are the same each time.",
)


def write_report(run_folder: Path, plan: StylePlan) -> Path:
    """Draw the plot and write the page. report.html and losses.png in the run folder are replaced.

    Args:
        run_folder: an existing run folder.
        plan: what the run set out to do.

    Returns:
        The path of report.html.
    """
    stats = read_stats(run_folder / "stats.jsonl", plan.config.batch_size)
    held_out, evaluation = read_held_out(run_folder), _evaluation(run_folder)
    if len(stats.series("style")[0]):
        save_plot(run_folder / _LOSSES, plot_training(stats))
    return write_page(
        run_folder,
        Path(__file__).with_name(f"{REPORT}.jinja"),
        words=_WORDS,
        plan=plan,
        config=plan.config,
        stats=stats,
        images_per_step=plan.config.batch_size,
        assessment=assess(run_folder, plan, stats, held_out, evaluation),
        filters={"number": short_number, "percent": lambda share: f"{share:.0%}"},
        held_out=held_out,
        photo_file=photo_file,
        painted_file=painted_file,
        evaluation=evaluation,
        evaluate=command("evaluate", str(run_folder)),
        losses=link_to(run_folder, _LOSSES),
    )


def _evaluation(run_folder: Path) -> Evaluation | None:
    try:
        return read_evaluation(run_folder)
    except RunError:  # export says so; it must not stop a training
        return None

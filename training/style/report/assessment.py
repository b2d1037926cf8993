"""Judges a style run in words, and names the next command.

The numbers of the paintings are compared with those of the same photos, unpainted, and with those of other photos. So a network
that returns the photo, a flat colour, or the same painting for every photo is never praised, however low its losses are.
"""

from collections.abc import Callable
from enum import Enum
from pathlib import Path

from training.metrics.evaluation import Evaluation
from training.program import command
from training.report.assessment import Assessment, NextStep, set_words
from training.report.stats import Stats
from training.style.config import StyleConfig
from training.style.plan import StylePlan
from training.style.report.held_out import HeldOut, StyleNumbers
from training.text import count_of

LEAST_STEPS = 200
"""After fewer steps, every network paints badly."""

LEAST_SHARE = 0.25
"""Of the run. Earlier, the numbers of a healthy run look like those of a failed one."""

# The shipped painters have 0.05 to 0.31 of the style loss, and 0.57 to 0.70 of the content loss.
_FLAT = 0.2  # contrast, as a fraction of that of the photos
_UNCHANGED = 6.0  # grey levels between photo and painting
_UNPAINTED, _FAINT = 0.7, 0.35  # style loss, as a fraction of that of unpainted photos
_LOST, _BLURRED = 0.9, 0.75  # content loss, as a fraction of that against another photo
_SLOW = 5  # iterations of L-BFGS: a network that equals fewer is not worth its training
_RESOLVED = ("precision",)  # a run chooses it itself


class Verdict(Enum):
    """What a style run is worth."""

    EARLY = "Too early to judge"
    UNMEASURED = "Not measured"
    FLAT = "Failed: it paints flat colour"
    UNCHANGED = "Failed: the photos are hardly changed"
    UNPAINTED = "Failed: the style is not there"
    LOST = "Failed: the photos cannot be recognised"
    LEARNING = "Still learning"
    BEHIND = "Not good yet"
    GOOD = "Good: the style is there, and the photos can be recognised"


def assess(
    run_folder: Path, plan: StylePlan, stats: Stats, held_out: HeldOut | None, evaluation: Evaluation | None
) -> Assessment:
    """Judge a run.

    Args:
        run_folder: for the commands.
        plan: what the run set out to do.
        stats: its reports.
        held_out: the last paintings of held-out photos; None if there are none.
        evaluation: of the run, with the slow optimisation; None if it was not made.
    """
    verdict, reasons = _judge(plan, stats, held_out, evaluation)
    done = _step(stats, held_out) >= plan.steps
    next_steps = _next_steps(verdict, run_folder, plan, evaluation, done=done)
    return Assessment(verdict, tuple(reasons), tuple(next_steps))


def equal_iterations(evaluation: Evaluation | None) -> list[float]:
    """Iterations of slow optimisation that the network equals, one number a size and start."""
    return [metric.value for metric in evaluation.metrics if "Equal iterations" in metric.name] if evaluation else []


def _judge(plan: StylePlan, stats: Stats, held_out: HeldOut | None, evaluation: Evaluation | None) -> tuple[Verdict, list[str]]:
    step = _step(stats, held_out)
    done, share = step >= plan.steps, step / plan.steps
    if step < LEAST_STEPS or not (done or share >= LEAST_SHARE):
        return Verdict.EARLY, [
            f"{count_of(step, 'step')} of at least {LEAST_STEPS}, and {share:.0%} of the run of which at least "
            f"{LEAST_SHARE:.0%}, are needed."
        ]
    if held_out is None:
        return Verdict.UNMEASURED, ["No photo was painted and measured."]
    for verdict, fails, explain in _FAILURES:
        if failed := [f"{name}: {explain(each)}" for name, each in held_out.styles.items() if fails(each)]:
            return verdict, failed
    behind = [
        *(f"{name}: {_style_words(each)}" for name, each in held_out.styles.items() if each.style_share > _FAINT),
        *(f"{name}: {_content_words(each)}" for name, each in held_out.styles.items() if each.content_share > _BLURRED),
    ]
    if not done:
        return Verdict.LEARNING, behind or ["The numbers are good already."]
    if equal := equal_iterations(evaluation):
        words = f"The network equals {count_of(int(min(equal)), 'iteration')} of slow optimisation at least."
        if min(equal) < _SLOW:
            behind.append(words)
    else:
        words = "It was not compared with slow optimisation."
    if behind:
        return Verdict.BEHIND, behind
    numbers = held_out.styles.values()
    return Verdict.GOOD, [
        f"The style loss is {_range([each.style_share for each in numbers])} of that of the unpainted photos, the content loss "
        f"{_range([each.content_share for each in numbers])} of that against another photo. {words} Look at the images as well."
    ]


def _step(stats: Stats, held_out: HeldOut | None) -> int:
    return max(stats.step, held_out.step if held_out else 0)


def _style_words(numbers: StyleNumbers) -> str:
    return f"the style loss is {numbers.style_share:.0%} of that of the unpainted photos; good is at most {_FAINT:.0%}."


def _content_words(numbers: StyleNumbers) -> str:
    return f"the content loss is {numbers.content_share:.0%} of that against another photo; good is at most {_BLURRED:.0%}."


_FAILURES: tuple[tuple[Verdict, Callable[[StyleNumbers], bool], Callable[[StyleNumbers], str]], ...] = (
    (
        Verdict.FLAT,
        lambda each: each.contrast < _FLAT * each.photo_contrast,
        lambda each: f"the contrast is {each.contrast:.1f} grey levels; the photos have {each.photo_contrast:.1f}.",
    ),
    (
        Verdict.UNCHANGED,
        lambda each: each.change < _UNCHANGED,
        lambda each: f"photo and painting differ by {each.change:.1f} grey levels in the mean.",
    ),
    (Verdict.UNPAINTED, lambda each: each.style_share > _UNPAINTED, _style_words),
    (Verdict.LOST, lambda each: each.content_share > _LOST, _content_words),
)


def _range(values: list[float]) -> str:
    low, high = f"{min(values):.0%}", f"{max(values):.0%}"
    return low if low == high else f"{low} to {high}"


def _next_steps(
    verdict: Verdict, folder: Path, plan: StylePlan, evaluation: Evaluation | None, *, done: bool
) -> list[NextStep]:
    styles, photos = plan.styles_path or "PAINTINGS", plan.data_path or plan.data
    weights = plan.vgg_path
    vgg = ("--vgg", weights) if weights else ()
    train = ("style", "--styles", styles, "--content", photos, *vgg)
    again = ("--out", str(folder.with_name(f"{folder.resolve().name}-2")))
    resume = NextStep("If the run was stopped, resume it.", command(*train, "--out", str(folder), "--resume"))
    longer = NextStep(
        "Train longer, from where it ended.",
        command(*train, "--from", str(folder), "--set", f"steps={max(2 * plan.steps, LEAST_STEPS)}", *again),
    )
    evaluate = NextStep(
        "Compare it with slow optimisation.",
        command(
            "evaluate", str(folder), "--data", photos, "--styles", styles, *(("--weights", weights) if weights else ()),
            "--pairs", "8",
        ),
    )  # fmt: skip
    export = command("export", str(folder), "--title", folder.resolve().name, "--licence", "YOUR LICENCE")
    if plan.kept:
        longer = NextStep("Extend the first run again, with a larger --set steps=...")
    if verdict is Verdict.GOOD:
        return [*([] if evaluation else [evaluate]), NextStep("Export it.", export)]
    if verdict in (Verdict.EARLY, Verdict.LEARNING) and not done:
        return [resume]
    if verdict in (Verdict.EARLY, Verdict.LEARNING, Verdict.BEHIND):
        return [longer, NextStep("Or export it now.", export)] if verdict is Verdict.BEHIND else [longer]
    if verdict is Verdict.UNMEASURED:
        return [evaluate]
    config = plan.config
    changes = {
        Verdict.FLAT: {"learning_rate": config.learning_rate / 2},
        Verdict.LOST: {"style_weight": config.style_weight / 2},
    }.get(verdict, {"style_weight": 2 * config.style_weight})
    words = "Do not export it. Start a new run with other values."
    if plan.kept:
        return [NextStep("Do not export it. Extend the first run again, with a larger --set steps=...")]
    return [NextStep(words, command(*train, *set_words(config, StyleConfig(), changes, _RESOLVED), *again))]

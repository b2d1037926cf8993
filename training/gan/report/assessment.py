"""Judges a run in words, and names the next command.

The numbers are compared with those of real images, so a collapsed run is never praised. The order of the rules matters:
findings of the watch, collapse and copies come before praise. Without enough evaluations or real images, nothing is judged.
"""

from collections.abc import Mapping
from dataclasses import asdict
from enum import Enum
from pathlib import Path

from training.gan.config import GanConfig
from training.gan.plan import GanPlan
from training.gan.report.reference import Reference
from training.gan.setup import RESOLVED
from training.gan.watch import MIN_DIVERSITY
from training.program import command
from training.report.assessment import Assessment, NextStep, set_words
from training.report.stats import Row, Stats
from training.text import count_of

LEAST_EVALUATIONS = 3
"""Needed by the watch: a finding compares with an earlier evaluation and must hold at two in a row."""

LEAST_SHARE = 0.25
"""Fraction of the run. Earlier, the samples of a good run and of a failed run are equally far from real images."""

LEAST_REAL = 50
"""Fewest real images in each set. With fewer, the metrics are mostly chance."""

_GONE = 0.1  # coverage, as a fraction of that of real images: nearly all kinds of images are missing
_PRECISE = 0.5  # precision: the samples that are there could be real
_COPIES, _CLOSE = 0.25, 0.75  # novelty
_GOOD = {"coverage": 0.8, "density": 0.6, "precision": 0.6, "diversity": 0.7}  # fractions of what real images score
_NEAR = 5.0  # Frechet distance, as a multiple of that of real images


class Verdict(Enum):
    """What a run is worth."""

    EARLY = "Too early to judge"
    UNMEASURED = "Not measured"
    FAILED = "Something is wrong"
    ALIKE = "Collapsed: the samples are nearly all alike"
    FEW = "Collapsed: the samples are a few images again and again"
    UNLIKE = "The samples do not resemble the real images"
    COPIES = "The samples are copies of training images"
    LEARNING = "Still learning"
    BEHIND = "Behind real images"
    GOOD = "Good: the numbers are near those of real images"


def assess(run_folder: Path, plan: GanPlan, stats: Stats, reference: Reference | None, novelty: float | None) -> Assessment:
    """Judge a run.

    Args:
        run_folder: for the commands.
        plan: what the run set out to do.
        stats: its evaluations and events.
        reference: what real images score; None if that was not measured.
        novelty: see `training.gan.report.neighbours`; None before the end of the run.
    """
    verdict, reasons = _judge(plan.config, stats, reference, novelty)
    return Assessment(verdict, tuple(reasons), tuple(_next_steps(verdict, " ".join(reasons), run_folder, plan, stats)))


def _judge(config: GanConfig, stats: Stats, reference: Reference | None, novelty: float | None) -> tuple[Verdict, list[str]]:
    evaluations = [row for row in stats.evaluations if "frechet" in row]
    if not config.evaluation.every:
        return Verdict.UNMEASURED, ["evaluation.every is 0 in the config, so nothing tells whether the run collapsed."]
    findings = [event.words for event in reversed(stats.events) if not evaluations or event.step >= evaluations[-1]["step"]]
    if findings:
        return Verdict.FAILED, findings
    done = stats.step >= config.steps
    share = stats.step / config.steps
    if not done and (len(evaluations) < LEAST_EVALUATIONS or share < LEAST_SHARE):
        return Verdict.EARLY, [
            f"{count_of(len(evaluations), 'evaluation')} and {share:.0%} of the run are done. The verdict needs "
            f"{LEAST_EVALUATIONS} evaluations and {LEAST_SHARE:.0%}."
        ]
    if not evaluations:
        return Verdict.UNMEASURED, ["The run ended without an evaluation."]
    now = min(evaluations, key=lambda row: row["frechet"])  # the checkpoint that is exported
    falling = now is evaluations[-1]
    if failed := _collapse(now, reference):
        return (Verdict.LEARNING, failed[1]) if failed[0] is Verdict.UNLIKE and falling and not done else failed
    if reference is not None and reference.count < LEAST_REAL:
        return Verdict.EARLY, [
            f"Only {count_of(reference.count, 'real image')} can be compared. With fewer than {LEAST_REAL}, the metrics "
            "are mostly chance. Look at the samples and their neighbours."
        ]
    if novelty is not None and novelty < _COPIES:
        return Verdict.COPIES, [f"Novelty is {novelty:.2f}: 0 for copies, about 1 for new images."]
    behind = _behind(now, reference)
    if novelty is not None and novelty < _CLOSE:
        behind.append(f"Novelty is {novelty:.2f}: the samples are close to single training images.")
    if not done:
        return Verdict.LEARNING, behind or ["The numbers are near those of real images. At the end, the run looks for copies."]
    if novelty is None:
        behind.append("It was not measured whether the samples are copies.")
    if len(evaluations) < LEAST_EVALUATIONS:
        behind.append(f"Only {count_of(len(evaluations), 'evaluation')}: the watch needs {LEAST_EVALUATIONS}.")
    if behind:
        return Verdict.BEHIND, behind
    return Verdict.GOOD, [f"{', '.join(_compared(now, reference))}. Novelty is {novelty:.2f}. Look at the samples as well."]


def _collapse(now: Row, reference: Reference | None) -> tuple[Verdict, list[str]] | None:
    """The verdict on worthless samples; None for others."""
    real = asdict(reference.fidelity) if reference else {}
    if now.get("diversity", 1) < MIN_DIVERSITY:
        return Verdict.ALIKE, [f"The diversity of the samples is {now['diversity']:.2f}; real images have 1."]
    coverage = now.get("coverage", 1)
    if coverage >= _GONE * real.get("coverage", 1):
        return None
    said = f"The samples cover {coverage:.0%} of the real images; other real images cover {real.get('coverage', 0.97):.0%}."
    return (Verdict.FEW if now.get("precision", 0) >= _PRECISE else Verdict.UNLIKE), [said]


def _behind(now: Row, reference: Reference | None) -> list[str]:
    """Where the samples are worse than real images, in sentences."""
    if reference is None:
        return ["It was not measured what real images score."]
    real = asdict(reference.fidelity)
    said = [
        f"{key.capitalize()} is {now[key]:.2f}; real images have {real[key]:.2f}."
        for key, least in _GOOD.items()
        if key in now and now[key] < least * real[key]
    ]
    if now["frechet"] > _NEAR * real["frechet"]:
        said.append(
            f"The Frechet distance is {_number(now['frechet'])}; real images have {_number(real['frechet'])} "
            f"({reference.network}, {reference.count:,} against {reference.count:,} images)."
        )
    return said


def _compared(now: Mapping[str, float], reference: Reference | None) -> list[str]:
    real = asdict(reference.fidelity) if reference else {}
    return [
        f"{name} {_number(now[key])} (real images {_number(real[key])})"
        for key, name in (("frechet", "Frechet distance"), ("coverage", "coverage"), ("density", "density"))
        if key in now and key in real
    ]


def _next_steps(verdict: Verdict, reasons: str, folder: Path, plan: GanPlan, stats: Stats) -> list[NextStep]:
    config = plan.config
    data = plan.data_path or plan.data
    resume = NextStep(
        "If the run was stopped, resume it. Name --weights and --vgg again if it was started with them.",
        command("gan", "--data", data, "--out", str(folder), "--resume"),
    )
    if verdict is Verdict.GOOD:
        return [
            NextStep("Measure it for its card.", command("evaluate", str(folder), "--data", data)),
            NextStep(
                "Export it.", command("export", str(folder), "--title", folder.resolve().name, "--licence", "YOUR LICENCE")
            ),
        ]
    if verdict in (Verdict.EARLY, Verdict.LEARNING) and stats.step < config.steps:
        return [resume]
    if verdict is Verdict.UNMEASURED:
        return [NextStep("Measure it.", command("evaluate", str(folder), "--data", data))]
    if verdict is Verdict.COPIES:
        return [NextStep("Add images, or show each of them less often.", _again(folder, plan, {"images": config.images // 2}))]
    if verdict is Verdict.UNLIKE and stats.best is stats.evaluations[-1]:
        words = "Do not export it. The Frechet distance was still falling when the run ended: train longer."
        return [NextStep(words, _again(folder, plan, {"images": 4 * config.images}))]
    if verdict in (Verdict.BEHIND, Verdict.EARLY):
        return [
            NextStep("Train longer.", _again(folder, plan, {"images": 2 * config.images})),
            NextStep("Or export it now.", command("export", str(folder))),
        ]
    changes: dict[str, object] = {}
    if config.objective != "relativistic" or not (config.penalty.r1 and config.penalty.r2):
        changes = {"objective": "relativistic", "penalty.r1": 0.2, "penalty.r2": 0.2}
    elif "NaN" in reasons:
        changes = {"optimizer.learning_rate": config.optimizer.learning_rate / 2}
    elif "discriminator has won" in reasons:
        changes = {"optimizer.d_learning_rate": (config.optimizer.d_learning_rate or config.optimizer.learning_rate) / 2}
    else:
        changes = {"penalty.r1": 2 * config.penalty.r1, "penalty.r2": 2 * config.penalty.r2}
    return [NextStep("Do not export it. Start a new run with other values.", _again(folder, plan, changes))]


def _again(folder: Path, plan: GanPlan, changes: Mapping[str, object]) -> str:
    """The command of a new run with the config of this run and some changes."""
    words = set_words(plan.config, GanConfig(architecture=plan.config.architecture), changes, RESOLVED)
    name = f"{folder.resolve().name}-2"
    return command("gan", "--data", plan.data_path or plan.data, *words, "--out", str(folder.with_name(name)))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"

"""Each rule of the watch for collapse, on made-up evaluations."""

from pathlib import Path

import numpy as np
import pytest
import torch

from training.gan.watch import CollapseWatch, Verdict
from training.metrics.fidelity import Fidelity

EVERY = 1000  # steps, of 64 images


def fidelity(frechet: float = 100.0, coverage: float = 0.5, diversity: float = 1.0) -> Fidelity:
    return Fidelity(frechet, precision=0.5, recall=0.5, density=0.8, coverage=coverage, diversity=diversity)


def judge(watch: CollapseWatch, evaluations: list[Fidelity], d_accuracy: float = 0.8, start: int = 1) -> list[Verdict]:
    return [
        watch.judge(index * EVERY, index * EVERY * 64, evaluation, d_accuracy)
        for index, evaluation in enumerate(evaluations, start)
    ]


def collapsed(evaluations: list[Fidelity], d_accuracy: float = 0.8) -> list[bool]:
    return [verdict.collapsed for verdict in judge(CollapseWatch(), evaluations, d_accuracy)]


def test_detects_samples_that_are_all_alike() -> None:
    assert collapsed([fidelity(diversity=d) for d in (0.9, 0.29, 0.31, 0.29, 0.29)]) == [False] * 4 + [True]
    assert collapsed([fidelity(diversity=d) for d in (0.9, 0.3, 0.3, 0.3)]) == [False] * 4
    findings = judge(CollapseWatch(), [fidelity(diversity=d) for d in (0.9, 0.2, 0.12)])[-1].findings
    assert findings == (
        "The samples are nearly all alike: their diversity is 0.12, that of real images is 1.",
        "Try --set objective=relativistic, --set pack=2, or a larger penalty.r1 and penalty.r2.",
    )


def test_accepts_an_untrained_generator() -> None:
    begun = [(400.0, 0.0, 0.02), (350.0, 0.0, 0.25), (200.0, 0.02, 0.5), (120.0, 0.2, 0.8)]
    assert collapsed([fidelity(*values) for values in begun]) == [False] * 4


def test_detects_lost_coverage() -> None:
    assert collapsed([fidelity(coverage=c) for c in (0.2, 0.4, 0.19, 0.21, 0.19, 0.19)]) == [False] * 5 + [True]
    assert collapsed([fidelity(coverage=c) for c in (0.09, 0.01, 0.01, 0.01)]) == [False] * 4  # never had any
    findings = judge(CollapseWatch(), [fidelity(coverage=c) for c in (0.2, 0.4, 0.15, 0.12)])[-1].findings
    assert findings[0] == "The samples are losing their variety: coverage is 0.12 now, 0.40 at 128,000 images."


def test_detects_a_doubled_frechet_distance() -> None:
    assert collapsed([fidelity(f) for f in (300, 100, 200, 199, 200, 250)]) == [False] * 5 + [True]
    findings = judge(CollapseWatch(), [fidelity(f) for f in (300, 100, 200, 1234.5)])[-1].findings
    assert findings[0] == "The samples are getting worse: the Frechet distance is 1,234.5 now, 100.0 at 128,000 images."


def test_detects_a_discriminator_that_has_won() -> None:
    stuck = [fidelity(f) for f in (100, 96, 95.5)]
    assert collapsed(stuck, d_accuracy=0.999) == [False, False, True]
    assert collapsed(stuck, d_accuracy=0.995) == [False] * 3
    learning = [fidelity(f) for f in (100, 94, 89, 90, 84)]  # never twice in a row above 0.95 times the best
    assert collapsed(learning, d_accuracy=0.999) == [False] * 5
    learnt = [fidelity(f, coverage=0.51) for f in (100, 96, 95.5)]  # nothing is left to learn
    assert collapsed(learnt, d_accuracy=1.0) == [False] * 3
    assert judge(CollapseWatch(), stuck, d_accuracy=0.999)[-1].findings == (
        "The discriminator has won: it is right in 99.9% of pairs, and the Frechet distance no longer falls "
        "(95.5 now, 96.0 at 128,000 images).",
        "Try a lower optimizer.d_learning_rate, a larger penalty.r1, augment, or skip_below.",
    )


def test_detects_a_discriminator_that_has_failed() -> None:
    drifting = [fidelity(f) for f in (100, 126, 130)]
    assert collapsed(drifting, d_accuracy=0.49) == [False, False, True]
    assert collapsed(drifting, d_accuracy=0.5) == [False] * 3
    assert collapsed([fidelity(f) for f in (100, 125, 125)], d_accuracy=0.49) == [False] * 3
    findings = judge(CollapseWatch(), drifting, d_accuracy=0.42)[-1].findings
    assert findings == (
        "The discriminator has failed: it is right in only 42.0% of pairs, and the Frechet distance rises "
        "(130.0 now, 100.0 at 64,000 images).",
        "Try a higher optimizer.d_learning_rate, --set d_steps=2, or less instance_noise.",
    )


def test_gives_each_hint_once() -> None:
    gone = judge(CollapseWatch(), [fidelity(), *[fidelity(300, 0.1, 0.1)] * 2])[-1].findings
    assert [sentence.split(":")[0] for sentence in gone] == [
        "The samples are nearly all alike",
        "The samples are losing their variety",
        "The samples are getting worse",
        "Try --set objective=relativistic, --set pack=2, or a larger penalty.r1 and penalty.r2.",
    ]


def test_each_rule_must_hold_twice_in_a_row() -> None:
    alternating = [fidelity(), fidelity(coverage=0.1), fidelity(frechet=300), fidelity(coverage=0.1)]
    assert collapsed(alternating) == [False] * 4


@pytest.mark.parametrize("d_accuracy", [0.55, 0.8, 0.999])
def test_accepts_a_healthy_noisy_run(d_accuracy: float) -> None:
    rng = np.random.default_rng(0)
    noise = rng.uniform(0.9, 1.1, (40, 3))
    run = [
        fidelity(*(np.array([20 + 300 * 0.85**t, 0.7 * (1 - 0.8**t), 1 - 0.9 * 0.5**t]) * noise[t]).tolist()) for t in range(40)
    ]
    assert not any(collapsed(run, d_accuracy))


def test_best_is_the_lowest_frechet_distance() -> None:
    assert CollapseWatch().best is None
    watch = CollapseWatch()
    judge(watch, [fidelity(f) for f in (300, 90, 120)])
    assert watch.best == (2 * EVERY, 90.0)


def test_judges_a_resumed_run_like_an_uninterrupted_run(tmp_path: Path) -> None:
    evaluations = [fidelity(f) for f in (300, 100, 250, 260, 90)]
    alone = judge(CollapseWatch(), evaluations)
    for stop in range(len(evaluations)):
        watch, resumed = CollapseWatch(), CollapseWatch()
        before = judge(watch, evaluations[:stop])
        torch.save(watch.state_dict(), tmp_path / "watch.pt")
        resumed.load_state_dict(torch.load(tmp_path / "watch.pt", weights_only=True))
        assert resumed.best == watch.best
        assert before + judge(resumed, evaluations[stop:], start=stop + 1) == alone

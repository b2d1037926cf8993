"""The verdict on runs whose samples are made by hand: collapsed, noisy, copied, and good ones."""

import shlex
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.training.conftest import draw
from training.config import load_config
from training.gan.config import GanConfig
from training.gan.plan import GanPlan
from training.gan.report.assessment import Verdict, assess
from training.gan.report.neighbours import novelty
from training.gan.report.reference import Reference
from training.metrics.features import build_features, extract
from training.metrics.fidelity import Fidelity, measure
from training.report.assessment import Assessment
from training.report.stats import Event, Row, Stats

COUNT = 120
SIDE = 16
RUN = Path("runs/my heads")
FINE = Fidelity(frechet=30.0, precision=0.9, recall=0.8, density=0.9, coverage=0.9, diversity=0.97)
REAL = Fidelity(frechet=20.0, precision=0.95, recall=0.94, density=1.0, coverage=0.96, diversity=1.0)


def images_of(first: int) -> Tensor:
    images = np.stack([np.asarray(draw(index, (SIDE, SIDE))) for index in range(first, first + COUNT)])
    return torch.from_numpy(images).permute(0, 3, 1, 2)


@pytest.fixture(scope="module")
def real() -> Tensor:
    return images_of(0)


@pytest.fixture(scope="module")
def training() -> Tensor:
    return images_of(COUNT)


def plan(**changes: Any) -> GanPlan:
    config = GanConfig(channels=3, image_size=SIDE, images=6400, batch_size=64, **changes)  # 100 steps
    return GanPlan(config=config, data="heads", data_path="my heads", images=1200)


def row(step: int, fidelity: Fidelity) -> Row:
    return {"step": step, "images": 64.0 * step, **asdict(fidelity)}


def judged(
    fidelity: Fidelity, real: Fidelity = REAL, number: float | None = 1.0, *, last: int = 100, count: int = COUNT
) -> Assessment:
    """A run with an evaluation at every 20 steps, each with the same result."""
    stats = Stats(tuple(row(step, fidelity) for step in range(20, last + 1, 20)))
    return assess(RUN, plan(), stats, Reference(network="pixels", count=count, fidelity=real), number)


def test_generator_of_new_images_of_the_same_kind_is_good(real: Tensor, training: Tensor) -> None:
    found = of_samples(images_of(2 * COUNT), real, training)
    assert found.verdict is Verdict.GOOD
    assert "(real images " in found.reasons[0]
    evaluate, export = (shlex.split(step.command) for step in found.next_steps)
    assert evaluate[1:] == ["-m", "training", "evaluate", "runs/my heads", "--data", "my heads"]
    assert export[1:5] == ["-m", "training", "export", "runs/my heads"]


def of_samples(samples: Tensor, real: Tensor, training: Tensor) -> Assessment:
    network = build_features("pixels")
    ours, reference, others = (extract(network, images) for images in (samples, real, training))
    return judged(measure(reference, ours), measure(reference, others), novelty(ours, others))


def noise(_: Tensor) -> Tensor:
    return torch.randint(0, 256, (COUNT, 3, SIDE, SIDE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def two_modes(images: Tensor) -> Tensor:
    """The two images that differ most, with less noise than can be seen."""
    distances = torch.cdist(images.flatten(1).float(), images.flatten(1).float())
    pair = images[list(divmod(int(distances.argmax()), len(images)))]
    specks = torch.randint(-2, 3, images.shape, generator=torch.Generator().manual_seed(0))
    return (pair.repeat(COUNT // 2, 1, 1, 1) + specks).clamp(0, 255).byte()


@pytest.mark.parametrize(
    ("generate", "verdicts"),
    [
        (lambda images: torch.full_like(images, 128), {Verdict.ALIKE}),
        (lambda images: images[:1].expand(COUNT, -1, -1, -1), {Verdict.ALIKE}),
        (two_modes, {Verdict.FEW}),
        (noise, {Verdict.ALIKE, Verdict.UNLIKE}),  # means over 16 x 16 pixels of noise vary little
        (lambda images: images, {Verdict.COPIES}),
    ],
    ids=["grey", "one image", "two modes", "noise", "copies"],
)
def test_worthless_generators_are_not_praised(
    generate: Callable[[Tensor], Tensor], verdicts: set[Verdict], real: Tensor, training: Tensor
) -> None:
    found = of_samples(generate(training), real, training)
    assert found.verdict in verdicts, found
    assert "export" not in " ".join(step.command for step in found.next_steps)
    command = shlex.split(found.next_steps[0].command)
    assert command[command.index("--data") + 1] == "my heads"
    assert command[command.index("--out") + 1] == "runs/my heads-2"


@pytest.mark.parametrize(
    ("words", "change"),
    [
        ("The discriminator has won: it is right in 99.9% of pairs.", "optimizer.d_learning_rate=0.0002"),
        ("d_loss became NaN or infinite at step 9. Back to the checkpoint of 0 images.", "optimizer.learning_rate=0.0002"),
        ("The samples are losing their variety: coverage is 0.10 now.", "penalty.r1=0.4"),
    ],
)
def test_findings_of_the_watch_come_before_good_numbers(words: str, change: str) -> None:
    stats = Stats(tuple(row(step, FINE) for step in (40, 60, 80)), (Event(80, 5120, words),))
    found = assess(RUN, plan(), stats, Reference(network="pixels", count=COUNT, fidelity=REAL), 1.0)
    assert (found.verdict, found.reasons) == (Verdict.FAILED, (words,))
    assert f"--set {change}" in found.next_steps[0].command


def test_good_evaluation_ends_an_older_finding() -> None:
    stats = Stats(tuple(row(step, FINE) for step in (40, 60, 100)), (Event(60, 3840, "The samples are getting worse."),))
    assert assess(RUN, plan(), stats, Reference(network="p", count=COUNT, fidelity=REAL), 1.0).verdict is Verdict.GOOD


def test_few_evaluations_or_images_are_too_early_to_judge() -> None:
    for found in (judged(FINE, last=0), judged(FINE, last=40), judged(FINE, count=49)):
        assert found.verdict is Verdict.EARLY
    few = "2 evaluations and 40% of the run are done. The verdict needs 3 evaluations and 25%."
    assert judged(FINE, last=40).reasons == (few,)
    assert "Only 49 real images can be compared" in judged(FINE, count=49).reasons[0]
    resume = shlex.split(judged(FINE, last=40).next_steps[0].command)
    assert resume[1:] == ["-m", "training", "gan", "--data", "my heads", "--out", "runs/my heads", "--resume"]


def test_does_not_praise_before_the_run_has_looked_for_copies() -> None:
    assert judged(FINE, number=None, last=80).verdict is Verdict.LEARNING
    ended = judged(FINE, number=None)
    assert ended.verdict is Verdict.BEHIND
    assert "It was not measured whether the samples are copies." in ended.reasons
    assert judged(FINE, number=0.5).verdict is Verdict.BEHIND
    unmeasured = assess(RUN, plan(evaluation={"every": 0}), Stats(), None, None)
    assert unmeasured.verdict is Verdict.UNMEASURED


def test_samples_unlike_real_images_need_more_training_while_the_distance_falls() -> None:
    poor = Fidelity(frechet=900.0, precision=0.1, recall=0.0, density=0.02, coverage=0.01, diversity=0.5)
    reference = Reference(network="pixels", count=COUNT, fidelity=REAL)

    def after(last: int) -> Assessment:
        rows = tuple(row(step, replace(poor, frechet=900.0 - step)) for step in range(20, last + 1, 20))
        return assess(RUN, plan(), Stats(rows), reference, 1.5 if last == 100 else None)

    assert after(80).verdict is Verdict.LEARNING
    assert after(100).verdict is Verdict.UNLIKE
    assert "still falling" in after(100).next_steps[0].words
    assert "--set images=25600" in after(100).next_steps[0].command


def test_run_behind_real_images_says_where_and_how_to_train_longer() -> None:
    found = judged(Fidelity(frechet=500.0, precision=0.9, recall=0.5, density=0.4, coverage=0.5, diversity=0.9))
    assert found.verdict is Verdict.BEHIND
    assert "Coverage is 0.50; real images have 0.96." in found.reasons
    assert "The Frechet distance is 500; real images have 20 (pixels, 120 against 120 images)." in found.reasons
    command = shlex.split(found.next_steps[0].command)
    changes = [command[i + 1] for i, word in enumerate(command) if word == "--set"]
    again = load_config("gan", GanConfig, changes)
    assert again == plan().config.model_copy(update={"images": 12_800, "architecture": again.architecture, "channels": None})

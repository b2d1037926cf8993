"""Whole runs of a GAN: watched, interrupted, rolled back, shared by two processes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training import processes
from tests.training.conftest import draw
from tests.training.gan_configs import gan_config
from training.config import OnCollapse
from training.data.split import others, split
from training.devices import launch
from training.errors import RunError, Stopped
from training.gan import loop
from training.gan.loop import train_gan
from training.gan.plan import GanPlan
from training.gan.report.reference import read_reference
from training.gan.trainer import GanTrainer, Scalars
from training.metrics.features import Pixels, build_features
from training.pace import Interval
from training.run import BEST, LAST, Run
from training.vgg import VggFeatures

SIZE, COUNT = 16, 200
FABRIC = launch(torch.device("cpu"), "float32")
BASE = {
    "architecture": "dcgan", "image_size": SIZE, "channels": 3, "width": 8, "latent_size": 16, "batch_size": 16,
    "images": 4800, "augment": (), "precision": "float32", "ema_decay": 0.9,
    "evaluation": {"network": "pixels", "samples": 200, "every": 60}, "sample_every": 10_000, "checkpoint_every": 10_000,
    "optimizer.learning_rate": 2e-3, "penalty.every": 4,
}  # fmt: skip
COLLAPSING: dict[str, Any] = {
    "architecture": "mlp", "objective": "hinge", "penalty": {"r1": 0.0, "r2": 0.0},
    "optimizer": {"learning_rate": 0.02, "d_learning_rate": 1e-7},
}  # fmt: skip
"""The discriminator hardly moves, so the generator collapses to the image with the highest logit."""

SHORT: dict[str, Any] = {"images": 320, "evaluation.every": 10}


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    drawings = [draw(index, (SIZE, SIZE)) for index in range(COUNT)]
    rows = [torch.frombuffer(bytearray(drawing.tobytes()), dtype=torch.uint8) for drawing in drawings]
    return torch.stack(rows).reshape(COUNT, SIZE, SIZE, 3).permute(0, 3, 1, 2).contiguous()


def train(
    folder: Path, dataset: torch.Tensor, on_collapse: OnCollapse = "warn", vgg: VggFeatures | None = None, **changes: Any
) -> Run[GanPlan]:
    config = gan_config(BASE, changes)
    run = Run.create(folder, GanPlan(config=config, data="discs", images=len(dataset)))
    train_gan(run, dataset, FABRIC, build_features("pixels"), on_collapse, vgg)
    return run


def lines(run_folder: Path, key: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, (run_folder / "stats.jsonl").read_text().splitlines()) if key in line]


@pytest.fixture
def fail_at(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """fail_at(47, fault): call fault(trainer) before step 47; every time, or only once."""

    def arm(step: int, fault: Callable[[GanTrainer], None], once: bool = True) -> None:
        sound, left = GanTrainer.step, [step]

        def faulty(self: GanTrainer, number: int) -> Scalars:
            if number in left:
                if once:
                    left.clear()
                fault(self)
            return sound(self, number)

        monkeypatch.setattr(GanTrainer, "step", faulty)

    return arm


def break_weights(trainer: GanTrainer) -> None:
    next(trainer.generator.parameters()).data.fill_(float("nan"))


def interrupt(trainer: GanTrainer) -> None:
    raise KeyboardInterrupt


def test_healthy_run_ends_without_findings_and_keeps_its_best(images: torch.Tensor, tmp_path: Path) -> None:
    run = train(tmp_path / "run", images)
    assert lines(run.folder, "event") == []
    reports = lines(run.folder, "d_loss")
    assert all(line["r1"] > 0 and line["r2"] > 0 and line["learning_rate"] == 2e-3 for line in reports)
    evaluations = lines(run.folder, "frechet")
    assert [line["images"] for line in evaluations] == [960, 1920, 2880, 3840, 4800]
    best = min(evaluations, key=lambda line: line["frechet"])
    assert best["frechet"] < 0.9 * evaluations[0]["frechet"]
    assert best["diversity"] > 0.6
    checkpoint = run.load_checkpoint(BEST)
    assert checkpoint is not None
    assert checkpoint["step"] == best["step"]
    for name in ("report.html", "losses.png", "metrics.png", "walk.webp", "neighbours.png"):
        assert (run.folder / name).stat().st_size > 500
    real = read_reference(run.folder)
    assert real is not None
    assert real.fidelity.frechet < evaluations[0]["frechet"]
    assert real.fidelity.coverage > 0.8
    assert list((run.folder / "tensorboard").iterdir())


def test_collapse_is_reported_while_it_happens(images: torch.Tensor, tmp_path: Path) -> None:
    run = train(tmp_path / "run", images, images=3200, **COLLAPSING)
    first, *_ = lines(run.folder, "event")
    assert "The samples are nearly all alike: their diversity is 0." in first["event"]
    assert "Try --set objective=relativistic" in first["event"]
    assert first["images"] == 2880


def test_collapse_stops_the_run_if_asked(images: torch.Tensor, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"Stopped because of --on-collapse stop. The samples are nearly all alike"):
        train(tmp_path / "run", images, "stop", **COLLAPSING)
    assert (tmp_path / "run" / BEST).is_file()
    assert lines(tmp_path / "run", "step")[-1]["images"] == 2880
    checkpoint = Run.open(tmp_path / "run", GanPlan).load_checkpoint()
    assert checkpoint is not None
    assert checkpoint["step"] == 180


def test_collapse_rolls_the_run_back_with_lower_rates_if_asked(images: torch.Tensor, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"gone back 3 times, each time with lower learning rates, without success"):
        train(tmp_path / "run", images, "rollback", evaluation={"every": 20}, **COLLAPSING)
    checkpoint = Run.open(tmp_path / "run", GanPlan).load_checkpoint()
    assert checkpoint is not None
    assert (checkpoint["run_state"]["rollbacks"], checkpoint["run_state"]["lr_scale"]) == (3, 0.125)
    events = [line["event"] for line in lines(tmp_path / "run", "event")]
    assert any("The run has collapsed. Back to the checkpoint" in event for event in events)


def test_nan_rolls_the_run_back(images: torch.Tensor, tmp_path: Path, fail_at: Callable[..., None]) -> None:
    fail_at(47, break_weights)
    run = train(tmp_path / "run", images, images=1600, checkpoint_every=20)
    (event,) = lines(run.folder, "event")
    assert event["step"] == 40
    assert (
        "became NaN or infinite at step 60. Back to the checkpoint of 640 images, with learning rates times 0.5."
        in event["event"]
    )
    checkpoint = run.load_checkpoint()
    assert checkpoint is not None
    assert checkpoint["step"] == 100


def test_run_that_always_diverges_ends_with_a_message(
    images: torch.Tensor, tmp_path: Path, fail_at: Callable[..., None]
) -> None:
    fail_at(47, break_weights, once=False)
    with pytest.raises(RunError, match=r"became NaN or infinite .* The run has gone back 3 times"):
        train(tmp_path / "run", images, evaluation={"every": 0}, checkpoint_every=20)
    checkpoint = Run.open(tmp_path / "run", GanPlan).load_checkpoint()
    assert checkpoint is not None
    assert checkpoint["step"] == 40


@pytest.mark.parametrize(
    "options",
    [
        {"augment": ("translation", "cutout", "colour"), "instance_noise": 0.1, "flip": True, "optimizer.schedule": "cosine"},
        {"shared_pass": False, "d_steps": 2, "pack": 2, "objective": "bce", "skip_below": 1.2, "optimizer.warm_up": 0.1},
        {"features": {"layers": ("relu1_1", "relu1_2"), "start": 0.2}},
        {"augment": ("translation",), "augmentation.target": 0.6, "optimizer.final_beta2": 0.5},
    ],
)
def test_interrupted_and_resumed_run_ends_bit_identical(
    images: torch.Tensor, tmp_path: Path, vgg_weights: Path, options: dict[str, Any], fail_at: Callable[..., None]
) -> None:
    """Interrupted after the checkpoint at step 20, between the evaluations at steps 15 and 30."""
    options |= {"images": 640 * options.get("d_steps", 1), "checkpoint_every": 20, "evaluation.every": 15, "width": 4}
    vgg = VggFeatures(options["features"]["layers"], vgg_weights) if "features" in options else None
    whole = train(tmp_path / "whole", images, vgg=vgg, **options)
    fail_at(28, interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", images, vgg=vgg, **options)
    cut = Run.open(tmp_path / "cut", GanPlan)
    assert isinstance(cut.plan, GanPlan)
    train_gan(Run(cut.folder, cut.plan), images, FABRIC, build_features("pixels"), vgg=vgg)
    for name in (LAST, BEST):
        assert same(whole.load_checkpoint(name), cut.load_checkpoint(name))
    by_steps = [[line for line in lines(run.folder, "step") if line["step"] % 10 == 0] for run in (whole, cut)]
    for line, again in zip(*by_steps, strict=True):
        assert line | {"images_per_second": 0} == again | {"images_per_second": 0}


@pytest.fixture(scope="module")
def short(images: torch.Tensor, tmp_path_factory: pytest.TempPathFactory) -> Run[GanPlan]:
    """A whole run of 20 steps, to compare with. Tests only read it."""
    return train(tmp_path_factory.mktemp("short") / "run", images, **SHORT)


def test_what_is_shown_and_saved_never_changes_the_weights(images: torch.Tensor, tmp_path: Path) -> None:
    options: dict[str, Any] = {"images": 320, "evaluation.every": 10, "augment": ("translation",)}
    often = train(tmp_path / "often", images, sample_every=6, checkpoint_every=3, **options)
    rarely = train(tmp_path / "rarely", images, sample_every="auto", checkpoint_every="auto", **options)
    for name in (LAST, BEST):
        assert same(often.load_checkpoint(name), rarely.load_checkpoint(name))


def test_nan_returns_to_the_same_step_regardless_of_the_clock(
    images: torch.Tensor, tmp_path: Path, fail_at: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the clock, checkpoints come after any step. The weights must not depend on which."""
    monkeypatch.setattr(loop, "_FALLBACK_EVERY", 20)
    ended = []
    for name, saved in (("late", set[int]()), ("early", {41, 46})):
        fail_at(47, break_weights)
        monkeypatch.setattr(Interval, "due", lambda self, step, look=True, saved=saved: step in saved)
        run = train(tmp_path / name, images, images=960, checkpoint_every="auto", evaluation={"every": 0})
        assert "Back to the checkpoint of 640 images" in lines(run.folder, "event")[0]["event"]
        ended.append(run.load_checkpoint())
    assert same(*ended)


def test_first_sheet_and_report_do_not_wait_for_a_step(
    images: torch.Tensor, tmp_path: Path, fail_at: Callable[..., None]
) -> None:
    fail_at(1, interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", images, sample_every="auto")
    assert (tmp_path / "run" / "samples" / "0000000.png").is_file()
    assert "samples/0000000.png" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_run_keeps_every_step_and_resumes_bit_identical(
    number: signal.Signals, images: torch.Tensor, tmp_path: Path, fail_at: Callable[..., None]
) -> None:
    options: dict[str, Any] = {"images": 640, "evaluation.every": 15}
    whole = train(tmp_path / "whole", images, **options)
    fail_at(30, lambda trainer: signal.raise_signal(number))  # during a step after which an evaluation is due
    with pytest.raises(Stopped) as stopped:
        train(tmp_path / "cut", images, **options)
    assert (stopped.value.step, stopped.value.exit_code) == (30, 128 + number)
    cut = Run.open(tmp_path / "cut", GanPlan)
    checkpoint = cut.load_checkpoint()
    assert checkpoint is not None
    assert checkpoint["step"] == 30
    assert [line["step"] for line in lines(cut.folder, "frechet")] == [15]  # an evaluation can take minutes
    train_gan(cut, images, FABRIC, build_features("pixels"))
    assert [line["step"] for line in lines(cut.folder, "frechet")] == [15, 30, 40]
    for name in (LAST, BEST):
        assert same(whole.load_checkpoint(name), cut.load_checkpoint(name))


def test_stop_ends_a_running_evaluation(
    images: torch.Tensor, short: Run[GanPlan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = Pixels.forward

    def stop(self: Pixels, batch: torch.Tensor) -> torch.Tensor:
        signal.raise_signal(signal.SIGTERM)
        return forward(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Pixels, "forward", stop)
        with pytest.raises(Stopped) as stopped:
            train(tmp_path / "cut", images, **SHORT)
    assert stopped.value.step == 10
    cut = Run.open(tmp_path / "cut", GanPlan)
    train_gan(cut, images, FABRIC, build_features("pixels"))
    for name in (LAST, BEST):
        assert same(short.load_checkpoint(name), cut.load_checkpoint(name))


def test_second_signal_ends_a_run_at_once_with_whole_files(
    images: torch.Tensor, tmp_path: Path, fail_at: Callable[..., None]
) -> None:
    def twice(trainer: GanTrainer) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    fail_at(25, twice)
    with pytest.raises(KeyboardInterrupt) as stopped:
        train(tmp_path / "run", images, checkpoint_every=10)
    assert not isinstance(stopped.value, Stopped)
    checkpoint = Run.open(tmp_path / "run", GanPlan).load_checkpoint()
    assert checkpoint is not None
    assert checkpoint["step"] == 20


def test_trial_of_threads_leaves_no_trace(
    images: torch.Tensor, short: Run[GanPlan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def try_three(device: torch.device, asked: int | None, recorded: int | None, trial: Callable[[], object] | None) -> int:
        assert asked is recorded is None
        assert trial
        for _ in range(3):
            trial()
        return 1

    monkeypatch.setattr(loop, "use_threads", try_three)
    tried = train(tmp_path / "tried", images, **SHORT)
    assert same(short.load_checkpoint(), tried.load_checkpoint())
    assert Run.open(tried.folder, GanPlan).plan.threads == 1


def same(one: object, other: object) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    return one == other


def test_two_processes_train_the_same_networks(tmp_path: Path) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.training.processes", str(tmp_path)]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    for part in ("g_optimizer", "d_optimizer"):
        assert same(first[part], second[part])
    assert same(first["discriminator"], second["discriminator"])
    alone = GanTrainer(processes.CONFIG, FABRIC, processes.IMAGES)
    for number in range(3):
        halves = torch.cat([first["real"][number], second["real"][number]])
        assert torch.equal(halves, alone.batches.real(number))


def test_images_are_held_out_if_there_are_enough() -> None:
    learned, real = split(16_000, 1000, seed=0)
    assert (len(learned), len(real)) == (15_000, 1000)
    assert not set(learned) & set(real)
    learned, real = split(300, 1000, seed=0)
    assert (len(learned), len(real)) == (300, 150)  # half, so that the other half can take the place of samples


@pytest.mark.parametrize("count", [16, 17, 300, 1000, 16_000])
def test_reference_uses_the_same_number_of_other_real_images(count: int) -> None:
    learned, real = split(count, 1000, seed=0)
    rest = others(learned, real)
    assert len(set(rest)) == len(rest) == len(real)
    assert set(rest) <= set(learned) - set(real)

"""`--config auto` chooses for the images and the machine, and says why. Each choice has a case in which it differs."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from tests.training.commands import done, refused
from tests.training.conftest import MakeImages, draw
from training.data.image_folder import open_image_folder
from training.gan.auto import AutoConfig, Machine, choose
from training.gan.config import FEATURE_LAYERS, GanConfig
from training.gan.folder_facts import FolderFacts, look_at_folder
from training.gan.plan import GanPlan
from training.gan.step_time import StepTime
from training.run import Run

FACTS = FolderFacts(
    images=20_000, distinct=20_000, smallest=64, usual=64, enlarged=0.0, detail=64, colourless=False, transparent=False,
    spread=60.0, mirror=1.2, classes={},
)  # fmt: skip


def machine(*, gpu: bool = False, minutes: float = 60, pixels: float = 0.1, features: float | None = 0.3) -> Machine:
    """A machine that needs these seconds for a step at 64 pixels and width 48, in proportion to the area and the width."""

    def measure(config: GanConfig) -> StepTime:
        work = (config.image_size / 64) ** 2 * getattr(config.generator, "width", 48) / 48
        return StepTime(pixels * work, features and features * work)

    layers = FEATURE_LAYERS if features else ()
    return Machine(gpu=gpu, seconds=60 * minutes, layers=layers, metrics="vgg" if features else "pixels", measure=measure)


QUICK = machine(gpu=True, pixels=0.001, features=0.002)


def chosen(facts: FolderFacts = FACTS, where: Machine | None = None, *changes: str) -> AutoConfig:
    return choose(facts, where or machine(), changes)


def facts(**changes: object) -> FolderFacts:
    return FolderFacts(**{**FACTS.__dict__, **changes})


def reason_of(choice: AutoConfig, key: str) -> str:
    (reason,) = (each for each in choice.reasons if key in each.partition(":")[0])
    return reason


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [
        ("image_size", chosen(), chosen(facts(smallest=130, usual=300))),
        ("image_size", chosen(facts(smallest=300)), chosen(facts(smallest=300), QUICK)),
        ("image_size", chosen(), chosen(facts(enlarged=0.9))),
        ("image_size", chosen(), chosen(FACTS, machine(minutes=2))),
        ("architecture", chosen(), chosen(facts(smallest=256), QUICK)),
        ("generator.width", chosen(), chosen(facts(smallest=128))),
        ("generator.width", chosen(), chosen(facts(colourless=True))),
        ("generator.width", chosen(), chosen(FACTS, machine(pixels=2, features=4))),
        ("channels", chosen(), chosen(facts(colourless=True))),
        ("channels", chosen(), chosen(facts(transparent=True))),
        ("batch_size", chosen(), chosen(FACTS, machine(gpu=True))),
        ("batch_size", chosen(), chosen(facts(smallest=128))),
        ("penalty.r1", chosen(), chosen(facts(smallest=28))),
        ("penalty.r1", chosen(), chosen(facts(images=300, distinct=300))),
        ("augment", chosen(), chosen(facts(distinct=900))),
        ("flip", chosen(), chosen(facts(mirror=1.01))),
        ("classes.count", chosen(facts(classes={"a": 30, "b": 900})), chosen(facts(classes={"a": 300, "b": 900}))),
        ("features.layers", chosen(), chosen(FACTS, machine(features=None))),
        ("features.start", chosen(), chosen(FACTS, machine(minutes=20))),
        ("images", chosen(), chosen(FACTS, machine(minutes=30))),
        ("images", chosen(FACTS, QUICK), chosen(facts(distinct=300), QUICK)),
        ("images", chosen(facts(distinct=9000), QUICK), chosen(facts(distinct=9000, spread=90.0), QUICK)),
        ("evaluation.network", chosen(), chosen(FACTS, machine(features=None))),
        ("evaluation.every", chosen(), chosen(FACTS, machine(minutes=30))),
    ],
)  # fmt: skip
def test_choice_differs_with_the_images_or_the_machine(key: str, one: AutoConfig, other: AutoConfig) -> None:
    assert reason_of(one, key) != reason_of(other, key)
    assert all(": " in reason and reason.endswith(".") for reason in (*one.reasons, *other.reasons))


def test_long_run_fills_its_time() -> None:
    choice = chosen(facts(smallest=128), machine(pixels=0.05, features=0.15))
    config, late = choice.config, 1 - choice.config.features.start
    seconds = config.steps * 2 * (0.05 * config.features.start + 0.15 * late)
    assert seconds == pytest.approx(0.8 * 3600, rel=0.01)


def test_values_of_the_command_line_are_kept_and_the_rest_fits_them() -> None:
    choice = chosen(FACTS, machine(), "image_size=32", "penalty.r1=0.7", "features.layers=[]")
    assert (choice.config.image_size, choice.config.penalty.r1, choice.config.features.layers) == (32, 0.7, ())
    assert choice.config.generator.width == 32  # type: ignore[attr-defined]
    assert not any(key in reason for reason in choice.reasons for key in ("image_size=", "penalty.r1=", "features.layers="))


def test_networks_to_begin_with_are_kept() -> None:
    trained = GanConfig.model_validate({"architecture": "dcgan", "image_size": 32, "channels": 1, "generator": {"width": 8}})
    choice = choose(FACTS, machine(), (), trained)
    assert (choice.config.architecture, choice.config.image_size, choice.config.channels) == ("dcgan", 32, 1)
    assert choice.config.generator == trained.generator


Make = Callable[[str, list[Image.Image]], Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def write(name: str, images: list[Image.Image]) -> Path:
        path = tmp_path / f"{name}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for index, image in enumerate(images):
                with archive.open(f"{index % 2}/{index:03d}.png", "w") as file:
                    image.save(file, "PNG")
        return path

    return write


def test_facts_of_a_folder_are_found(make: Make) -> None:
    drawings = [draw(index, (40, 32)) for index in range(40)]
    found = look_at_folder(open_image_folder(make("plain", drawings)), 32)
    assert (found.images, found.distinct, found.smallest, found.usual) == (40, 40, 32, 32)
    assert (found.colourless, found.enlarged, found.classes) == (False, 0.0, {"0": 20, "1": 20})

    grey = look_at_folder(open_image_folder(make("grey", [each.convert("L").convert("RGB") for each in drawings])), 32)
    assert grey.colourless
    doubled = look_at_folder(open_image_folder(make("doubled", drawings[:20] * 2)), 32)
    assert (doubled.images, doubled.distinct) == (40, 20)
    blurred = [each.resize((10, 8)).resize((40, 32), Image.Resampling.BICUBIC) for each in drawings]
    assert look_at_folder(open_image_folder(make("blurred", blurred)), 32).enlarged > 0.5
    alike = [Image.fromarray(np.asarray(drawings[0]) // 2 + np.asarray(each) // 20) for each in drawings]
    assert look_at_folder(open_image_folder(make("alike", alike)), 32).spread < found.spread / 2


def test_mirror_images_belong_to_a_folder_that_has_them(make: Make) -> None:
    drawings = [draw(index, (32, 32)) for index in range(40)]
    both = look_at_folder(open_image_folder(make("both", drawings + [ImageOps.mirror(each) for each in drawings])), 32)
    one = look_at_folder(open_image_folder(make("one", drawings)), 32)
    assert both.mirror <= 1.03 < one.mirror  # the gradient of a drawing rises to the right


def test_command_keeps_the_choices_and_the_resumed_run_makes_none(
    make_images: MakeImages, vgg_weights: Path, tmp_path: Path
) -> None:
    data, out = make_images("photos", 20, size=(36, 34)), tmp_path / "out"
    run = ["gan", "--data", data, "--out", out, "--vgg", vgg_weights]
    assert "--minutes is for --config auto" in refused(*run, "--minutes", "5")
    auto = [*run, "--config", "auto", "--set", "images=64", "--set", "generator.width=4", "--set", "discriminator.width=4"]
    said = done(*auto, "--minutes", "1000")  # enough for 32 pixels on the busiest machine
    plan = Run.open(out, GanPlan).plan
    assert "image_size=32: the smallest image has a side of 34 pixels." in plan.choices
    assert (plan.config.image_size, plan.config.images, plan.config.evaluation.network) == (32, 64, "vgg")
    assert plan.config.features.layers == FEATURE_LAYERS
    assert plan.config.augment == ("translation", "cutout", "colour")
    assert plan.threads is not None
    assert all(f"  {choice}" in said for choice in plan.choices)
    assert "Choices of --config auto" in (out / "report.html").read_text()
    before = (out / "run.json").read_bytes()
    assert "Choices" not in done(*run, "--resume")
    assert "Choices" not in done(*auto, "--auto-resume")
    assert (out / "run.json").read_bytes() == before


def test_measured_steps_do_not_change_the_run(make_images: MakeImages, tmp_path: Path) -> None:
    data, out, same = make_images("photos", 20, size=(20, 18)), tmp_path / "out", tmp_path / "same"
    tiny = ["images=64", "generator.width=4", "discriminator.width=4", "features.layers=[]", "evaluation.every=0"]
    changes = [word for change in tiny for word in ("--set", change)]
    done("gan", "--data", data, "--out", out, "--config", "auto", "--minutes", "1", *changes)
    (same / "samples").mkdir(parents=True)
    (same / "run.json").write_bytes((out / "run.json").read_bytes())
    done("gan", "--data", data, "--out", same, "--resume")
    measured, unmeasured = (torch.load(run / "checkpoint.pt", weights_only=True)["generator"] for run in (out, same))
    assert all(torch.equal(value, unmeasured[name]) for name, value in measured.items())

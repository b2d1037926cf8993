"""Runs the GAN benchmarks with tiny networks, and checks that the compared training steps are equivalent."""

import json
import math
from pathlib import Path

import pytest
import torch
from PIL import Image

from benchmarks.gan_recipes import DEFAULT, RECIPES, gan_recipes, recipe_config
from benchmarks.gan_step import OURS, PLAIN, _ordinary, architecture_steps, compare, contestants, gan_step, race
from benchmarks.plain_gan import INGREDIENTS, PlainGan
from benchmarks.recipe_results import Outcome, markdown
from benchmarks.shipped_gans import sample
from tests.training.conftest import draw
from tests.training.gan_configs import gan_config
from training.devices import best_precision, launch
from training.errors import ConfigError, RunError
from training.gan.architectures.dcgan import DiscriminatorOptions
from training.gan.config import FEATURE_LAYERS, GanConfig
from training.gan.plan import GanPlan
from training.gan.setup import resolve_gan
from training.gan.trainer import GanTrainer
from training.report.stats import Event, Stats, read_stats
from training.run import Run
from training.vgg import VggFeatures

CPU = torch.device("cpu")
TINY: dict[str, object] = {
    "image_size": 16, "generator.width": 4, "discriminator.width": 4, "batch_size": 8, "latent_size": 8, "penalty.every": 2,
}  # fmt: skip


def tiny(**changes: object) -> GanConfig:
    return resolve_gan(gan_config(TINY, changes), 10_000, False, CPU)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (32, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("objective", ["bce", "hinge", "relativistic"])
@pytest.mark.parametrize("shared", [False, True])
def test_plain_step_computes_the_same_losses(objective: str, shared: bool, images: torch.Tensor) -> None:
    config = tiny(objective=objective, shared_pass=shared, precision="float32", ema_decay=0.0)
    ours = GanTrainer(config, launch(CPU, "float32"), images)
    plain = PlainGan(config, CPU, images, ["both once"] if shared else ["generator once"])
    for step in (1, 2):  # step 2 has penalties
        expected, found = ours.step(step), plain.step(step)
        torch.testing.assert_close(found["d_loss"], expected["d_loss"], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found["g_loss"], expected["g_loss"], rtol=1e-4, atol=1e-5)
    for a, b in ((ours.generator, plain.generator), (ours.discriminator, plain.discriminator)):
        for one, other in zip(a.parameters(), b.parameters(), strict=True):
            assert (one - other).abs().max() < 4e-4  # at most one step apart, at gradients near 0
            assert (one - other).abs().mean() < 2e-5
    for mean, weight in zip(plain.average.parameters(), plain.generator.parameters(), strict=True):
        assert torch.equal(mean, weight)  # ema_decay 0


def test_plain_phases_use_separate_fake_images(images: torch.Tensor) -> None:
    config = tiny(precision="float32")
    plain, once = PlainGan(config, CPU, images), PlainGan(config, CPU, images, ["generator once"])
    first, other = plain.step(1), once.step(1)
    torch.testing.assert_close(first["d_loss"], other["d_loss"])
    assert first["g_loss"] != other["g_loss"]


def test_ingredients_do_not_change_the_loss(images: torch.Tensor) -> None:
    config = tiny(precision="float32")
    plain = PlainGan(config, CPU, images).step(1)["d_loss"]
    for ingredient in INGREDIENTS:
        found = PlainGan(config, CPU, images, [ingredient]).step(1)["d_loss"]
        torch.testing.assert_close(found, plain, rtol=0.02 if ingredient == "bfloat16" else 1e-5, atol=1e-5)


def test_refuses_unsupported_settings(images: torch.Tensor) -> None:
    with pytest.raises(ConfigError, match=r"does not support pack\. Leave it at 1"):
        PlainGan(tiny(pack=2), CPU, images)
    for architecture in ("msg", "progressive"):
        with pytest.raises(ConfigError, match=f"does not support architecture {architecture}"):
            PlainGan(tiny(architecture=architecture), CPU, images)


def test_slice_weights_steps_with_penalties() -> None:
    assert [_ordinary(number, 4) for number in range(1, 8)] == [1, 2, 3, 5, 6, 7, 9]
    assert [_ordinary(number, 0) for number in range(1, 4)] == [1, 2, 3]
    seen: list[int] = []
    race({PLAIN: seen.append}, tiny(penalty={"r1": 1.0, "r2": 0.0, "every": 4}), CPU, rounds=2, slice_seconds=0.0)
    assert seen == [1, 4, 1, 8, 1, 12]  # an ordinary step and one with penalties, in the warm-up and in each round
    seen.clear()
    race({PLAIN: seen.append}, tiny(penalty={"r1": 0.0, "r2": 0.0}), CPU, rounds=1, slice_seconds=0.0)
    assert seen == [1, 1]


def test_ratios_are_taken_within_a_round() -> None:
    plain, ours = compare({PLAIN: [10.0, 5.0, 20.0], OURS: [20.0, 5.0, 30.0]})
    assert (plain.images_per_second, plain.ratio) == (10.0, 1.0)
    assert (ours.images_per_second, ours.ratio, ours.lowest, ours.highest) == (20.0, 1.5, 1.0, 2.0)


def test_measures_all_ingredients(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = [f"{key}={value}" for key, value in TINY.items()]
    gan_step("toon-heads", changes, "cpu", seconds=0.02, slice_=0.01, ablation=True, json_=tmp_path / "speeds.json")
    speeds = json.loads((tmp_path / "speeds.json").read_text())["speeds"]
    here = [name for name in INGREDIENTS if name != "bfloat16" or best_precision(CPU) == "bfloat16"]
    names = [PLAIN, *(f"plain + {name}" for name in here), *(f"... + {name}" for name in here[1:]), OURS]
    assert [speed["name"] for speed in speeds] == names
    for speed in speeds:
        assert speed["images_per_second"] > 0
        assert 0 < speed["lowest"] <= speed["ratio"] <= speed["highest"] < math.inf
    shown = capsys.readouterr().out
    assert all(name in shown for name in here)
    assert list(contestants(tiny(), CPU, ablation=False)) == [PLAIN, OURS]


def test_compares_architectures_at_fractions_of_the_run() -> None:
    steps = architecture_steps(tiny(architecture="mlp"), CPU, ["mlp", "progressive"])
    assert [*steps][:3] == ["mlp", "progressive at 5%", "progressive at 15%"]
    trainer = steps["progressive at 75%"].args[0]  # type: ignore[attr-defined]
    for name, level in (("progressive at 5%", 0), ("progressive at 75%", 2)):
        assert {"r1", "d_loss"} <= steps[name](2).keys()  # type: ignore[attr-defined]
        assert trainer.generator.level == level


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(24):
        draw(index, (20, 18)).save(folder / f"{index}.png")
    return folder


def compare_recipes(data: Path, out: Path, only: list[str], images: int = 32, vgg: Path | None = None) -> str:
    set_ = ["batch_size=16", "latent_size=8", "evaluation.samples=16"]
    gan_recipes(
        data, out, size=16, width=4, images=images, evaluations=1, features="pixels", weights=None, vgg=vgg, only=only,
        set_=set_, table=out.with_suffix(".md"), device="cpu",
    )  # fmt: skip
    return out.with_suffix(".md").read_text()


def rows(table: str) -> list[list[str]]:
    lines = [line for line in table.splitlines() if line.startswith("| ")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_compares_recipes_and_skips_finished_runs(image_folder: Path, vgg_weights: Path, tmp_path: Path) -> None:
    out, chosen = tmp_path / "recipes", ["classic", DEFAULT]
    table = rows(compare_recipes(image_folder, out, chosen, vgg=vgg_weights))
    assert [row[0] for row in table] == [RECIPES[name].title for name in chosen]
    for _, by_images, by_time, speed, _ in table:
        numbers = [*by_images.split(", "), *by_time.removesuffix(" *").split(", "), speed]
        assert len(numbers) == 7
        assert all(math.isfinite(float(number.replace(",", ""))) for number in numbers)
    with Image.open(out / "recipes.png") as sheet:
        assert sheet.height >= 2 * 16
        assert sheet.width > 8 * 16

    files = [out / name / "checkpoint.pt" for name in chosen]
    made, stats = [file.stat().st_mtime_ns for file in files], out / "classic" / "stats.jsonl"
    measured = [row["frechet"] for row in read_stats(stats, 16).evaluations]
    files[0].unlink()  # as if the run had been killed before its first checkpoint
    compare_recipes(image_folder, out, chosen, vgg=vgg_weights)
    assert [row["frechet"] for row in read_stats(stats, 16).evaluations] == measured
    again = [file.stat().st_mtime_ns for file in files]
    assert again[0] > made[0]
    assert again[1] == made[1]

    with pytest.raises(RunError, match=r"was trained with other settings or images\. Choose another --out"):
        compare_recipes(image_folder, out, ["classic"], images=64)


def test_all_recipes_train(images: torch.Tensor, vgg_weights: Path) -> None:
    for name in RECIPES:
        config = resolve_gan(recipe_config(name, {**TINY, "images": 80, "precision": "float32"}, 1), 10_000, False, CPU)
        vgg = VggFeatures(config.features.layers, vgg_weights) if config.features.layers else None
        trainer = GanTrainer(config, launch(CPU, "float32"), images, vgg)
        before = [weight.clone() for weight in trainer.generator.parameters()]
        for step in (1, 2):
            losses = trainer.step(step)
        assert all(loss.isfinite() for loss in losses.values()), name
        assert not any(map(torch.equal, before, trainer.generator.parameters())), name


def test_refuses_unknown_recipe(image_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"There is no recipe clasic\. Known: classic, ttur, "):
        compare_recipes(image_folder, tmp_path / "recipes", ["clasic"])


def test_values_of_a_recipe_override_common_values() -> None:
    common = {"optimizer.learning_rate": 1e-3, "batch_size": 16, "images": 1600}
    classic, default = recipe_config("classic", common, 7), recipe_config(DEFAULT, common, 7)
    assert (classic.optimizer.learning_rate, classic.batch_size, classic.discriminator) == (
        2e-4,
        16,
        DiscriminatorOptions(norm=True),
    )
    assert default == gan_config(
        optimizer={"learning_rate": 1e-3},
        batch_size=16,
        images=1600,
        architecture="dcgan-residual",
        features={"layers": FEATURE_LAYERS},
        evaluation={"every": 15},
        sample_every=15,
        checkpoint_every=15,
    )


def outcome(folder: Path, name: str, rate: float, frechets: list[float], events: tuple[Event, ...] = ()) -> Outcome:
    """The outcome of a run with an evaluation every 100 images, at a given number of images per second."""
    rows = []
    for turn, frechet in enumerate(frechets, 1):
        place = {"step": 10.0 * turn, "images": 100.0 * turn}
        rows += [place | {"images_per_second": rate}, place | {"frechet": frechet, "density": 0.5, "coverage": 0.25}]
    config = gan_config(channels=3, images=300, batch_size=10, evaluation={"network": "pixels"})
    plan = GanPlan(config=config, data="heads.zip", images=40)
    return Outcome(name, name.title(), Run.create(folder / name, plan), Stats(tuple(rows), events))


def test_table_compares_at_equal_images_and_equal_time(tmp_path: Path) -> None:
    alike = "The samples are nearly all alike: their diversity is 0.10, that of real images is 1."
    events = (
        Event(10, 100, f"{alike} The discriminator has won: it tells real from fake. Try another --set: pack=2."),
        Event(20, 200, alike),
    )
    slow = outcome(tmp_path, "slow", 2.0, [90.0, 60.0, 40.0], events)  # 50 s, 100 s, 150 s
    default = outcome(tmp_path, "default", 4.0, [80.0, 50.0, 30.0])  # 25 s, 50 s, 75 s
    fast = outcome(tmp_path, "fast", 10.0, [70.0, 65.0, 55.0])  # done after 30 s
    assert slow.curve.seconds.tolist() == [50, 100, 150]
    table = markdown([slow, default, fast], "default")
    assert "at 300 images | the same after 75 seconds of training" in table
    assert "heads.zip: 40 images, 64x64, generator width 64, batches of 10, seed 0; measured in pixels features." in table
    won = "The samples are nearly all alike (first at 100 images). The discriminator has won (first at 100 images)."
    assert rows(table) == [
        ["Slow", "40.0, 0.50, 0.25", "75.0, 0.50, 0.25", "2", won],
        ["Default", "30.0, 0.50, 0.25", "30.0, 0.50, 0.25", "4", "nothing"],
        ["Fast", "55.0, 0.50, 0.25", "55.0, 0.50, 0.25 *", "10", "nothing"],
    ]
    assert "finished earlier" in table
    assert "after 30 seconds" in markdown([slow, fast], "default")  # the fastest recipe, if there is no default


def test_truncation_0_makes_equal_samples() -> None:
    digits = Path("exported/digits.onnx")
    whole, none = sample(digits, 2), sample(digits, 2, truncation=0)
    assert (whole[0] != whole[1]).any()
    assert (none[0] == none[1]).all()

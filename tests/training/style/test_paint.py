"""Painting by optimisation: the objective, the optimisation and the command."""

import itertools
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

from ganvas.api import UPLOAD_FORMATS_TEXT
from tests.training.conftest import draw
from training.cli.app import app
from training.errors import DataError, NotFiniteError
from training.metrics.brushwork import relative_error
from training.style.config import PaintConfig
from training.style.losses import content_loss, gram_matrix, style_loss, total_variation
from training.style.objective import Objective, features_for
from training.style.paint import Losses, optimise, paint
from training.vgg import VggFeatures

SMALL = {"content_layers": ("relu2_2",), "style_layers": ("relu1_2", "relu2_1"), "size": 64, "style_size": 64}


@pytest.fixture
def vgg(vgg_weights: Path) -> VggFeatures:
    return VggFeatures(features_for(config()), vgg_weights)


def config(**changes: object) -> PaintConfig:
    return PaintConfig.model_validate(SMALL | changes)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 255


PHOTO = noise(1, 3, 48, 64)
PAINTINGS = {"one": noise(1, 3, 64, 70, seed=1), "two": 0.3 * noise(1, 3, 64, 64, seed=2)}


def test_absolute_objective_is_the_sum_of_the_losses_of_the_papers(vgg: VggFeatures) -> None:
    settings = config(objective="absolute", style_scales=(1,), content_weight=2.0, style_weight=3.0, variation_weight=0.5)
    painted, photos = noise(2, 3, 32, 40, seed=3), noise(2, 3, 32, 40, seed=4)
    objective = Objective(settings, PAINTINGS, vgg)
    terms = objective(painted, objective.content(photos), torch.tensor([[1.0, 0.0], [0.0, 1.0]]))

    features, targets = vgg(painted), vgg(photos)
    assert torch.allclose(terms.content, 2 * content_loss(features["relu2_2"], targets["relu2_2"]))
    for row, painting in enumerate(PAINTINGS.values()):
        wanted = vgg(painting)
        style = [
            style_loss(gram_matrix(features[layer][row : row + 1]), gram_matrix(wanted[layer]))
            for layer in settings.style_layers
        ]
        assert terms.style[row].item() == pytest.approx(3 * sum(each.item() for each in style), rel=1e-4)
    assert torch.allclose(terms.variation, 0.5 * total_variation(painted))
    assert torch.allclose(terms.total, terms.content + terms.style + terms.variation)


def test_relative_objective_divides_each_error_by_the_square_of_its_target(vgg: VggFeatures) -> None:
    settings = config(content_weight=2.0, style_weight=3.0)
    painted, photos = noise(2, 3, 32, 40, seed=3), noise(2, 3, 32, 40, seed=4)
    objective, seen = Objective(settings, PAINTINGS, vgg), partial(vgg, repeat_edges=True)
    terms = objective(painted, objective.content(photos), torch.eye(2))
    assert torch.allclose(terms.content, 2 * relative_error(seen(painted)["relu2_2"], seen(photos)["relu2_2"]))
    for row, painting in enumerate(PAINTINGS.values()):
        errors = [
            relative_error(gram_matrix(seen(shrunk[row : row + 1])[layer]), gram_matrix(seen(wanted)[layer])).item()
            for shrunk, wanted in [(painted, painting), (halved(painted), halved(painting))]
            for layer in settings.style_layers
        ]
        assert terms.style[row].item() == pytest.approx(3 * np.mean(errors), rel=1e-4)


def test_balanced_photos_share_the_unit_of_their_content(vgg: VggFeatures) -> None:
    """Otherwise the same strokes would cost a smooth photo much more than others."""
    photos = torch.cat([noise(1, 3, 32, 40, seed=4), 120 + 0.02 * noise(1, 3, 32, 40, seed=5)])
    strokes = 0.2 * noise(1, 3, 32, 40, seed=6)

    def contents(*, balanced: bool) -> tuple[float, float]:
        objective = Objective(config(), PAINTINGS, vgg)
        if balanced:
            objective.balance(photos.byte())
        busy, smooth = objective(photos + strokes, objective.content(photos), torch.eye(2)).content.tolist()
        return busy, smooth

    (busy, smooth), (busy_before, smooth_before) = contents(balanced=True), contents(balanced=False)
    assert smooth / busy < 0.5 * smooth_before / busy_before
    seen = partial(vgg, repeat_edges=True)
    kept = seen(photos.byte().float())["relu2_2"]
    errors = (seen(photos + strokes)["relu2_2"] - seen(photos)["relu2_2"]).square().mean(dim=(1, 2, 3)) / kept.square().mean()
    assert (busy, smooth) == pytest.approx(errors.tolist(), rel=1e-3)


def halved(images: Tensor) -> Tensor:
    return torch.nn.functional.avg_pool2d(images, 2)


@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_each_layer_has_the_same_share_of_a_relative_objective(vgg: VggFeatures, factor: float) -> None:
    settings = config(style_layers=("relu1_2",))
    painted, style = noise(1, 3, 32, 40, seed=3), torch.tensor([[1.0]])

    def loss() -> float:
        objective = Objective(settings, {"one": PAINTINGS["one"]}, vgg)
        return objective(painted, objective.content(PHOTO[:, :, :32, :40]), style).style.item()

    before = loss()
    with torch.no_grad():  # all features of the layer, the painting's too, become larger or smaller
        for parameter in vgg.network[2].parameters():
            parameter.mul_(factor)
    assert loss() == pytest.approx(before, rel=1e-3)


def test_bfloat16_features_give_nearly_the_same_losses(vgg: VggFeatures) -> None:
    painted, photos = noise(2, 3, 32, 40, seed=3).requires_grad_(), noise(2, 3, 32, 40, seed=4)
    found = []
    for precision in ("float32", "bfloat16"):
        objective = Objective(config(), PAINTINGS, vgg.in_precision(precision))
        terms = objective(painted, objective.content(photos), torch.eye(2))
        (gradient,) = torch.autograd.grad(terms.total.sum(), painted)
        found.append((terms.content, terms.style, gradient))
    for exact, near in zip(*found, strict=True):
        assert near.dtype == torch.float32
        assert 0 < (near - exact).norm() < 0.05 * exact.norm()


def test_loss_of_a_blend_is_the_weighted_sum_over_its_styles(vgg: VggFeatures) -> None:
    painted = noise(1, 3, 32, 40, seed=3).requires_grad_()
    objective = Objective(config(objective="absolute"), PAINTINGS, vgg)
    objective.balances = torch.tensor([0.5, 2.0])  # as for photos that are far from the second style
    content = objective.content(PHOTO[:, :, :32, :40])

    def style(*weights: float) -> tuple[float, Tensor]:
        loss = objective(painted, content, torch.tensor([weights])).style.sum()
        (gradient,) = torch.autograd.grad(loss, painted)
        return loss.item(), gradient

    (one, by_one), (two, by_two), (both, by_both) = style(1.0, 0.0), style(0.0, 1.0), style(0.7, 0.3)
    assert both == pytest.approx(0.7 * one + 0.3 * two, rel=1e-4)
    assert torch.allclose(by_both, 0.7 * by_one + 0.3 * by_two, rtol=1e-3, atol=1e-4 * by_both.abs().max().item())


def test_relative_loss_of_a_blend_is_in_units_of_the_blend(vgg: VggFeatures) -> None:
    painted, layer = noise(1, 3, 32, 40, seed=3), "relu1_2"
    objective = Objective(config(style_layers=(layer,), style_scales=(1,), style_weight=1.0), PAINTINGS, vgg)
    terms = objective(painted, objective.content(painted), torch.tensor([[0.7, 0.3]]))
    seen = partial(vgg, repeat_edges=True)
    found = gram_matrix(seen(painted)[layer])
    targets = [gram_matrix(seen(painting)[layer]) for painting in PAINTINGS.values()]
    errors, units = (
        [f(target).item() for target in targets] for f in (lambda t: style_loss(found, t), lambda t: t.square().mean())
    )
    assert terms.style.item() == pytest.approx(np.dot((0.7, 0.3), errors) / np.dot((0.7, 0.3), units), rel=1e-4)


def test_balanced_styles_are_equally_far_from_photos(vgg: VggFeatures) -> None:
    photos = noise(3, 3, 32, 32, seed=5).byte()
    objective = Objective(config(objective="absolute"), PAINTINGS, vgg)
    for _ in range(2):  # the second call changes nothing
        objective.balance(photos)
        content = objective.content(photos.float())
        one, two = (objective(photos.float(), content, torch.eye(2)[k].expand(3, -1)).style.mean() for k in (0, 1))
        assert one.item() == pytest.approx(two.item(), rel=1e-4)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
@pytest.mark.parametrize("start", ["content", "noise"])
def test_painting_lowers_the_objective(optimizer: str, start: str, vgg: VggFeatures) -> None:
    history: list[Losses] = []
    settings = config(optimizer=optimizer, start=start, iterations=24, content_weight=0.1)
    painted = paint(settings, PHOTO, PAINTINGS, torch.tensor([1.0, 0.0]), vgg, lambda losses, _: history.append(losses))
    assert painted.shape == (1, 3, 48, 64)
    assert 0 <= painted.min() <= painted.max() <= 255
    assert [losses.iteration for losses in history] == list(range(1, 25))
    assert history[-1].total < 0.5 * history[0].total
    if optimizer == "lbfgs":
        assert all(after.total <= before.total for before, after in itertools.pairwise(history))


def test_reported_losses_are_those_of_the_image(vgg: VggFeatures) -> None:
    settings = config(iterations=5)
    image, weights = PHOTO.clone(), torch.tensor([1.0, 0.0])
    objective = Objective(settings, PAINTINGS, vgg)
    *_, last = optimise(settings, objective, PHOTO, image, weights)
    assert objective(image, objective.content(PHOTO), weights[None]).total.item() == pytest.approx(last.total, rel=1e-4)


def test_without_style_loss_the_result_is_the_photo(vgg: VggFeatures) -> None:
    only = {"style_weight": 0.0, "variation_weight": 0.0}
    weights = torch.tensor([1.0, 0.0])
    assert torch.equal(paint(config(**only, iterations=3), PHOTO, PAINTINGS, weights, vgg), PHOTO)
    history: list[Losses] = []
    paint(
        config(**only, iterations=40, start="noise"), PHOTO, PAINTINGS, weights, vgg, lambda losses, _: history.append(losses)
    )
    assert history[-1].content < 0.3 * history[0].content
    assert history[-1].style == history[-1].variation == 0


def test_paints_coarse_to_fine(vgg: VggFeatures) -> None:
    history: list[Losses] = []
    settings = config(size=128, scales=2, iterations=3)
    painted = paint(settings, PHOTO, PAINTINGS, torch.tensor([1.0, 0.0]), vgg, lambda losses, _: history.append(losses))
    assert painted.shape == (1, 3, 96, 128)
    assert [(losses.iteration, losses.size) for losses in history] == [(1, 64), (2, 64), (3, 64), (4, 128), (5, 128), (6, 128)]


def test_refuses_images_that_are_too_thin(vgg: VggFeatures) -> None:
    weights = torch.tensor([1.0, 0.0])
    with pytest.raises(
        DataError, match=r"At 64 pixels, the photo is 64 x 16\. Both sides need at least 32 pixels\. Choose a larger size"
    ):
        paint(config(), noise(1, 3, 16, 64), PAINTINGS, weights, vgg)
    with pytest.raises(DataError, match="At 64 pixels, two is 8 x 400"):
        paint(config(), PHOTO, PAINTINGS | {"two": noise(1, 3, 400, 8)}, weights, vgg)
    with pytest.raises(NotFiniteError, match=r"at iteration 1\. Lower the weights .* or choose --set optimizer=adam"):
        paint(config(), PHOTO, PAINTINGS | {"one": torch.full((1, 3, 64, 64), math.nan)}, weights, vgg)


@pytest.fixture
def command(tmp_path: Path, vgg_weights: Path) -> list[str]:
    for index, name in enumerate(("photo.png", "night.png", "wave:2.png")):
        draw(index, (80, 60)).save(tmp_path / name)
    layers = ["--set", 'content_layers=["relu1_2"]', "--set", 'style_layers=["relu1_1"]', "--set", "size=64"]
    return ["paint", "--content", str(tmp_path / "photo.png"), "--vgg", str(vgg_weights), *layers]


def test_command_writes_image_losses_and_intermediate_images(command: list[str], tmp_path: Path) -> None:
    styles = ["--style", f"{tmp_path / 'night.png'}:0.7", "--style", str(tmp_path / "wave:2.png")]
    samples = ["--set", "iterations=4", "--set", "sample_every=2"]
    result = CliRunner().invoke(app, [*command, *styles, "--out", str(tmp_path / "out.webp"), *samples])
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "out.webp") as image:
        assert (image.format, image.size) == ("WEBP", (64, 48))
    lines = [json.loads(line) for line in (tmp_path / "out-losses.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == [1, 2, 3, 4]
    assert set(lines[0]) == {"iteration", "size", "content", "style", "variation"}
    made = {path.name for path in tmp_path.iterdir() if path.name.startswith("out")}
    assert made == {"out.webp", "out-losses.jsonl", "out-losses.png", "out-0002.webp", "out-0004.webp"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--style", "none.jpg"], f"none.jpg is not a file. Name an image: {UPLOAD_FORMATS_TEXT}."),
        (["--style", "photo.png:0"], "the weight must be a number above 0, such as photo.png:0.5"),
        (["--style", "broken.png"], f"broken.png cannot be read: not a {UPLOAD_FORMATS_TEXT} image. Name another image"),
        (
            ["--out", "out.tiff"],
            "out.tiff is not an image file that can be written. Let --out end in .png, .jpg, .jpeg",
        ),
        (["--out", "night.png"], "night.png exists already. Name another file with --out."),
        (["--out", "none/out.png"], "none is not a folder. Make it first"),
        (["--set", "start=white"], "start: Input should be 'content' or 'noise'"),
    ],
)
def test_command_refuses_invalid_arguments(
    change: list[str], words: str, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.png").write_text("no image")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    rest = [] if "--style" in change else ["--style", "night.png"]
    out = [] if "--out" in change else ["--out", "out.png"]
    result = CliRunner().invoke(app, [*command, *change, *rest, *out])
    assert result.exit_code == 2
    assert words in re.sub(r"[\s│]+", " ", result.output)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_stopped_painting_is_kept(command: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    long = ["--style", str(tmp_path / "night.png"), "--out", str(out), "--set", "iterations=100000", "--set", "sample_every=1"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-m", "training", *command, *long], stderr=subprocess.PIPE, env=environment)
    waited = time.monotonic() + 120
    while not (tmp_path / "out-0002.png").exists() and time.monotonic() < waited:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert re.search(r"Wrote .*out\.png as of iteration \d+\.", error.decode())
    with Image.open(out) as image:
        assert image.size == (64, 48)
    assert (tmp_path / "out-losses.jsonl").read_text().count("\n") >= 2

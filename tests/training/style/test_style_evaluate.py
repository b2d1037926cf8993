"""Evaluation of a small style run and its exported file on the command line, compared with numbers computed here."""

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganvas.card import StylizerCard
from tests.service.onnx_models import generator_card, generator_model, save, stylizer_card, stylizer_model
from tests.training.commands import done, refused
from tests.training.conftest import draw
from training.data.image_folder import open_image_folder
from training.data.paintings import load_paintings
from training.onnx_file import read_card
from training.style.config import PaintConfig
from training.style.evaluate import spread
from training.style.objective import Objective, features_for
from training.style.paint import optimise
from training.style.painter import load_painter
from training.vgg import VggFeatures

LAYERS = {"content_layers": '["relu1_2"]', "style_layers": '["relu1_1"]'}
TINY = {"width": 4, "residual_blocks": 1, "crop_size": 64, "batch_size": 2, "steps": 2, "style_size": 64, **LAYERS}
SIZE, ITERATIONS = 80, 3
LOSSES = ["Content loss", "Style loss", "Variation loss", "Objective", "Equal iterations of L-BFGS"]
GRAM_LAYERS = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]


def names(size: int) -> list[str]:
    """Of the metrics at one size, in order."""
    return [
        *(f"{name} at {size} px" for name in LOSSES),
        f"Relative Gram error at {size} px",
        *(f"Relative Gram error of {layer} at {size} px" for layer in GRAM_LAYERS),
        f"Relative content error at {size} px",
        "Lattice of 4 px, grey levels",
        "Lattice of 2 px, grey levels",
        "Coarse share, of the painting's",
        f"Change after a shift of 1 px at {size} px, grey levels",
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, vgg_weights: Path) -> Path:
    """Photos, paintings, and a run of two steps."""
    folder = tmp_path_factory.mktemp("style")
    for name, count in (("photos", 4), ("paintings", 2)):
        (folder / name).mkdir()
        for index in range(count):
            draw(index + len(name), (90, 75)).save(folder / name / f"{name[:-1]}-{index}.png")
    values = (word for name, value in TINY.items() for word in ("--set", f"{name}={value}"))
    data = ("--styles", folder / "paintings", "--content", folder / "photos", "--vgg", vgg_weights)
    done("style", *data, "--out", folder / "run", *values)
    return folder


@pytest.fixture
def options(folder: Path, vgg_weights: Path) -> list[object]:
    return [
        "--data", folder / "photos", "--styles", folder / "paintings", "--weights", vgg_weights, "--iterations", ITERATIONS
    ]  # fmt: skip


def by_hand(folder: Path, vgg_weights: Path) -> tuple[np.ndarray, np.ndarray]:
    """The three mean losses of the network, and those of L-BFGS after each iteration."""
    painter = load_painter(folder / "run", torch.device("cpu"))
    settings = PaintConfig.model_validate(painter.config.model_dump() | {"iterations": ITERATIONS})
    vgg = VggFeatures(features_for(settings), vgg_weights)
    objective = Objective(settings, load_paintings(open_image_folder(folder / "paintings"), 64)[0], vgg)
    photos = []
    for index in range(4):
        with Image.open(folder / "photos" / f"photo-{index}.png") as image:
            levels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float()
        small = torch.nn.functional.interpolate(levels, (67, 80), mode="bicubic", antialias=True).clamp(0, 255).round()
        photos.append(small[:, :, :64])
    objective.balance(torch.cat([photo[:, :, :, 8:72] for photo in photos]).byte())
    ours, reference = [], []
    for photo in photos:
        for style in torch.eye(2):
            painted = painter.paint(photo.byte().permute(0, 2, 3, 1), style[None]).permute(0, 3, 1, 2).float()
            with torch.no_grad():
                ours.append([term.item() for term in objective(painted, objective.content(photo), style[None])])
            history = optimise(settings, objective, photo, photo.clone(), style)
            reference.append([(losses.content, losses.style, losses.variation) for losses in history])
    return np.mean(ours, axis=0), np.mean(reference, axis=0)


def rows_of(said: str) -> list[list[str]]:
    """The cells of the table of the objective, which is the first."""
    first = said[: said.index("Brushwork")]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in first.splitlines() if line.startswith("│")]


def test_losses_and_equal_iterations_of_a_run(folder: Path, options: list[object], vgg_weights: Path) -> None:
    said = done("evaluate", folder / "run", *options, "--size", SIZE)
    ours, reference = by_hand(folder, vgg_weights)
    kept = json.loads((folder / "run" / "evaluation.json").read_text())
    assert (kept["step"], kept["data"]) == (2, "photos")
    assert [metric["name"] for metric in kept["metrics"]] == names(80)
    *losses, equal = [metric["value"] for metric in kept["metrics"][: len(LOSSES)]]
    assert losses == pytest.approx([*ours, ours.sum()], rel=1e-4)
    content, style, _, _, iterations = [metric["real"] for metric in kept["metrics"][: len(LOSSES)]]  # of unpainted photos
    assert (content, iterations) == (0, None)
    assert style > 0
    reached = np.flatnonzero(
        reference.sum(axis=1) <= ours.sum()
    )  # the network is hardly trained, so at most as good as the first
    assert equal == reached[0] + 1 == 1
    assert "The network equals 1 iteration of L-BFGS." in said
    rows = {name: cells[3] for name, *cells in rows_of(said)}
    assert list(rows) == ["Unpainted photos", "Network", "L-BFGS, 3 iterations"]
    assert float(rows["L-BFGS, 3 iterations"].replace(",", "")) == pytest.approx(reference[-1].sum(), rel=1e-3)


def test_exported_file_scores_like_its_run(folder: Path, options: list[object], tmp_path: Path) -> None:
    done("evaluate", folder / "run", *options, "--size", 64, "--size", SIZE)
    done("export", folder / "run", tmp_path / "painters.onnx")
    card = read_card(tmp_path / "painters.onnx")
    assert isinstance(card, StylizerCard)
    assert [metric.name for metric in card.metrics] == [*names(64), *names(SIZE)]
    done("evaluate", tmp_path / "painters.onnx", *options, "--size", SIZE, "--write")
    again = read_card(tmp_path / "painters.onnx")
    values = {metric.name: metric.value for metric in card.metrics}
    assert {metric.name: metric.value for metric in again.metrics} == pytest.approx(
        values, rel=1e-2
    )  # the images may differ by one grey level


def test_starts_from_noise_and_takes_fewer_pairs(folder: Path, options: list[object]) -> None:
    both = ("--start", "both", "--pairs", 4)
    said = done("evaluate", folder / "run", *options, "--size", SIZE, *both)
    assert "mean over 4 pairs of 4 photos in 2 styles" in " ".join(said.split())
    assert "The network equals 1 iteration of L-BFGS." in said
    assert re.search(r"The network .* iterations? of L-BFGS from noise\.", said)
    rows = {name: cells for name, *cells in rows_of(said)}
    assert rows["L-BFGS from noise, 3 iterations"] != rows["L-BFGS, 3 iterations"]
    kept = json.loads((folder / "run" / "evaluation.json").read_text())["metrics"]
    assert "Equal iterations of L-BFGS from noise at 80 px" in [metric["name"] for metric in kept]


@pytest.mark.parametrize(("photos", "styles"), [(7, 8), (4, 2), (2, 4), (6, 4), (1, 3)])
def test_pairs_are_spread_evenly(photos: int, styles: int) -> None:
    pairs = spread(photos, styles)
    assert {*pairs} == {*itertools.product(range(photos), range(styles))}
    assert len(pairs) == photos * styles
    first = pairs[: max(photos, styles)]
    assert {i for i, _ in first} == {*range(photos)}
    assert {k for _, k in first} == {*range(styles)}


def test_zero_iterations_compare_nothing(folder: Path, options: list[object]) -> None:
    assert "There is no comparison" in done("evaluate", folder / "run", *options, "--size", 64, "--iterations", 0)


def test_refuses_invalid_arguments(folder: Path, options: list[object], tmp_path: Path) -> None:
    evaluate = ("evaluate", folder / "run", *options)
    assert "--size 32 is too small to judge a painting. Take at least 64." in refused(*evaluate, "--size", 32)
    assert "has 90x75 pixels. For --size 256, the longer side needs at least 256 pixels" in refused(*evaluate)
    assert "has the style painting-0, but --styles holds no painting of that name (only photo-0," in refused(
        *evaluate, "--styles", folder / "photos", "--size", 64
    )
    assert "--write is for exported files" in refused(*evaluate, "--write")
    stylizer = save(stylizer_model(), tmp_path / "painters.onnx", stylizer_card())
    assert "does not say what objective it was trained for" in refused("evaluate", stylizer, *options)
    generator = save(generator_model(), tmp_path / "digits.onnx", generator_card())
    assert "digits.onnx has no option --iterations. Leave it out." in refused("evaluate", generator, *options)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes((folder / "photos" / "photo-0.png").read_bytes()[:-400])
    assert "No photo in" in refused(*evaluate, "--data", tmp_path / "broken", "--size", 64)

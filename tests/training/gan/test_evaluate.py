"""Evaluations of a small run and of its exported file, by the command line, against numbers made by hand."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from ganvas.api import UPLOAD_FORMATS_TEXT
from ganvas.card import Metric, dump_card
from tests.service.onnx_models import generator_card, generator_model, save, stylizer_card, stylizer_model
from tests.training.commands import done, refused
from tests.training.conftest import draw
from training.data.dataset import load_images
from training.data.image_folder import open_image_folder
from training.errors import ExportError
from training.gan.evaluate import EvaluateOptions, choose_real, draw_samples, load_candidate
from training.gan.plan import GanPlan
from training.gan.setup import build_generator
from training.images import to_uint8
from training.metrics.features import build_features, extract
from training.metrics.fidelity import Fidelity, measure
from training.onnx_file import read_card
from training.random import Stream, draw_latents, numpy_rng
from training.run import Run
from training.style.config import StyleConfig
from training.style.plan import StylePlan

COUNT, SAMPLES, K, SEED = 40, 16, 3, 5
OPTIONS = ["--samples", SAMPLES, "--neighbours", K, "--seed", SEED]
NAMES = ["Frechet distance", "Precision", "Recall", "Density", "Coverage", "Diversity"]
METHOD = f"pixels at 16 x 16; {SAMPLES} samples against {SAMPLES} real images, k = {K}, seed {SEED}"
BEAUTY = Metric(name="Beauty", value=0.5, method="by eye")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "photos"
    folder.mkdir()
    for index in range(COUNT):
        draw(index).save(folder / f"{index:03d}.png")
    return folder


@pytest.fixture(scope="module")
def trained(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 6 steps."""
    run = tmp_path_factory.mktemp("runs") / "tiny"
    values = ["image_size=16", "channels=1", "generator.width=4", "latent_size=8", "batch_size=8", "images=48"]
    values += ["discriminator.width=4", "features.layers=[]", "evaluation.network=pixels"]
    done("gan", "--config", "dcgan", "--data", photos, "--out", run, *(word for value in values for word in ("--set", value)))
    return run


@pytest.fixture(scope="module")
def exported(trained: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the run, evaluated before; the card details add a metric."""
    folder = tmp_path_factory.mktemp("exported")
    evaluated = shutil.copytree(trained, folder / "run")
    done("evaluate", evaluated, "--data", photos, *OPTIONS)
    (folder / "details.toml").write_text('[[metrics]]\nname = "Beauty"\nvalue = 0.5\nmethod = "by eye"\n')
    out = folder / "exported" / "tiny.onnx"
    assert "left out" not in done("export", evaluated, out, "--card", folder / "details.toml")
    return out


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run, to write into."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def by_hand(run: Path, photos: Path) -> tuple[Fidelity, Fidelity]:
    """The metrics of the samples and of real images, from the same images."""
    plan = Run.open(run, GanPlan).plan
    assert isinstance(plan, GanPlan)
    generator_ema = AveragedModel(build_generator(plan.config))
    generator_ema.load_state_dict(torch.load(run / "best.pt", weights_only=True)["generator_ema"])
    generator_ema.eval()
    latents = draw_latents(SEED, Stream.EVALUATE_LATENTS, count=SAMPLES, size=8)
    with torch.no_grad():
        samples = to_uint8(generator_ema.module(latents)).permute(0, 3, 1, 2)
    images, _ = load_images(open_image_folder(photos), 16, 1)
    images = images[numpy_rng(SEED, Stream.EVALUATE_IMAGES).permutation(COUNT)]
    network = build_features("pixels")
    fresh, real, others = (
        extract(network, part) for part in (samples, images[:SAMPLES], images[SAMPLES : 2 * SAMPLES])
    )  # fmt: skip
    return measure(real, fresh, K), measure(real, others, K)


def kept(run: Path) -> dict[str, float]:
    return {metric["name"]: metric["value"] for metric in json.loads((run / "evaluation.json").read_text())["metrics"]}


def shown(said: str) -> dict[str, list[float]]:
    """The numbers of each row of a table."""
    rows = ([cell.strip() for cell in line.split("│")[1:4]] for line in said.splitlines() if line.startswith("│"))
    return {
        name: [float(cell.replace(",", "")) for cell in cells] for name, *cells in rows if name
    }  # the rest is wrapped words


def test_metrics_of_a_run_match_a_calculation_by_hand(run: Path, photos: Path) -> None:
    said = done("evaluate", run, "--data", photos, *OPTIONS)
    fidelity, real = by_hand(run, photos)
    assert kept(run) == pytest.approx(dict(zip(NAMES, asdict(fidelity).values(), strict=True)), rel=1e-5)
    columns = [[*asdict(fidelity).values()], [*asdict(real).values()]]
    assert list(shown(said)) == NAMES
    table = np.array([*shown(said).values()]).T
    assert table == pytest.approx(np.array(columns), rel=1e-3, abs=1e-4)
    assert fidelity.frechet > 2 * real.frechet  # large enough to tell the two apart
    assert f"{METHOD}; step 6 (48 images)." in said
    assert f"the score of {SAMPLES} other real images, which a perfect generator would reach." in said
    whole = json.loads((run / "evaluation.json").read_text())
    assert (whole["step"], whole["data"]) == (6, "photos")
    assert {metric["method"] for metric in whole["metrics"]} == {METHOD}
    found = {metric["name"]: metric["real"] for metric in whole["metrics"]}
    assert found == pytest.approx(dict(zip(NAMES, asdict(real).values(), strict=True)), rel=1e-5)


def test_evaluates_the_last_checkpoint_if_there_is_no_best(run: Path, photos: Path) -> None:
    done("evaluate", run, "--data", photos, *OPTIONS)
    best = kept(run)
    checkpoint = torch.load(run / "best.pt", weights_only=True)
    checkpoint["generator_ema"]["module.layers.0.weight"] *= 3
    torch.save(checkpoint, run / "best.pt")
    done("evaluate", run, "--data", photos, *OPTIONS)
    assert kept(run) != best
    (run / "best.pt").unlink()
    done("evaluate", run, "--data", photos, *OPTIONS)
    assert kept(run) == best  # without interruption, the last checkpoint was the best


def test_exported_file_scores_like_its_run(run: Path, exported: Path, photos: Path) -> None:
    before = exported.read_bytes()
    said = done("evaluate", exported, "--data", photos, "--features", "pixels", *OPTIONS)
    done("evaluate", run, "--data", photos, *OPTIONS)
    assert {name: row[0] for name, row in shown(said).items()} == pytest.approx(kept(run), rel=1e-2, abs=0.07)
    assert f"{METHOD}; step 6 (48 images)." in said
    assert exported.read_bytes() == before
    assert list(exported.parent.iterdir()) == [exported]


def test_export_prefers_the_evaluation_to_the_metrics_of_the_details(run: Path, exported: Path, photos: Path) -> None:
    done("evaluate", run, "--data", photos, *OPTIONS)
    *measured, said = read_card(exported).metrics
    assert said == BEAUTY
    assert [metric.name for metric in measured] == NAMES
    assert {metric.method for metric in measured} == {METHOD}
    assert {metric.name: metric.value for metric in measured} == {name: float(f"{x:.4g}") for name, x in kept(run).items()}
    _, real = by_hand(run, photos)
    assert [metric.real for metric in measured] == pytest.approx([*asdict(real).values()], rel=1e-3)


def test_export_ignores_the_evaluation_of_another_step(run: Path, photos: Path, tmp_path: Path) -> None:
    done("evaluate", run, "--data", photos, *OPTIONS)
    checkpoint = torch.load(run / "best.pt", weights_only=True)
    torch.save(checkpoint | {"step": 4}, run / "best.pt")
    out = tmp_path / "tiny.onnx"
    said = done("export", run, out)
    assert "evaluation.json measured step 6, and this is step 4, so its metrics are left out of the card." in said
    assert read_card(out).metrics == ()
    (run / "evaluation.json").write_text('{"step": 4}')
    assert "evaluation.json cannot be read: Field required. Evaluate the run again" in refused("export", run, out)


def test_write_changes_only_the_metrics(exported: Path, photos: Path, tmp_path: Path) -> None:
    before, card, path = onnx.load(exported), read_card(exported), tmp_path / "tiny.onnx"
    recall = Metric(name="Recall", value=0.5, method="by eye")
    text = dump_card(card.model_copy(update={"metrics": (BEAUTY, recall)}))
    helper.set_model_props(before, {"ganvas.card": text, "other": "kept"})
    onnx.save(before, path)
    said = done("evaluate", path, "--data", photos, "--features", "pixels", "--write", *OPTIONS)
    found = read_card(path)
    *measured, last = found.metrics
    assert last == BEAUTY
    assert {metric.name: metric.value for metric in measured} == {name: row[0] for name, row in shown(said).items()}
    assert {metric.method for metric in measured} == {METHOD}
    assert found.model_copy(update={"metrics": card.metrics}) == card
    after = onnx.load(path)
    assert [(entry.key, entry.value) for entry in after.metadata_props if entry.key != "ganvas.card"] == [("other", "kept")]
    for part in (before, after):
        del part.metadata_props[:]
    assert after.SerializeToString(deterministic=True) == before.SerializeToString(deterministic=True)
    assert onnx.load(exported).graph.SerializeToString(deterministic=True) == after.graph.SerializeToString(deterministic=True)


def test_evaluates_with_few_images(run: Path, photos: Path, tmp_path: Path) -> None:
    said = done("evaluate", run, "--data", photos, "--samples", 30, "--neighbours", K)
    assert "20 samples against 20 real images" in said
    assert "the score of 20 other real images, which a perfect generator would reach. There are too few images for 30" in said
    done("evaluate", run, "--data", photos)  # 2,000 samples
    assert "; 20 samples against 20 real images, k = 5, seed 0" in (run / "evaluation.json").read_text()
    few = tmp_path / "few"
    few.mkdir()
    for index in range(7):
        draw(index).save(few / f"{index}.png")
    assert "few holds 7 readable images. At least 8 are needed" in refused("evaluate", run, "--data", few, *OPTIONS)
    draw(7).save(few / "7.png")
    (few / "broken.png").write_text("not an image")
    said = done("evaluate", run, "--data", few, *OPTIONS)
    assert "4 samples against 4 real images" in said
    assert f"broken.png: not a {UPLOAD_FORMATS_TEXT} image" in said
    draw(8, (15, 40)).save(few / "8.png")
    assert "1 of 9 images" in refused("evaluate", run, "--data", few, *OPTIONS)


def test_real_images_get_the_channels_of_the_generator(photos: Path, tmp_path: Path) -> None:
    for channels in (1, 3):
        path = tmp_path / "made.onnx"
        save(generator_model(side=16, channels=channels), path, generator_card(height=16, width=16, channels=channels))
        real, _ = choose_real(open_image_folder(photos), load_candidate(path, CPU), EvaluateOptions(samples=8, neighbours=K))
        assert real.shape == (16, channels, 16, 16)
    said = done("evaluate", path, "--data", photos, "--features", "pixels", *OPTIONS)
    assert f"{METHOD}.\n" in said  # its card does not state the steps


def test_samples_depend_on_the_seed_alone(exported: Path) -> None:
    candidate = load_candidate(exported, CPU)

    def samples(count: int, seed: int) -> Tensor:
        return torch.cat([*draw_samples(candidate, count, seed)])

    assert torch.equal(samples(130, 1), samples(130, 1))
    assert samples(130, 1).shape == (130, 1, 16, 16)
    assert not torch.equal(samples(9, 1), samples(9, 2))


@pytest.mark.parametrize("broken", ["shape", "run", "rows"])
def test_refuses_a_file_that_disagrees_with_its_card(tmp_path: Path, broken: str) -> None:
    path = save(generator_model(broken=broken), tmp_path / "broken.onnx", generator_card())  # type: ignore[arg-type]
    with pytest.raises(ExportError, match=r"cannot be run|makes uint8 .* its card says uint8 \(7, 8, 8, 1\)"):
        list(draw_samples(load_candidate(path, CPU), 7, 0))


def test_refuses_models_that_cannot_be_evaluated(run: Path, photos: Path, tmp_path: Path) -> None:
    data = ["--data", photos]
    stylizer = save(stylizer_model(), tmp_path / "painters.onnx", stylizer_card())
    assert "painters.onnx is a stylizer. Name the folder or zip of its paintings with --styles." in refused(
        "evaluate", stylizer, *data
    )
    plan = StylePlan(config=StyleConfig(), styles={"night": ""}, data="photos", images=4)
    style = Run.create(tmp_path / "style", plan).folder
    assert "style is a stylizer. Name the folder or zip of its paintings with --styles." in refused("evaluate", style, *data)
    assert "nowhere does not exist" in refused("evaluate", tmp_path / "nowhere", *data)
    assert "photos holds no training run" in refused("evaluate", photos, *data)
    assert "000.png is not an ONNX file" in refused("evaluate", photos / "000.png", *data)
    assert "--write is for exported files" in refused("evaluate", run, *data, "--write")
    assert "--samples 5 are too few for --neighbours 5. Take at least 6" in refused("evaluate", run, *data, "--samples", 5)
    assert "Pixels have no weights" in refused("evaluate", run, *data, "--weights", tmp_path / "some.pth")
    wide = save(generator_model(), tmp_path / "wide.onnx", generator_card(width=16))
    assert "Only square images can be evaluated" in refused("evaluate", wide, *data)
    for checkpoint in ("best.pt", "checkpoint.pt"):
        (run / checkpoint).unlink()
    assert "has no checkpoint yet" in refused("evaluate", run, *data)
    assert not (run / "evaluation.json").exists()

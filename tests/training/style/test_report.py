"""The report of small style runs: what the page shows, what is measured, and what the verdict says of worthless networks."""

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageColor
from torch import Tensor

from ganvas.card import Metric
from tests.training.commands import call, done
from tests.training.conftest import MakeImages
from training.data.image_folder import open_image_folder
from training.data.paintings import load_paintings
from training.metrics.evaluation import Evaluation
from training.plots import BLUE, GREEN, ORANGE
from training.report.assessment import Assessment
from training.report.stats import Row, Stats
from training.run import Run
from training.style.config import StyleConfig
from training.style.network import Stylizer
from training.style.objective import Objective, features_for
from training.style.plan import StylePlan
from training.style.plots import plot_training
from training.style.report.assessment import Verdict, assess
from training.style.report.held_out import Gallery, HeldOut, StyleNumbers, photos_to_hold_out, read_held_out
from training.style.report.page import write_report
from training.vgg import VggFeatures

LAYERS = {"content_layers": ("relu1_2",), "style_layers": ("relu1_1",)}
TINY = ["width=4", "residual_blocks=1", "crop_size=64", "batch_size=2", "steps=4", "sample_every=2", "style_size=64"]
RUN = Path("runs/my painters")
FINE = StyleNumbers(
    content=40, other_content=100, style=5, photo_style=100, change=40, contrast=40, photo_contrast=50
)  # fmt: skip


@pytest.fixture
def command(make_images: MakeImages, vgg_weights: Path, tmp_path: Path) -> list[object]:
    """Trains a run of four steps in tmp_path/run; the photos are enough to hold some out."""
    folders = ("--styles", make_images("paintings", 2, (80, 80)), "--content", make_images("photos", 24, (140, 130)))
    layers = [f"{key}={json.dumps(value)}" for key, value in LAYERS.items()]
    sets = (word for value in [*TINY, *layers] for word in ("--set", value))
    return ["style", *folders, "--vgg", vgg_weights, "--out", tmp_path / "run", *sets]


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", page[page.index("<body>") :]))


def test_run_writes_a_page_that_works_when_moved(command: list[object], vgg_weights: Path, tmp_path: Path) -> None:
    assert "report.html" in done(*command)
    shutil.move(tmp_path / "run", tmp_path / "elsewhere")
    run = tmp_path / "elsewhere"
    page = (run / "report.html").read_text(encoding="utf-8")
    sources = re.findall(r'src="([^"]*)"', page)
    files = [source for source in sources if not source.startswith("data:image/jpeg;base64,")]
    assert len(sources) - len(files) == 2  # the paintings
    assert "http" not in page
    assert {"losses.png", "samples/0000004.png", "held-out/photo.3.jpg"} < set(files)
    for file in files:
        with Image.open(run / file) as image:
            image.load()
    with Image.open(run / "held-out" / "000.64.2.jpg") as small, Image.open(run / "held-out" / "001.128.1.jpg") as large:
        assert (small.size, large.size) == ((64, 64), (128, 128))  # two sizes
    words = text_of(page)
    assert Verdict.EARLY.value in words
    assert "The network does not learn from these photos" in words
    assert "24 photos, 3 held out" in words
    assert len(re.findall("<img [^>]*alt=.[A-Z]", page)) == page.count("<img ")
    next_command = shlex.split(re.findall("<pre[^>]*>([^<]*)</pre>", page)[0])
    assert next_command[next_command.index("--from") + 1] == str(tmp_path / "run")
    assert next_command[next_command.index("--vgg") + 1] == str(vgg_weights)


def test_the_next_command_trains_longer(command: list[object], tmp_path: Path) -> None:
    done(*command)
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    words = shlex.split(re.findall("<pre[^>]*>([^<]*)</pre>", page)[0])[3:]
    words = [word if word != "steps=200" else "steps=1" for word in words]
    done(*words)
    plans = [json.loads((tmp_path / name / "run.json").read_text()) for name in ("run", "run-2")]
    assert plans[0]["held_out"] == plans[1]["held_out"]  # the same photos stay unseen
    assert len(plans[0]["held_out"]) == 3


def test_a_killed_and_resumed_run_keeps_its_report(command: list[object], tmp_path: Path) -> None:
    done(*command)
    run = tmp_path / "run"
    whole = {path.name: path.read_bytes() for path in (run / "held-out").iterdir()}
    measured = (run / "held-out.json").read_text()
    plan = (run / "run.json").read_text()
    (run / "checkpoint.pt").unlink()  # as if the run had been killed before its first checkpoint
    said = call(*command[: command.index("--set")], "--resume")
    assert said.exit_code == 0, said.output
    assert (run / "run.json").read_text() == plan
    assert (run / "held-out.json").read_text() == measured
    assert {path.name: path.read_bytes() for path in (run / "held-out").iterdir()} == whole
    assert "Steps 4 of 4" in text_of((run / "report.html").read_text(encoding="utf-8"))


def test_evaluate_adds_the_slow_optimisation_to_the_page(command: list[object], vgg_weights: Path, tmp_path: Path) -> None:
    done(*command)
    folders = ("--data", tmp_path / "photos", "--styles", tmp_path / "paintings", "--weights", vgg_weights)
    done("evaluate", tmp_path / "run", *folders, "--size", 64, "--iterations", 2, "--pairs", 2)
    words = text_of((tmp_path / "run" / "report.html").read_text(encoding="utf-8"))
    assert "Equal iterations of L-BFGS at 64 px" in words
    assert "Not compared with slow optimisation" not in words


def test_page_of_a_new_run_says_what_is_missing(style_run: Path) -> None:
    plan = Run.open(style_run, StylePlan).plan
    page = write_report(style_run, plan).read_text(encoding="utf-8")
    for words in ("No photo painted yet", "No losses yet", "Not measured yet", "0 steps of at least 200", "not known yet"):
        assert words in text_of(page), words
    assert "<img " not in page


def test_page_escapes_names(style_run: Path) -> None:
    plan = Run.open(style_run, StylePlan).plan.model_copy(update={"data": "<script>alert(1)</script>.zip"})
    page = write_report(style_run, plan).read_text(encoding="utf-8")
    assert "<script>alert" not in page


def test_few_photos_are_all_learned_from(make_images: MakeImages) -> None:
    few, enough = (open_image_folder(make_images(f"photos-{count}", count)) for count in (19, 20))
    assert photos_to_hold_out(few) == ()
    held_out = photos_to_hold_out(enough)
    assert len(set(held_out)) == 3
    assert set(held_out) < set(enough.names)


# Networks whose results are known


class Fixed(Stylizer):
    """Paints with a function of the photos."""

    def __init__(self, paint: Callable[[Tensor], Tensor]) -> None:
        super().__init__(2, width=4, residual_blocks=0)
        self._paint = paint

    def forward(self, images: Tensor, styles: Tensor) -> Tensor:
        """Ignores the styles."""
        return self._paint(images)


def measured(paint: Callable[[Tensor], Tensor], make_images: MakeImages, vgg_weights: Path, tmp_path: Path) -> HeldOut:
    config = StyleConfig.model_validate({"width": 4, "residual_blocks": 0, "steps": 300, **LAYERS})
    photos = open_image_folder(make_images("photos", 20, (96, 96)))
    paintings, thumbnails, _ = load_paintings(open_image_folder(make_images("paintings", 2, (80, 80))), 64)
    plan = StylePlan(
        config=config, styles=thumbnails, held_out=photos_to_hold_out(photos), data="photos", images=20, styles_path="paintings"
    )
    objective = Objective(config, paintings, VggFeatures(features_for(config), vgg_weights))
    run = Run.create(tmp_path / "run", plan)
    scalars = Gallery(run, photos, objective).update(300, Fixed(paint))
    found = read_held_out(run.folder)
    assert found is not None
    assert scalars["held_out_style"] == pytest.approx(np.mean([each.style for each in found.styles.values()]))
    return found


def judged(held_out: HeldOut | None, step: int = 300, evaluation: Evaluation | None = None, kept: int = 0) -> Assessment:
    plan = StylePlan(
        config=StyleConfig(steps=300), styles={"night": "", "wave": ""}, kept=kept, data="photos", data_path="my photos",
        styles_path="paintings", images=40,
    )  # fmt: skip
    stats = Stats(({"step": step, "images": 4.0 * step, "style": 1.0},))
    return assess(RUN, plan, stats, held_out, evaluation)


def held_out_of(numbers: StyleNumbers, step: int = 300) -> HeldOut:
    return HeldOut(step=step, sides=(256, 512), photos=3, learned=False, styles={"night": FINE, "wave": numbers})


def test_a_network_that_returns_the_photo_is_not_praised(make_images: MakeImages, vgg_weights: Path, tmp_path: Path) -> None:
    held_out = measured(lambda photos: photos, make_images, vgg_weights, tmp_path)
    numbers = held_out.styles["000"]
    assert (numbers.content_share, numbers.change) == (0, 0)
    assert numbers.style_share == pytest.approx(1)
    assert judged(held_out).verdict is Verdict.UNCHANGED


def test_flat_colour_is_not_praised(make_images: MakeImages, vgg_weights: Path, tmp_path: Path) -> None:
    held_out = measured(lambda photos: torch.full_like(photos, 90), make_images, vgg_weights, tmp_path)
    assert held_out.styles["000"].contrast == 0
    assert judged(held_out).verdict is Verdict.FLAT


def test_one_image_for_all_photos_is_not_praised(make_images: MakeImages, vgg_weights: Path, tmp_path: Path) -> None:
    pattern = 255 * torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    held_out = measured(
        lambda photos: pattern[:, :, : photos.shape[2], : photos.shape[3]].expand_as(photos), make_images, vgg_weights, tmp_path
    )
    assert held_out.styles["000"].content_share == pytest.approx(1)
    assert judged(held_out).verdict in {Verdict.LOST, Verdict.UNPAINTED}


@pytest.mark.parametrize(
    ("changes", "verdict", "change"),
    [
        ({"contrast": 5}, Verdict.FLAT, "learning_rate=0.0005"),
        ({"change": 3}, Verdict.UNCHANGED, "style_weight=5.0"),
        ({"style": 80}, Verdict.UNPAINTED, "style_weight=5.0"),
        ({"content": 95}, Verdict.LOST, "style_weight=1.25"),
    ],
)
def test_one_failed_style_fails_the_run(changes: dict[str, float], verdict: Verdict, change: str) -> None:
    found = judged(held_out_of(FINE.model_copy(update=changes)))
    assert found.verdict is verdict
    assert [reason.split(":")[0] for reason in found.reasons] == ["wave"]
    assert change in shlex.split(found.next_steps[0].command)
    assert "export" not in " ".join(step.command for step in found.next_steps)


def test_says_too_early_before_enough_steps() -> None:
    for step in (0, 70, 199):
        found = judged(held_out_of(FINE, step), step)
        assert found.verdict is Verdict.EARLY
        assert shlex.split(found.next_steps[0].command)[1:] == [
            "-m", "training", "style", "--styles", "paintings", "--content", "my photos",
            "--out", str(RUN), "--resume",
        ]  # fmt: skip
    assert judged(held_out_of(FINE, 250), 250).verdict is Verdict.LEARNING
    assert judged(None).verdict is Verdict.UNMEASURED


def test_good_numbers_are_praised_with_their_comparison() -> None:
    found = judged(held_out_of(FINE))
    assert found.verdict is Verdict.GOOD
    assert "5% of that of the unpainted photos" in found.reasons[0]
    assert "It was not compared with slow optimisation." in found.reasons[0]
    assert [shlex.split(step.command)[3] for step in found.next_steps] == ["evaluate", "export"]
    faint = judged(held_out_of(FINE.model_copy(update={"style": 40})))
    assert faint.verdict is Verdict.BEHIND
    assert faint.reasons == ("wave: the style loss is 40% of that of the unpainted photos; good is at most 35%.",)


@pytest.mark.parametrize(("equal", "verdict"), [(12, Verdict.GOOD), (2, Verdict.BEHIND)])
def test_slow_optimisation_counts_if_it_was_run(equal: int, verdict: Verdict) -> None:
    metric = Metric(name="Equal iterations of L-BFGS at 256 px", value=equal, method="VGG-16")
    found = judged(held_out_of(FINE), evaluation=Evaluation(step=300, data="photos", metrics=(metric,)))
    assert found.verdict is verdict
    assert f"The network equals {equal} iterations of slow optimisation at least." in " ".join(found.reasons)


def test_an_extension_names_no_command_that_would_drop_its_old_styles() -> None:
    for numbers in (FINE.model_copy(update={"style": 40}), FINE.model_copy(update={"style": 90})):
        assert judged(held_out_of(numbers), kept=1).next_steps[0].command == ""


def test_plot_of_losses_draws_all_three_on_a_logarithmic_scale() -> None:
    rows: tuple[Row, ...] = tuple(
        {"step": i, "images": 4.0 * i, "content": 1e5, "style": 1e6 / i, "variation": 500.0} for i in range(1, 60)
    )
    image = plot_training(Stats(rows))
    assert image.width == 900
    pixels = np.asarray(image, np.int16)
    for colour in (BLUE, ORANGE, GREEN):
        assert (np.abs(pixels - ImageColor.getrgb(colour)).max(axis=2) < 24).sum() > 500
    held_out: Row = {"step": 60, "images": 240.0, "held_out_style": 2e4, "held_out_photo_style": 1e6}
    assert plot_training(Stats((*rows, held_out))) != image
    assert plot_training(Stats()).width == 900

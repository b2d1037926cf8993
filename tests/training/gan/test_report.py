import json
import math
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageColor

from training.config import flatten
from training.gan.config import GanConfig
from training.gan.plan import GanPlan
from training.gan.report.neighbours import nearest_distances, neighbours_sheet, novelty, read_novelty, write_neighbours
from training.gan.report.page import verdict, write_report
from training.gan.report.plots import plot_losses, plot_metrics
from training.gan.report.reference import Reference
from training.gan.report.walk import latent_walk, write_walk
from training.metrics.fidelity import Fidelity
from training.plots import BLUE, GREEN, ORANGE, PURPLE, running_mean
from training.report.stats import Event, Row, Stats, read_stats
from training.run import Run

LINES: list[dict[str, object]] = [
    {"step": 20, "images": 1280, "d_loss": 1.3, "g_loss": 0.7, "d_accuracy": 0.6, "images_per_second": 100},
    {"step": 40, "d_loss": 1.1, "g_loss": 0.9, "d_accuracy": 0.8, "images_per_second": 300},
    {"step": 40, "images": 2560, "frechet": 51.25, "density": 0.41, "coverage": 0.32, "precision": 0.6, "recall": 0.2},
    {"step": 60, "images": 3840, "frechet": 44.44, "density": 0.5, "coverage": 0.4, "diversity": 0.7},
    {"step": 60, "images": 3840, "event": "The generator <b>stands still</b>."},
    {"step": 80, "images": 5120, "event": "It moves again.", "frechet": math.nan},
]


REAL = Reference(
    network="pixels at 16 x 16",
    count=700,
    fidelity=Fidelity(frechet=20.0, precision=0.95, recall=0.94, density=1.0, coverage=0.96, diversity=1.0),
)


def write_stats(folder: Path, lines: Iterable[dict[str, object]] = LINES, tail: str = "") -> Path:
    path = folder / "stats.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + tail)
    return path


@pytest.fixture
def run(tmp_path: Path) -> Run[GanPlan]:
    config = GanConfig(channels=3, image_size=32, images=12800, batch_size=64, sample_every=40)
    return Run.create(tmp_path / "heads", GanPlan(config=config, data="<script>alert(1)</script>.zip", images=14_000))


# stats.jsonl


def test_reads_reports_evaluations_and_events(tmp_path: Path) -> None:
    stats = read_stats(write_stats(tmp_path), images_per_step=64)
    images, losses = stats.series("d_loss")
    assert images.tolist() == [1280, 40 * 64]  # the second line did not count them
    assert losses.tolist() == [1.3, 1.1]
    assert [row["frechet"] for row in stats.evaluations] == [51.25, 44.44]  # NaN is left out
    assert stats.best is stats.evaluations[1]
    assert stats.events == (Event(60, 3840, "The generator <b>stands still</b>."), Event(80, 5120, "It moves again."))
    assert (stats.step, stats.images, stats.images_per_second) == (80, 5120, 200)


def test_ignores_broken_lines(tmp_path: Path) -> None:
    tail = '[1]\n7\n\n{"d_loss": 1}\n{"step": "x"}\n{"step": true}\n' + "[" * 10_000 + '\n{"step": 60, "d_los'
    assert read_stats(write_stats(tmp_path, LINES[:2], tail), 64).rows == read_stats(write_stats(tmp_path, LINES[:2]), 64).rows


def test_missing_stats_are_empty(tmp_path: Path) -> None:
    stats = read_stats(tmp_path / "stats.jsonl", 64)
    assert (stats, stats.best, stats.step, stats.images, stats.images_per_second) == (Stats(), None, 0, 0, None)
    assert len(stats.series("d_loss")[0]) == 0


# Plots


def pixels_of(colour: str, image: Image.Image) -> int:
    return int((np.abs(np.asarray(image, np.int16) - ImageColor.getrgb(colour)).max(axis=2) < 24).sum())


def test_plot_of_losses_draws_both_losses_and_the_accuracy() -> None:
    rows: list[Row] = [
        {"step": i, "images": 64.0 * i, "d_loss": 1 + 0.1 * math.sin(i), "g_loss": 2 + 0.1 * math.cos(i), "d_accuracy": 0.7}
        for i in range(1, 100)
    ]
    image = plot_losses(Stats(tuple(rows)))
    assert image.mode == "RGB"
    assert image.width == 900
    assert image.getpixel((0, 0)) == (255, 255, 255)
    assert all(pixels_of(colour, image) > 500 for colour in (BLUE, ORANGE, GREEN))
    only_g = plot_losses(Stats(tuple({key: row[key] for key in ("step", "images", "g_loss")} for row in rows)))
    assert only_g.height < image.height  # the axis of the accuracy is left out
    assert [pixels_of(colour, only_g) for colour in (BLUE, GREEN)] == [0, 0]
    assert pixels_of(ORANGE, only_g) > 500


def test_plot_of_metrics_draws_each_metric_and_each_event() -> None:
    rows: tuple[Row, ...] = tuple(
        {"step": i, "images": 64.0 * i, "frechet": 900 / i, "density": 0.9, "coverage": 0.6, "precision": 0.4, "recall": 0.2}
        for i in range(1, 20)
    )
    image, empty = plot_metrics(Stats(rows)), plot_metrics(Stats())
    assert image.size == empty.size
    for colour in (BLUE, ORANGE, GREEN, PURPLE):
        assert pixels_of(colour, image) > 300
        assert pixels_of(colour, empty) == 0
    assert plot_metrics(Stats(rows, (Event(9, 576, "news"),))) != image  # a line marks the event
    assert pixels_of(PURPLE, plot_metrics(Stats(({"step": 1, "images": 64.0, "density": 40.0},)))) > 20  # not cut off


def test_plots_show_words_without_rows_and_a_point_for_one_row() -> None:
    empty = plot_losses(Stats())
    assert (np.asarray(empty) < 128).any()  # words in place of lines
    one = plot_losses(Stats(({"step": 1, "images": 64.0, "d_loss": 1.0, "g_loss": 1.0},)))
    assert pixels_of(ORANGE, one) > 20
    assert pixels_of(BLUE, plot_metrics(Stats(({"step": 1, "images": 64.0, "frechet": 0.0},)))) == 0  # a log axis has no 0


def test_running_mean_shrinks_its_window_at_the_ends() -> None:
    np.testing.assert_allclose(running_mean(np.array([1.0, 2, 6, 4, 5]), 3), [1.5, 3, 4, 5, 4.5])
    np.testing.assert_allclose(running_mean(np.array([7.0, 1]), 1), [7, 1])


# The walk


class Painter(torch.nn.Module):
    """Latents [n, 4] -> images [n, 3, side, side] of one colour: tanh of the first three."""

    def __init__(self, side: int = 16) -> None:
        super().__init__()
        self.side = side
        self.norm = torch.nn.BatchNorm1d(4)  # would mix the rows if it were left in training mode
        self.most = 0  # images at once

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        self.most = max(self.most, len(latents))
        return self.norm(latents)[:, :3, None, None].tanh().expand(-1, -1, self.side, self.side)


def test_writes_an_animation_of_eight_walks(tmp_path: Path) -> None:
    generator = Painter()
    frames = latent_walk(generator, 4, 7, torch.device("cpu"), stops=3, frames_between=6)
    assert generator.training
    assert len(frames) == 18
    assert frames[0].size == (4 * 18 - 2, 2 * 18 - 2)
    assert frames == latent_walk(generator, 4, 7, torch.device("cpu"), stops=3, frames_between=6)
    assert frames != latent_walk(generator, 4, 8, torch.device("cpu"), stops=3, frames_between=6)
    tiles = np.stack([np.asarray(frame)[8::18, 8::18].astype(int) for frame in frames])  # [18, 2, 4, 3]
    steps = np.abs(tiles - np.roll(tiles, 1, axis=0)).max(axis=(1, 2, 3))
    assert steps[0] <= steps[1:].max()  # from the last to the first: a step like any other

    write_walk(tmp_path / "walk.webp", frames)
    with Image.open(tmp_path / "walk.webp") as walk:
        assert (walk.format, walk.n_frames, walk.info["loop"]) == ("WEBP", 18, 0)  # type: ignore[attr-defined]
        walk.load()
        assert walk.info["duration"] == 40
    assert [path.name for path in tmp_path.iterdir()] == ["walk.webp"]


def test_walk_of_large_images_is_shrunk_and_takes_few_at_once() -> None:
    small, large = Painter(), Painter(256)
    frames = [latent_walk(painter, 4, 7, torch.device("cpu"), stops=2, frames_between=4)[1] for painter in (small, large)]
    assert frames[1].size == (4 * 130 - 2, 2 * 130 - 2)
    assert frames[1].getpixel((64, 64)) == frames[0].getpixel((8, 8))
    assert (small.most, large.most) == (64, 25)


# Neighbours


def test_nearest_distances_match_a_calculation_by_hand() -> None:
    features = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    distances, indices = nearest_distances(torch.tensor([[0.0, 0.0], [3.0, 3.0]]), features, 2)
    torch.testing.assert_close(distances, torch.tensor([[0.0, 1.0], [1.0, math.sqrt(13)]]))
    assert indices.tolist() == [[0, 2], [1, 2]]


def test_nearest_of_many_matches_double_precision() -> None:
    generator = torch.Generator().manual_seed(0)
    queries, features = (100 + torch.rand(n, 32, generator=generator) for n in (5, 400))  # far from 0: hard on rounding
    exact = (queries.double()[:, None] - features.double()).norm(dim=2).topk(3, largest=False)
    distances, indices = nearest_distances(queries, features, 3)
    assert torch.equal(indices, exact.indices)
    torch.testing.assert_close(distances.double(), exact.values, rtol=1e-4, atol=0)


def test_novelty_separates_copies_from_inventions() -> None:
    generator = torch.Generator().manual_seed(0)
    training, others = (torch.randint(0, 256, (n, 3, 8, 8), dtype=torch.uint8, generator=generator) for n in (50, 20))
    known, new = training.float().flatten(1), others.float().flatten(1)
    assert novelty(known[[4, 9, 30]], known) == 0
    assert novelty(known[:20] + 1, known) < 0.02
    assert novelty(new, known) == pytest.approx(1, abs=0.1)
    assert novelty(known[:3], known[:1].expand(3, -1)) == math.inf
    assert [verdict(number)[:24] for number in (0.0, 1.0)] == ["the samples are copies o", "the samples are as new a"]


def test_sheet_shows_a_copy_beside_its_original(tmp_path: Path) -> None:
    training = torch.arange(0, 200, 20, dtype=torch.uint8)[:, None, None, None].expand(10, 3, 12, 12)  # ten greys
    samples = torch.tensor([207, 60], dtype=torch.uint8)[:, None, None, None].expand(2, 3, 12, 12)
    features = [images[:, 0, 0, :1].float() for images in (samples, training)]
    sheet = neighbours_sheet(samples, features[0], training, features[1], k=2)
    assert sheet.size == (12 + 4 + 2 * 14 - 2, 2 * 14 - 2)
    greys = np.asarray(sheet)[5::14, [5, 21, 35], 0]
    assert greys[0, :2].tolist() == [60, 60]  # the copy comes first, though it is the second sample
    assert greys[0, 2] in (40, 80)
    assert greys[1].tolist() == [207, 180, 160]
    assert np.asarray(sheet)[5, 13].tolist() == [255, 255, 255]

    write_neighbours(tmp_path / "neighbours.png", sheet, 0.125)
    assert read_novelty(tmp_path / "neighbours.png") == 0.125
    sheet.save(tmp_path / "plain.png")
    assert read_novelty(tmp_path / "plain.png") is None


def test_sheet_of_grey_images_is_grey() -> None:
    images = torch.zeros(4, 1, 6, 6, dtype=torch.uint8)
    features = torch.arange(4.0)[:, None]
    assert neighbours_sheet(images[:2], features[:2], images, features).mode == "L"


# The page


def sources(page: str) -> set[str]:
    return set(re.findall(r'(?:src|href)="([^"]*)"', page))


def test_page_shows_everything_in_the_run_folder(run: Run[GanPlan]) -> None:
    write_stats(run.folder, tail='{"step": 100, "ima')
    for step in (40, 80):
        run.save_sample(step, Image.new("RGB", (40, 40), (step, 0, 0)))
    (run.folder / "samples" / "0000120.png").write_bytes(b"half an image")
    write_walk(run.folder / "walk.webp", [Image.new("RGB", (8, 8), (grey, 0, 0)) for grey in (0, 200)])
    write_neighbours(run.folder / "neighbours.png", Image.new("RGB", (8, 8)), 1.0625)
    REAL.write(run.folder)
    path = write_report(run.folder, run.plan)
    page = path.read_text(encoding="utf-8")

    assert path == run.folder / "report.html"
    assert sources(page) == {"samples/0000080.png", "losses.png", "metrics.png", "walk.webp", "neighbours.png"}
    assert all((run.folder / source).is_file() for source in sources(page))
    assert '["samples/0000040.png", "samples/0000080.png"]' in page  # for the slider; the broken one is left out
    assert len(re.findall("<img [^>]*alt=.[A-Z]", page, re.DOTALL)) == page.count("<img ") == 5
    assert "http" not in page
    text = re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", page))
    for words in (
        "Steps 80 of 200", "Real images shown 5,120 of 12,800", "Speed 200 images/s about 1 min to go",
        "Best Frechet distance 44.4 at step 60; real images 20.0", "real images 20.0 0.950 0.940 1.00 0.960 1.00",
        "Real images: 700 against 700 others", "Measured in pixels at 16 x 16.",
        "Architecture dcgan", "14,000 images", "40 2,560 51.2 0.600 0.200 0.410 0.320 - ", "Novelty 1.06",
    ):  # fmt: skip
        assert words in text, words
    assert re.search(r'class="best"><td>60</td><td>3,840</td><td>44.4</td>.*<td>best</td>', page)
    assert re.search(r'<th scope="row">batch_size</th><td>64</td>', page)
    assert all(f">{key}<" in page for key in flatten(run.plan.config))
    assert page.index("It moves again.") < page.index("stands still")  # the newest first
    assert verdict(1.0625) in page
    assert " yet" not in page
    assert "It moves again." in page[page.index('id="assessment"') : page.index("<h2>Samples")]


def test_page_escapes_names(run: Run[GanPlan]) -> None:
    write_stats(run.folder)
    page = write_report(run.folder, run.plan).read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;.zip" in page
    assert "<b>stands" not in page


def test_page_of_a_new_run_says_what_is_missing(run: Run[GanPlan]) -> None:
    page = write_report(run.folder, run.plan).read_text(encoding="utf-8")
    assert sources(page) == set()
    assert "<img " not in page
    assert "<script" not in page
    for words in (
        "first grid comes at step 40.",
        "No losses yet",
        "Too early to judge",
        "the watch needs 3 evaluations",
        "No walk yet",
        "No comparison",
        "not known",
    ):
        assert words in page
    assert "Not measured" in page
    assert {path.name for path in run.folder.iterdir()} == {"run.json", "samples", "report.html"}


def test_page_is_replaced_when_written_again(run: Run[GanPlan]) -> None:
    write_stats(run.folder, LINES[:2])
    first = write_report(run.folder, run.plan).read_text(encoding="utf-8")
    assert sources(first) == {"losses.png"}
    write_stats(run.folder)
    assert sources(write_report(run.folder, run.plan).read_text(encoding="utf-8")) == {"losses.png", "metrics.png"}

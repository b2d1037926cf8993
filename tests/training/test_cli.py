"""The command line: whole runs on small images, and a message and exit code 2 for every mistake."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from ganvas.api import UPLOAD_FORMATS_TEXT
from ganvas.card import StylizerCard
from ganvas.style_file import parse_style_file
from tests.training.commands import call, done, refused
from tests.training.conftest import MakeImages
from training.cli.app import COMMANDS, load_command
from training.onnx_file import ExportedModel, read_card

TINY_GAN = [
    "--set", "image_size=28", "--set", "generator.width=4", "--set", "discriminator.width=4", "--set", "batch_size=8",
    "--set", "images=48", "--features", "pixels", "--set", "features.layers=[]",
]  # fmt: skip
TINY_STYLE = [
    "--set", "width=4", "--set", "residual_blocks=1", "--set", "halvings=1", "--set", "crop_size=64", "--set", "batch_size=2",
    "--set", "steps=2",
]  # fmt: skip


@pytest.fixture
def photos(make_images: MakeImages) -> Path:
    return make_images("photos", 40, size=(90, 70))


def test_gan_command_trains_a_run_that_can_be_exported(photos: Path, tmp_path: Path) -> None:
    (photos / "broken.jpg").write_text("not an image")
    run, out = tmp_path / "runs" / "mine", tmp_path / "mine.onnx"
    result = call("gan", "--data", photos, "--out", run, *TINY_GAN, "--set", "sample_every=3")
    assert result.exit_code == 0, result.output
    assert f"1 file cannot be read and is left out:\n  broken.jpg: not a {UPLOAD_FORMATS_TEXT} image" in result.output
    assert json.loads((run / "run.json").read_text())["config"]["channels"] == 3
    assert sorted(path.name for path in (run / "samples").iterdir()) == ["0000003.png", "0000006.png"]
    *_, report, evaluation = (json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines())
    scalars = {"d_loss", "g_loss", "d_accuracy", "real_logit", "fake_logit", "learning_rate", "d_learning_rate"}
    assert report.keys() == {"step", "images", "images_per_second", *scalars}
    assert {"frechet", "density", "coverage"} < evaluation.keys()
    result = call("export", run, out)
    assert result.exit_code == 0, result.output
    assert "generator" in result.output
    assert out.is_file()


def test_gan_command_trains_the_feature_discriminator(photos: Path, vgg_weights: Path, tmp_path: Path) -> None:
    options = [*TINY_GAN, "--set", 'features.layers=["relu1_1"]', "--set", "features.start=0", "--vgg", vgg_weights]
    assert "is not a file. --vgg takes" in refused(
        "gan", "--data", photos, "--out", tmp_path / "run", *options[:-1], tmp_path / "no"
    )
    result = call("gan", "--data", photos, "--out", tmp_path / "run", *options)
    assert result.exit_code == 0, result.output
    assert 0 <= json.loads((tmp_path / "run" / "stats.jsonl").read_text().splitlines()[0])["feature_accuracy"] <= 1
    out = tmp_path / "mine.onnx"
    assert call("export", tmp_path / "run", out).exit_code == 0
    features = read_card(out).training_config["features"]
    assert isinstance(features, dict)
    assert features["layers"] == ["relu1_1"]


def test_style_command_trains_a_run_that_can_be_exported_and_resumed(
    photos: Path, make_images: MakeImages, vgg_weights: Path, tmp_path: Path
) -> None:
    paintings = make_images("paintings", 2, size=(80, 80))
    run, out = tmp_path / "run", tmp_path / "mine.onnx"
    result = call("style", "--styles", paintings, "--content", photos, "--out", run, "--vgg", vgg_weights, *TINY_STYLE)
    assert result.exit_code == 0, result.output
    assert list(json.loads((run / "run.json").read_text())["styles"]) == ["000", "001"]
    assert sorted(path.name for path in (run / "samples").iterdir()) == ["0000000.png", "0000002.png"]
    assert call("export", run, out).exit_code == 0
    assert out.is_file()
    resume = ["--out", run, "--vgg", vgg_weights, "--resume"]
    assert call("style", "--styles", paintings, "--content", photos, *resume).exit_code == 0
    assert "was trained on 000, 001" in refused("style", "--styles", photos, "--content", photos, *resume)
    others = make_images("others", 5, size=(90, 70))
    assert "was trained on other images" in refused("style", "--styles", paintings, "--content", others, *resume)
    assert "holds a style run" in refused("gan", "--data", photos, "--out", run, "--resume")


def test_killed_and_resumed_run_ends_like_an_uninterrupted_run(photos: Path, tmp_path: Path) -> None:
    """Kill a run after its first checkpoint, then resume it."""
    options = [*TINY_GAN, "--set", "images=800", "--set", "checkpoint_every=20", "--set", "sample_every=100"]
    options += ["--threads", "1"]  # another number would change the last bits
    assert call("gan", "--data", photos, "--out", tmp_path / "whole", *options).exit_code == 0
    command = [sys.executable, "-m", "training", "gan", "--data", str(photos), "--out", str(tmp_path / "cut"), *options]
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=one_thread, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (tmp_path / "cut" / "stats.jsonl").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert call("gan", "--data", photos, "--out", tmp_path / "cut", "--resume").exit_code == 0
    whole, cut = (torch.load(tmp_path / run / "checkpoint.pt", weights_only=True) for run in ("whole", "cut"))
    assert whole["step"] == cut["step"] == 100
    for part in ("generator", "discriminator", "generator_ema"):
        assert all(torch.equal(value, cut[part][name]) for name, value in whole[part].items())
    steps = [json.loads(line)["step"] for line in (tmp_path / "cut" / "stats.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)
    assert [step for step in steps if step % 20 == 0] == [*range(20, 101, 20), 100]  # the last is the evaluation


def test_resume_refuses_other_images(photos: Path, make_images: MakeImages, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert call("gan", "--data", photos, "--out", run, *TINY_GAN).exit_code == 0
    others = make_images("others", 20, size=(70, 70))
    assert "was trained on other images" in refused("gan", "--data", others, "--out", run, "--resume")


def test_extend_adds_a_painting_and_keeps_the_old_styles(
    photos: Path, make_images: MakeImages, vgg_weights: Path, tmp_path: Path
) -> None:
    paintings, new = make_images("paintings", 3, size=(80, 80)), tmp_path / "new"
    new.mkdir()
    (paintings / "002.png").rename(new / "night.png")
    data = ["--content", photos, "--vgg", vgg_weights]
    old, out = tmp_path / "old", tmp_path / "out"
    muon = ["--set", "optimizer=muon"]  # it has no weights to move in an extension
    assert call("style", "--styles", paintings, *data, "--out", old, *TINY_STYLE, *muon).exit_code == 0
    extend = ["style", "--styles", new / "night.png", *data, "--out", out, "--extend", old]
    assert "has the style 000 already" in refused(*extend, "--styles", paintings)
    assert "width is 8, but 4 in the trained network. The values of width, " in refused(*extend, "--set", "width=8")
    assert "Leave --config out" in refused(*extend, "--config", "style-cpu")
    assert "Give one of the two" in refused(*extend, "--from", old)
    assert not out.exists()

    result = call(*extend, "--set", "steps=3", "--set", "checkpoint_every=1")
    assert result.exit_code == 0, result.output
    assert "Training 1 style (night)" in result.output
    plan = json.loads((out / "run.json").read_text())
    assert (list(plan["styles"]), plan["kept"]) == (["000", "001", "night"], 2)
    assert plan["baseline"] == json.loads((old / "run.json").read_text())["baseline"]
    before, after = (torch.load(run / "checkpoint.pt", weights_only=True)["network"] for run in (old, out))
    for name, value in before.items():
        assert torch.equal(after[name][: len(value)], value), name
    rows = [value for name, value in after.items() if ".norm." in name]
    assert all(len(row) == 3 and not torch.equal(row[2], row[:2].mean(dim=0)) for row in rows)

    # the images of the old styles are the same, byte for byte
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3), dtype=np.uint8)
    outputs: list[np.ndarray] = []
    cards: list[StylizerCard] = []
    for run, styles in ((old, 2), (out, 3)):
        assert call("export", run, tmp_path / f"{run.name}.onnx").exit_code == 0
        model, ones = ExportedModel(tmp_path / f"{run.name}.onnx", StylizerCard), np.ones(2, np.float32)
        vectors = model.card.style_vectors()
        assert len(vectors) == styles
        cards.append(model.card)
        outputs.append(model.run({"images": images, "styles": vectors[:2], "strength": ones, "keep_color": 0 * ones}))
    assert np.array_equal(outputs[0], outputs[1])

    # the new style alone, as a file that fits the old model
    assert "night.style.json" in refused("export", out, tmp_path / "day.style.json")
    result = call("export", out, tmp_path / "night.style.json", "--licence", "CC0")
    assert result.exit_code == 0, result.output
    file = parse_style_file((tmp_path / "night.style.json").read_bytes())
    assert file.style == cards[1].styles[2].model_copy(update={"licence": "CC0"})
    assert file.style_space == cards[0].style_space == cards[1].style_space

    assert call("style", "--styles", new, *data, "--out", out, "--resume").exit_code == 0  # nothing left to do
    assert "was trained on night" in refused("style", "--styles", paintings, *data, "--out", out, "--resume")


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_resumed_style_run_ends_like_an_uninterrupted_run(
    optimizer: str, photos: Path, make_images: MakeImages, vgg_weights: Path, tmp_path: Path
) -> None:
    """Replace the last checkpoint of a run with its first one, then resume it."""
    run, first = tmp_path / "run", tmp_path / "first.pt"
    data = ["--styles", make_images("paintings", 3, size=(80, 80)), "--content", photos, "--out", run, "--vgg", vgg_weights]
    two = ["--set", "decay_from=1.0", "--set", f"optimizer={optimizer}"]
    assert call("style", *data, *TINY_STYLE, *two).exit_code == 0
    (run / "checkpoint.pt").rename(first)
    plan = (run / "run.json").read_text()
    (run / "run.json").write_text(plan.replace('"steps": 2', '"steps": 4'))
    assert call("style", *data, "--resume").exit_code == 0
    whole = torch.load(run / "checkpoint.pt", weights_only=True)
    first.rename(run / "checkpoint.pt")
    assert call("style", *data, "--resume").exit_code == 0
    resumed = torch.load(run / "checkpoint.pt", weights_only=True)
    assert whole["step"] == resumed["step"] == 4
    assert all(torch.equal(value, resumed["network"][name]) for name, value in whole["network"].items())


def test_export_of_an_unfinished_run_says_its_step(photos: Path, tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "mine.onnx"
    assert call("gan", "--data", photos, "--out", run, *TINY_GAN).exit_code == 0
    plan = (run / "run.json").read_text()
    (run / "run.json").write_text(plan.replace('"images": 48', '"images": 80'))
    result = call("export", run, out)
    assert "checkpoint of step 6 of 10: the best by Frechet distance" in result.output
    assert read_card(out).training_config["trained_steps"] == 6


def test_gan_refuses_unusable_data(photos: Path, make_images: MakeImages, tmp_path: Path) -> None:
    out = ["--out", tmp_path / "run"]
    (tmp_path / "empty").mkdir()
    assert "holds no image that can be read" in refused("gan", "--data", tmp_path / "empty", *out)
    assert "does not exist" in refused("gan", "--data", tmp_path / "nowhere", *out)
    few = make_images("few", 3, size=(70, 70))
    assert "holds 3 readable images. At least 16 are needed" in refused("gan", "--data", few, *out)
    said = refused("gan", "--data", photos, *out, "--set", "image_size=128")
    assert "40 of 40 images" in said
    assert "under 128 pixels" in said
    assert "the smallest side is 70" in said
    assert not (tmp_path / "run").exists()


def test_gan_refuses_invalid_options(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert "no config nothing" in refused("gan", "--data", photos, "--out", out, "--config", "nothing")
    assert "batch_size" in refused("gan", "--data", photos, "--out", out, "--set", "batch_size=-1")
    assert "image_size 30 cannot be reached" in refused("gan", "--data", photos, "--out", out, "--set", "image_size=30")
    assert "--device toaster cannot be used here" in refused("gan", "--data", photos, "--out", out, "--device", "toaster")
    assert "holds no training run" in refused("gan", "--data", photos, "--out", out, "--resume")
    assert "--device meta cannot be used here" in refused("gan", "--data", photos, "--out", out, "--device", "meta")
    assert "Leave --config and --set out" in refused("gan", "--data", photos, "--out", out, "--resume", *TINY_GAN)
    assert "Leave --config and --set out" in refused("gan", "--data", photos, "--out", out, "--resume", "--config", "digits")
    assert "Missing option" in refused("gan", "--data", photos)
    assert not out.exists()
    out.mkdir()
    assert "exists already" in refused("gan", "--data", photos, "--out", out)


def test_style_refuses_unusable_data(photos: Path, make_images: MakeImages, vgg_weights: Path, tmp_path: Path) -> None:
    paintings = make_images("paintings", 1, size=(60, 60))
    folders: list[object] = ["--styles", paintings, "--content", photos, "--out", tmp_path / "run"]
    assert "under 64 pixels" in refused("style", *folders, "--vgg", vgg_weights, *TINY_STYLE)
    bigger = make_images("bigger", 1, size=(64, 64))
    folders[1] = bigger
    assert "--vgg takes" in refused("style", *folders, "--vgg", tmp_path / "none", *TINY_STYLE)
    folders[3] = make_images("small", 5, size=(40, 40))
    small = refused("style", *folders, "--vgg", vgg_weights, *TINY_STYLE)
    assert "5 of 5 images" in small
    assert f"-m training check {folders[3]} --style --size 64" in small
    assert not (tmp_path / "run").exists()


def test_export_takes_the_card_from_options_and_the_name_from_the_title(
    gan_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = done(
        "export", gan_run, "--title", "Köpfe für Zoë", "--summary", "Heads.", "--licence", "CC BY 4.0", "--data-source", "home"
    )  # fmt: skip
    card = read_card(Path("exported/kopfe-fur-zoe.onnx"))
    assert "Wrote exported/kopfe-fur-zoe.onnx" in said
    assert (card.name, card.title, card.summary, card.licence) == ("kopfe-fur-zoe", "Köpfe für Zoë", "Heads.", "CC BY 4.0")
    assert [each.model_dump() for each in card.training_data] == [
        {"title": "99 images (digits.zip)", "source": "home", "licence": "not stated"}
    ]
    assert "licence" not in said
    run = gan_run.rename(tmp_path / "Мои коты 2")
    said = done("export", run)
    assert read_card(Path("exported/moi-koty-2.onnx")).title == "Moi Koty 2"
    assert 'The card states no licence. To state one, export again with --licence "CC BY 4.0"' in said


def test_export_options_replace_the_values_of_the_file(gan_run: Path, tmp_path: Path) -> None:
    details = tmp_path / "details.toml"
    details.write_text('title = "Old"\nsummary = "Kept."\n[[training_data]]\nsource = "here"\n')
    out = tmp_path / "a.onnx"
    done("export", gan_run, out, "--card", details, "--title", "New")
    card = read_card(out)
    assert (card.title, card.summary, card.training_data[0].source) == ("New", "Kept.", "here")
    assert card.training_data[0].title == "99 images (digits.zip)"
    said = refused("export", gan_run, out, "--card", details, "--data-licence", "CC0")
    assert "--data-source and --data-licence describe the training data, and so does the file of --card" in said
    assert "--licence is empty" in refused("export", gan_run, out, "--licence", " ")
    assert "No model name can be made from '...'. Name the file to write" in refused("export", gan_run, "--title", "...")


def test_export_of_a_missing_run_names_the_runs_that_exist(gan_run: Path, tmp_path: Path) -> None:
    said = refused("export", tmp_path / "gam")
    assert f"gam is not a folder. Name a run folder, the --out of a training. Runs here: {gan_run}" in said


def test_training_without_its_packages_says_how_to_install_them(tmp_path: Path) -> None:
    bare = "import runpy, sys; sys.modules['torch'] = None; runpy.run_module('training', run_name='__main__')"
    ended = subprocess.run([sys.executable, "-c", bare, "export", "runs/mine"], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "has no package torch, which training needs. Run make setup once" in ended.stderr


def test_help_and_wrong_arguments_do_not_wait_for_torch() -> None:
    code = """
import sys
from training.cli.app import app
for line in sys.argv[1:]:
    try:
        app(line.split())
    except SystemExit:
        assert "torch" not in sys.modules, line
    else:
        raise AssertionError(line)
"""
    lines = ["--help", *(f"{name} --help" for name in ("gan", "style", "paint", "int8", "check", "export", "table"))]
    lines += ["export", "gan --data no --out run", "style --styles no --content no --out run"]
    ended = subprocess.run([sys.executable, "-c", code, *lines], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    said = done(name, "--help")
    assert f"{name} [OPTIONS]" in said
    assert load_command(name).help
    assert COMMANDS[name][1] in " ".join(done("--help").replace("│", " ").split())


def test_closed_pipe_ends_quietly() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "training", "table"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_export_refuses_a_folder_without_run(tmp_path: Path) -> None:
    assert "holds no training run" in refused("export", tmp_path, tmp_path / "a.onnx")


def test_resume_from_weights_with_nan_goes_back_to_the_fallback(photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert call("gan", "--data", photos, "--out", run, *TINY_GAN).exit_code == 0
    checkpoint = torch.load(run / "checkpoint.pt", weights_only=True)
    checkpoint["step"] = 3
    next(iter(checkpoint["generator"].values())).fill_(float("nan"))
    torch.save(checkpoint, run / "checkpoint.pt")
    said = done("gan", "--data", photos, "--out", run, "--resume")
    assert "became NaN or infinite at step" in said
    assert "Back to the checkpoint of 0 images, with learning rates times 0.5." in said
    assert torch.load(run / "checkpoint.pt", weights_only=True)["step"] == 6


def test_full_disk_ends_a_training_with_one_line_and_a_whole_checkpoint(
    make_images: MakeImages, small_disk: Path, tmp_path: Path
) -> None:
    run = small_disk / "run"
    options = ["--config", "mlp", "--features", "pixels", "--set", "features.layers=[]", "--set", "generator.width=8"]
    options += ["--set", "discriminator.width=8", "--set", "checkpoint_every=2", "--set", "images=960", "--device", "cpu"]
    options += ["--cache", str(tmp_path)]  # a mapped file would keep the disk busy
    said = refused("gan", "--data", make_images("few", 40, size=(28, 28)), "--out", run, *options)
    errors = said[said.index("Error:") :]
    assert str(run) in errors
    assert "cannot be written: the disk is full. Free some space. Earlier checkpoints are intact. Resume with:" in errors
    assert f"--out {run}" in errors
    assert torch.load(run / "checkpoint.pt", weights_only=True)["step"] == 0
    assert not list(run.glob(".*.partial"))


def test_two_processes_share_a_run(photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "training", "gan", "--data", str(photos), "--out", str(run), *TINY_GAN, "--processes", "2"]
    subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True, capture_output=True, timeout=200)
    *_, report, evaluation = (json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines())
    assert report["images"] == evaluation["images"] == 48
    assert "7 processes" in refused("gan", "--data", photos, "--out", tmp_path / "odd", *TINY_GAN, "--processes", "7")


def test_run_without_weights_uses_pixels(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no weights here"))
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: (_ for _ in ()).throw(OSError("no network")))
    options = TINY_GAN[: TINY_GAN.index("--features")]
    result = call("gan", "--data", photos, "--out", tmp_path / "run", *options)
    assert result.exit_code == 0, result.output
    assert "The metrics are measured in pixels instead." in result.output
    assert "Training continues without the feature discriminator" in result.output
    assert json.loads((tmp_path / "run" / "run.json").read_text())["config"]["features"]["layers"] == []
    asked = refused("gan", "--data", photos, "--out", tmp_path / "asked", *options, "--features", "inception")
    assert "--features pixels" in asked
    layers = ["--features", "pixels", "--set", 'features.layers=["relu1_1"]']
    assert "torchvision could not download" in refused("gan", "--data", photos, "--out", tmp_path / "asked", *options, *layers)
    assert not (tmp_path / "asked").exists()


def test_from_begins_with_the_weights_of_another_run(
    photos: Path, make_images: MakeImages, vgg_weights: Path, tmp_path: Path
) -> None:
    paintings = make_images("paintings", 3, size=(80, 80))
    old, out, resumed = tmp_path / "old", tmp_path / "out", tmp_path / "resumed"
    train = ["style", "--styles", paintings, "--content", photos, "--vgg", vgg_weights]
    assert call(*train, "--out", old, *TINY_STYLE).exit_code == 0
    (paintings / "001.png").rename(paintings / "night.png")
    begin = [*train, "--out", out, "--from", old]
    assert "in the trained network" in refused(*begin, "--config", "style-cpu")
    assert "leave --from out" in refused(*train, "--out", old, "--from", old, "--resume")
    assert not out.exists()

    still = ["--set", "steps=1", "--set", "learning_rate=1e-9"]
    assert call(*begin, *still).exit_code == 0
    before, after = (torch.load(run / "checkpoint.pt", weights_only=True)["network"] for run in (old, out))
    for name, value in after.items():
        expected = before[name]
        if ".norm." in name:  # rows 000, 002 and night
            expected = torch.stack([expected[0], expected[2], expected.mean(dim=0)])
        assert torch.allclose(value, expected, atol=1e-6), name

    again = [*train, "--out", resumed, "--from", old, "--auto-resume"]
    assert call(*again).exit_code == 0
    assert call(*again).exit_code == 0  # nothing left to do
    learnt = torch.load(resumed / "checkpoint.pt", weights_only=True)["network"]
    assert not any(torch.equal(value, after[name]) for name, value in learnt.items() if value.numel() > 100)

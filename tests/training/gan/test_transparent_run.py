"""From a folder of stickers to a service that returns transparent images."""

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from ganvas.card import GeneratorCard
from tests.service.conftest import pixels
from tests.service.running import running
from tests.training.commands import call, done
from tests.training.conftest import MakeImages
from tests.training.gan.test_gan_run import same
from training.gan.trainer import GanTrainer
from training.onnx_file import read_card

TINY = [
    "--set", "image_size=16", "--set", "generator.width=8", "--set", "discriminator.width=8", "--set", "batch_size=16",
    "--set", "images=960", "--set", "latent_size=8", "--set", "optimizer.learning_rate=0.004", "--set", "ema_decay=0.9",
    "--set", "checkpoint_every=20", "--set", "evaluation.every=30", "--set", "evaluation.samples=16",
    "--set", 'features.layers=["relu1_1"]', "--set", "features.start=0.5", "--set", "features.fraction=0.25",
    "--features", "pixels", "--threads", "1",
]  # fmt: skip


def interrupt_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    sound = GanTrainer.step

    def step(self: GanTrainer, step: int) -> Any:
        if step == number:
            raise KeyboardInterrupt
        return sound(self, step)

    monkeypatch.setattr(GanTrainer, "step", step)


def test_stickers_are_trained_resumed_exported_and_served(
    make_stickers: MakeImages, vgg_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_stickers("stickers", 40)
    options = ["--data", data, "--vgg", vgg_weights]
    said = done("gan", *options, "--out", tmp_path / "whole", *TINY)
    assert "Most images are partly transparent, so the model learns transparency" in said
    config = json.loads((tmp_path / "whole" / "run.json").read_text())["config"]
    assert (config["channels"], config["augment"]) == (4, ["translation", "cutout", "colour"])

    with monkeypatch.context() as patch:
        interrupt_at(patch, 47)  # after the second discriminator has joined and a checkpoint
        assert call("gan", *options, "--out", tmp_path / "cut", *TINY).exit_code != 0
    done("gan", *options, "--out", tmp_path / "cut", "--resume")
    whole, cut = (torch.load(tmp_path / run / "checkpoint.pt", weights_only=True) for run in ("whole", "cut"))
    assert whole["step"] == cut["step"] == 60
    assert same(whole, cut)

    folder = tmp_path / "whole"
    for name in ("neighbours.png", "samples/0000060.png", "walk.webp"):
        with Image.open(folder / name) as shown:
            assert shown.convert("RGBA").getchannel("A").getextrema() == (255, 255)  # on squares

    model = tmp_path / "models" / "stickers.onnx"
    done("export", folder, model)
    card = read_card(model)
    assert isinstance(card, GeneratorCard)
    assert card.channels == 4
    measured = done("evaluate", model, "--data", data, "--features", "pixels", "--samples", "16")
    assert "Frechet distance" in measured
    done("sample", folder, "-o", tmp_path / "sheet.png")

    with running(model.parent, tmp_path / "log") as service:
        body = {"seed": 1, "n": 16, "format": "npy"}
        images = np.load(_download(f"{service.url}/v1/sample", body, tmp_path / "images.npy"))
        single = pixels(httpx.post(f"{service.url}/v1/sample", json={"seed": 1}, timeout=30).content)
    assert np.array_equal(single, images[0])
    corners, centres = images[:, 0, 0, 3], images[:, 7:9, 7:9, 3]
    assert np.mean(corners) + 40 < np.mean(centres)  # the generator has begun to learn where stickers are


def _download(url: str, body: dict[str, object], path: Path) -> Path:
    path.write_bytes(httpx.post(url, json=body, timeout=30).raise_for_status().content)
    return path


def test_says_when_transparency_is_placed_on_white(make_images: MakeImages, make_stickers: MakeImages, tmp_path: Path) -> None:
    mixed = make_images("mixed", 20, size=(16, 16))
    stickers = make_stickers("stickers", 3)
    for path in stickers.iterdir():
        path.rename(mixed / f"sticker{path.name}")
    options = [*TINY, "--set", "images=16", "--set", "features.layers=[]"]
    said = done("gan", "--data", mixed, "--out", tmp_path / "run", *options)
    assert "3 of 23 images may have transparency, which is placed on white (--set channels=4 keeps it)." in said
    assert json.loads((tmp_path / "run" / "run.json").read_text())["config"]["channels"] == 3


def test_check_says_that_transparency_is_learned(make_stickers: MakeImages) -> None:
    words = " ".join(done("check", make_stickers("stickers", 20, side=32), "--size", 32).split())
    assert "20 with transparency, which the model learns (channels=4)" in words
    assert "Most images are partly transparent, so the model learns transparency." in words

"""Small images and untrained runs for the training tests."""

import logging
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.optim.swa_utils import AveragedModel

from tests.training.gan_configs import gan_config
from training.card_details import CardDetails
from training.export import export_run
from training.gan.plan import GanPlan
from training.gan.setup import build_generator
from training.run import Run
from training.style.config import StyleConfig
from training.style.network import build_stylizer
from training.style.plan import StylePlan

MakeImages = Callable[..., Path]
STYLES = {"night": "", "wave": "", "scream": ""}

# pytest attaches handlers to loggers that do not propagate. If this one has a handler, torch records every detail of an export.
logging.getLogger("torch.__trace").propagate = True
torch.set_num_threads(1)  # with networks this small, two threads mostly wait for each other


def draw(index: int, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """A coloured disc on a gradient. Each index gives another image."""
    width, height = size
    rng = np.random.default_rng(index)
    y, x = np.mgrid[:height, :width]
    background = np.stack([x * 255 / width, y * 255 / height, np.full_like(x, 128)], axis=-1)
    centre, radius = rng.uniform(0.3, 0.7, 2), rng.uniform(0.15, 0.3)
    disc = (x / width - centre[0]) ** 2 + (y / height - centre[1]) ** 2 < radius**2
    background[disc] = rng.uniform(0, 255, 3)
    return Image.fromarray(background.astype(np.uint8))


def draw_sticker(index: int, side: int = 16) -> Image.Image:
    """A disc of one colour with a soft edge, on transparency that hides the colours of `draw`."""
    rng = np.random.default_rng(index)
    y, x = np.mgrid[:side, :side] + 0.5
    centre, radius = rng.uniform(0.4, 0.6, 2) * side, rng.uniform(0.2, 0.35) * side
    alpha = np.clip(radius - np.hypot(x - centre[0], y - centre[1]) + 0.5, 0, 1)
    levels = np.dstack([np.asarray(draw(index, (side, side))), alpha * 255]).astype(np.uint8)
    levels[alpha > 0, :3] = rng.integers(0, 256, 3)
    return Image.fromarray(levels)


@pytest.fixture
def make_stickers(tmp_path: Path) -> MakeImages:
    """make_stickers("stickers", 40, side=16) -> a folder of 40 images with transparency."""

    def make(name: str, count: int, side: int = 16) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for index in range(count):
            draw_sticker(index, side).save(folder / f"{index:03d}.png")
        return folder

    return make


@pytest.fixture
def make_images(tmp_path: Path) -> MakeImages:
    """make_images("photos", 40, size=(48, 40)) -> a folder of 40 images."""

    def make(name: str, count: int, size: tuple[int, int] = (48, 40), mode: str = "RGB") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for index in range(count):
            draw(index, size).convert(mode).save(folder / f"{index:03d}.png")
        return folder

    return make


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No weights: torch's cache is empty, and downloads fail at once."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 12 MB: room for two checkpoints of the first step, but not for one with the state of the optimizers."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def untrained_gan(folder: Path, **changes: object) -> Path:
    config = gan_config({"image_size": 28, "channels": 1, "width": 4, "latent_size": 6}, changes)
    run = Run.create(folder, GanPlan(config=config, data="digits.zip", images=99))
    torch.manual_seed(0)
    run.save_checkpoint(1, {"generator_ema": AveragedModel(build_generator(config))})
    return run.folder


def untrained_style(folder: Path) -> Path:
    config = StyleConfig(width=4, residual_blocks=1)
    run = Run.create(folder, StylePlan(config=config, styles=STYLES, data="photos", images=40))
    torch.manual_seed(0)
    network = build_stylizer(config, len(STYLES))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    run.save_checkpoint(1, {"network": network})
    return run.folder


@pytest.fixture
def gan_run(tmp_path: Path) -> Path:
    """A run folder with an untrained generator."""
    return untrained_gan(tmp_path / "gan")


@pytest.fixture
def style_run(tmp_path: Path) -> Path:
    """A run folder with an untrained style network."""
    return untrained_style(tmp_path / "style")


# Exported once: an export takes seconds. Tests only read these files.
@pytest.fixture(scope="session")
def exported_generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a run like `gan_run`."""
    folder = tmp_path_factory.mktemp("generator")
    export_run(untrained_gan(folder / "gan"), folder / "tiny.onnx", CardDetails())
    return folder / "tiny.onnx"


@pytest.fixture(scope="session")
def exported_stylizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a run like `style_run`: three styles, in float32."""
    folder = tmp_path_factory.mktemp("stylizer")
    export_run(untrained_style(folder / "style"), folder / "three.onnx", CardDetails())
    return folder / "three.onnx"

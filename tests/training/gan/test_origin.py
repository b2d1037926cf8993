"""A run begins with the weights of another GAN, and its discriminator may keep its first layers."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.commands import done, refused
from tests.training.conftest import MakeImages
from tests.training.gan_configs import gan_config, sizes_of
from training.errors import ConfigError
from training.gan.architectures.registry import GANS
from training.gan.freeze import freeze_first
from training.gan.plan import GanPlan
from training.gan.setup import build_discriminator
from training.run import Run

OPTIONS = [
    "--set", "image_size=16", "--set", "generator.width=4", "--set", "discriminator.width=4", "--set", "batch_size=8",
    "--set", "features.layers=[]", "--set", "evaluation.every=0", "--threads", "1",
]  # fmt: skip
STILL = ["--set", "images=8", "--set", "optimizer.learning_rate=1e-9"]


@pytest.fixture
def first(make_images: MakeImages, tmp_path: Path) -> Path:
    """A run of four steps on grey images."""
    folder = tmp_path / "first"
    done("gan", "--data", make_images("old", 20, mode="L"), "--out", folder, *OPTIONS, "--set", "images=32")
    return folder


def weights(run: Path) -> dict[str, dict[str, Any]]:
    checkpoint: dict[str, dict[str, Any]] = torch.load(run / "checkpoint.pt", weights_only=True)
    return checkpoint


def test_run_begins_with_generator_average_and_discriminator(first: Path, make_images: MakeImages, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done("gan", "--data", make_images("new", 30), "--out", out, "--from", first, "--threads", "1", *STILL)
    before, after = weights(first), weights(out)
    # The average moves towards the generator, which ran ahead in the first steps.
    for part, change in (("generator", 1e-6), ("discriminator", 1e-6), ("generator_ema", 2e-3)):
        for name, value in after[part].items():
            if value.ndim > 1:  # the statistics of normalisations follow the new images
                assert torch.allclose(value, before[part][name], atol=change), (part, name)
    assert after["generator_ema"]["n_averaged"] == 5
    assert after["g_optimizer"]["state"][0]["step"] == 1
    plan = Run.open(out, GanPlan).plan
    assert plan.origin is not None
    assert (plan.origin.path, plan.origin.step, plan.origin.data) == (str(first), 4, "old")
    assert plan.config.channels == 1  # as in the trained networks, although the new images have colours
    assert "began with the weights of" in (out / "report.html").read_text()


def test_weights_in_half_precision_without_optimizers_are_enough(first: Path, make_images: MakeImages, tmp_path: Path) -> None:
    start, out = tmp_path / "start", tmp_path / "out"
    start.mkdir()
    (start / "run.json").write_bytes((first / "run.json").read_bytes())
    checkpoint = torch.load(first / "checkpoint.pt", weights_only=True)
    halves = {
        part: {name: value.half() if value.is_floating_point() else value for name, value in checkpoint[part].items()}
        for part in ("generator_ema", "discriminator")
    }
    torch.save({"step": checkpoint["step"], **halves}, start / "checkpoint.pt")
    done("gan", "--data", make_images("new", 30), "--out", out, "--from", start, "--threads", "1", *STILL)
    learnt = weights(out)
    for name, value in learnt["generator"].items():
        if value.ndim > 1:
            assert torch.allclose(value, halves["generator_ema"][f"module.{name}"].float(), atol=1e-6), name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "generator.width=8"], "generator.width is 8, but 4 in the trained network. The values of architecture,"),
        (["--set", "image_size=32"], "image_size is 32, but 16 in the trained network."),
        (["--set", "channels=3"], "channels is 3, but 1 in the trained network."),
        (["--config", "mlp"], "architecture is mlp, but dcgan-residual in the trained network."),
        (["--set", "freeze=40"], "freeze is 40, but the discriminator has"),
    ],
)
def test_refuses_networks_that_do_not_fit(
    first: Path, make_images: MakeImages, tmp_path: Path, options: list[str], message: str
) -> None:
    data = make_images("new", 30)
    assert message in refused("gan", "--data", data, "--out", tmp_path / "out", "--from", first, *options)


def test_refuses_freeze_without_weights_and_from_with_resume(first: Path, make_images: MakeImages, tmp_path: Path) -> None:
    data = make_images("new", 30)
    assert "Name its run with --from" in refused("gan", "--data", data, "--out", tmp_path / "out", "--set", "freeze=1")
    assert "leave --from out" in refused("gan", "--data", data, "--out", first, "--from", first, "--resume")


def test_frozen_layers_keep_their_weights_and_the_resumed_run_is_bit_identical(
    first: Path, make_images: MakeImages, tmp_path: Path
) -> None:
    data = make_images("new", 30)
    begin = ["gan", "--data", data, "--from", first, "--set", "freeze=2", "--set", "images=64", "--threads", "1"]
    done(*begin, "--out", tmp_path / "whole", "--set", "checkpoint_every=8")
    done(*begin, "--out", tmp_path / "cut", "--set", "checkpoint_every=8")
    # As if the process had been killed before its first checkpoint, so it needs the weights of the other run once more.
    for name in ("checkpoint.pt", "fallback.pt"):
        (tmp_path / "cut" / name).unlink()
    done("gan", "--data", data, "--out", tmp_path / "cut", "--resume")
    whole, cut, before = weights(tmp_path / "whole"), weights(tmp_path / "cut"), weights(first)
    for part in ("generator", "generator_ema", "discriminator"):
        assert all(torch.equal(value, cut[part][name]) for name, value in whole[part].items()), part
    learnt = whole["discriminator"]
    kept = [name for name in learnt if torch.equal(learnt[name], before["discriminator"][name])]
    assert [name for name in kept if name.endswith("weight")] == ["layers.0.weight", "layers.2.weight"]
    assert json.loads((tmp_path / "cut" / "run.json").read_text())["config"]["freeze"] == 2


@pytest.mark.parametrize("architecture", GANS)
def test_first_layers_of_every_architecture_can_be_frozen(architecture: str) -> None:
    size = sizes_of(architecture)[0]
    config = gan_config(architecture=architecture, image_size=size, channels=3, width=4)
    discriminator = build_discriminator(config)
    freeze_first(discriminator, 1, torch.zeros(1, 3, size, size))
    learns = [parameter.requires_grad for parameter in discriminator.parameters()]
    assert not all(learns)
    assert any(learns)
    with pytest.raises(ConfigError, match=r"freeze is 100, but the discriminator has \d+ layers. Choose at most \d+."):
        freeze_first(discriminator, 100, torch.zeros(1, 3, size, size))

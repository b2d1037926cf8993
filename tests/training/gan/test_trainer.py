"""One step of a GAN: what each network learns from, and the effect of options."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.training.gan import toys
from tests.training.gan_configs import gan_config, sizes_of
from training.config import load_config
from training.devices import launch
from training.errors import ConfigError
from training.gan.architectures.registry import GANS
from training.gan.config import GanConfig
from training.gan.setup import build_discriminator, resolve_gan
from training.gan.trainer import GanTrainer

FABRIC = launch(torch.device("cpu"), "float32")
NO_PENALTY = {"r1": 0.0, "r2": 0.0}
OBJECTIVES = ("bce", "hinge", "relativistic")
VALUES = {"channels": 3, "width": 4, "batch_size": 8, "images": 80, "augment": (), "optimizer.beta1": 0.5}


def noise(size: int) -> Tensor:
    """40 images."""
    return torch.randint(0, 256, (40, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def make_trainer(**changes: Any) -> GanTrainer:
    """A trainer of the smallest images that the architecture accepts."""
    size = sizes_of(changes.get("architecture", "dcgan"))[0]
    return GanTrainer(gan_config(VALUES, {"image_size": size}, changes), FABRIC, noise(size))


def weights(network: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shared_pass": False, "d_steps": 2, "g_steps": 3},
        {"pack": 2, "instance_noise": 0.1, "augment": ("translation", "cutout", "colour")},
        {"architecture": "mlp", "discriminator": {"norm": True}, "flip": True, "penalty": {"every": 2}},
    ],
)
def test_both_networks_and_the_average_learn(name: str, options: dict[str, Any]) -> None:
    trainer = make_trainer(objective=name, **options)
    networks = (trainer.generator, trainer.discriminator, trainer.generator_ema)
    before = [weights(network).clone() for network in networks]
    for step in (1, 2, 3):
        scalars = trainer.step(step)
        assert all(scalar.isfinite() for scalar in scalars.values())
        assert 0 <= scalars["d_accuracy"] <= 1
    for network, old in zip(networks, before, strict=True):
        assert not torch.equal(weights(network), old)


def test_discriminator_skips_its_step_if_it_is_far_ahead() -> None:
    trainer = make_trainer(skip_below=1e9)
    d, g = weights(trainer.discriminator).clone(), weights(trainer.generator).clone()
    trainer.step(1)
    assert torch.equal(weights(trainer.discriminator), d)
    assert not torch.equal(weights(trainer.generator), g)


def test_penalty_comes_only_every_few_steps() -> None:
    with_penalty, without = make_trainer(penalty={"r1": 5.0, "every": 2}), make_trainer(penalty=NO_PENALTY)
    scalars = [trainer.step(1) for trainer in (with_penalty, without)]
    assert not any({"r1", "r2"} & found.keys() for found in scalars)
    assert torch.equal(weights(with_penalty.discriminator), weights(without.discriminator))
    scalars = [trainer.step(2) for trainer in (with_penalty, without)]
    assert not torch.equal(weights(with_penalty.discriminator), weights(without.discriminator))
    assert scalars[0]["r1"] > 0
    assert scalars[0]["r2"] > 0
    assert not {"r1", "r2"} & scalars[1].keys()


@pytest.mark.parametrize("shared", [True, False])
def test_scalars_describe_the_logits_before_the_step(shared: bool) -> None:
    trainer = make_trainer(shared_pass=shared)
    progress = trainer.config.progress(1)
    batch = trainer.batches.draw(progress)
    with torch.no_grad():
        real, fake = trainer.discriminator(batch.real), trainer.discriminator(trainer.generate(batch.latents))
    scalars = trainer.step(1)
    assert scalars["real_logit"].item() == pytest.approx(real.mean().item(), abs=1e-6)
    assert scalars["fake_logit"].item() == pytest.approx(fake.mean().item(), abs=1e-6)
    assert scalars["d_accuracy"].item() == (real > fake).float().mean().item()


def test_learning_rates_follow_schedule_and_scale() -> None:
    trainer = make_trainer(optimizer={"learning_rate": 0.01, "d_learning_rate": 0.04, "schedule": "cosine"}, images=80)
    trainer.lr_scale = 0.5
    trainer.step(5)  # of 10: at 0.45 of the run
    factor = 0.5 * (1 + torch.cos(torch.tensor(torch.pi * 0.45)).item()) * 0.5
    assert trainer.g_optimizer.param_groups[0]["lr"] == pytest.approx(0.01 * factor)
    assert trainer.d_optimizer.param_groups[0]["lr"] == pytest.approx(0.04 * factor)
    assert trainer.settings(5) == pytest.approx({"learning_rate": 0.01 * factor, "d_learning_rate": 0.04 * factor})


def test_each_discriminator_step_shows_a_batch_of_its_own() -> None:
    config = GanConfig(images=80, batch_size=8, d_steps=2)
    assert (config.images_per_step, config.steps) == (16, 5)
    progress = config.progress(3)
    assert (progress.step, progress.steps, progress.fraction, progress.images) == (3, 5, 0.5, 48)
    trainer = make_trainer(d_steps=2)
    numbers = [trainer.batches.draw(trainer.config.progress(step), turn).real for step in (1, 2) for turn in (0, 1)]
    assert all(torch.equal(real, trainer.batches.real(number)) for number, real in enumerate(numbers))


def test_open_values_are_resolved_by_the_images() -> None:
    config, cpu = GanConfig(precision="float32"), torch.device("cpu")
    few, many = resolve_gan(config, 300, True, cpu), resolve_gan(config, 16_000, False, cpu)
    assert (few.channels, few.augment) == (1, ("translation", "cutout", "colour"))
    assert (many.channels, many.augment) == (3, ())
    assert resolve_gan(GanConfig(channels=3, augment=()), 300, True, cpu).augment == ()


def test_packed_images_get_one_logit() -> None:
    config = gan_config(image_size=16, channels=3, width=4, pack=2)
    assert build_discriminator(config)(torch.zeros(5, 6, 16, 16)).shape == (5,)
    with pytest.raises(ConfigError, match="batch_size 9 must be a multiple of pack 2"):
        gan_config(batch_size=9, pack=2)


def test_refuses_contradictory_options() -> None:
    with pytest.raises(ConfigError, match="label_smoothing is for objective bce; hinge has no labels"):
        gan_config(objective="hinge", label_smoothing=0.1)
    with pytest.raises(ConfigError, match="penalty: initial_factor 10 never falls: set ramp"):
        gan_config(penalty={"initial_factor": 10})
    with pytest.raises(ConfigError, match=r"There is no architecture transformer\. Known: dcgan, dcgan-nearest, "):
        make_trainer(architecture="transformer")


def test_a_new_architecture_brings_options_and_takes_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GANS, "fading", toys.FADING)
    toml = tmp_path / "fading.toml"
    toml.write_text('architecture = "fading"\nimage_size = 16\nchannels = 3\nimages = 640\n[generator]\nbrightness = 0.5\n')
    config = load_config(str(toml), GanConfig, ["generator.width=8", "precision=float32"])
    assert config.generator == toys.FadingOptions(width=8, brightness=0.5)
    assert GanConfig.model_validate_json(config.model_dump_json()) == config
    with pytest.raises(ConfigError, match=r"generator\.fade: unknown; known are width, brightness$"):
        load_config(str(toml), GanConfig, ["generator.fade=1"])

    trainer = GanTrainer(config, FABRIC, noise(16))
    assert trainer.config.steps == 10
    for step in (1, 2, 3):
        trainer.step(step)
    for network in (trainer.generator, trainer.generator_ema.module):
        assert network.state_dict()["fraction"].item() == pytest.approx(0.25)
    assert trainer.generate(torch.zeros(2, 100)).abs().max() <= 0.25 * 0.5

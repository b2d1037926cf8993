"""One step of a GAN: who learns from what, and with which options."""

import copy

import pytest
import torch
from torch import Tensor, nn

from tests.training.gan_configs import gan_config
from training.devices import launch
from training.errors import ConfigError
from training.gan.config import GanConfig
from training.gan.losses import objective
from training.gan.setup import build_discriminator, resolve_gan
from training.gan.trainer import Adversaries

FABRIC = launch(torch.device("cpu"), "float32")
SQUARES = torch.randint(0, 256, (40, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
NO_PENALTY = {"r1": 0.0, "r2": 0.0}
OBJECTIVES = ("bce", "hinge", "relativistic")


def adversaries(**changes: object) -> Adversaries:
    values = {"image_size": 16, "channels": 3, "width": 4, "batch_size": 8, "images": 80, "augment": ()}
    return Adversaries(gan_config(values, {"optimizer.beta1": 0.5}, changes), FABRIC, SQUARES)


def weights(network: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("sureness", [1, 1000])
@pytest.mark.parametrize("options", [{}, {"pack": 2}, {"discriminator": {"norm": True}}, {"skip_below": 1e9}])
def test_one_pass_for_both_phases_gives_the_gradients_of_two(name: str, sureness: float, options: dict[str, object]) -> None:
    """The discriminator's step is that of separate phases; the generator's is what it would be before that step."""
    shared, separate = (adversaries(objective=name, penalty=NO_PENALTY, shared_pass=way, **options) for way in (True, False))
    for one in (shared, separate):
        list(one.discriminator.parameters())[-2].data.mul_(sureness)  # of the last layer: logits far from 0
    before = copy.deepcopy(shared)
    shared.step(1)
    separate.step(1)
    assert torch.allclose(weights(shared.discriminator), weights(separate.discriminator), atol=1e-7)

    rng = before._random(1, 0)
    real, fake = before._see(before._real(1), 1, rng), before._see(before._fake(1), 1, rng)
    loss = objective(name).generator(before.discriminator(real).detach(), before.discriminator(fake))
    by_hand = torch.autograd.grad(loss, list(before.generator.parameters()))
    for gradient, parameter in zip(by_hand, shared.generator.parameters(), strict=True):
        assert parameter.grad is not None
        assert (gradient - parameter.grad).norm() <= 1e-5 * gradient.norm()


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
def test_both_networks_and_the_average_learn(name: str, options: dict[str, object]) -> None:
    ours = adversaries(objective=name, **options)
    networks = (ours.generator, ours.discriminator, ours.average)
    before = [weights(network).clone() for network in networks]
    for step in (1, 2, 3):
        losses = ours.step(step)
        assert all(loss.isfinite() for loss in losses.values())
        assert 0 <= losses["d_accuracy"] <= 1
    for network, old in zip(networks, before, strict=True):
        assert not torch.equal(weights(network), old)


def test_a_discriminator_that_is_far_ahead_skips_its_step() -> None:
    ours = adversaries(skip_below=1e9)
    d, g = weights(ours.discriminator).clone(), weights(ours.generator).clone()
    ours.step(1)
    assert torch.equal(weights(ours.discriminator), d)
    assert not torch.equal(weights(ours.generator), g)


def test_the_penalty_comes_every_so_many_steps() -> None:
    with_penalty, without = adversaries(penalty={"r1": 5.0, "every": 2}), adversaries(penalty=NO_PENALTY)
    for ours in (with_penalty, without):
        ours.step(1)
    assert torch.equal(weights(with_penalty.discriminator), weights(without.discriminator))
    for ours in (with_penalty, without):
        ours.step(2)
    assert not torch.equal(weights(with_penalty.discriminator), weights(without.discriminator))


def test_the_two_rates_and_their_damping() -> None:
    ours = adversaries(optimizer={"learning_rate": 0.01, "d_learning_rate": 0.04, "schedule": "cosine"}, images=80)
    ours.damping = 0.5
    ours.step(5)  # of 10: at 0.45 of the run
    factor = 0.5 * (1 + torch.cos(torch.tensor(torch.pi * 0.45)).item()) * 0.5
    assert ours.g_optimizer.param_groups[0]["lr"] == pytest.approx(0.01 * factor)
    assert ours.d_optimizer.param_groups[0]["lr"] == pytest.approx(0.04 * factor)


def test_several_discriminator_steps_show_as_many_batches() -> None:
    config = GanConfig(images=80, batch_size=8, d_steps=2)
    assert (config.images_per_step, config.steps) == (16, 5)


def test_what_a_config_leaves_open_is_decided_by_the_pictures() -> None:
    config, cpu = GanConfig(precision="float32"), torch.device("cpu")
    few, many = resolve_gan(config, 300, True, cpu), resolve_gan(config, 16_000, False, cpu)
    assert (few.channels, few.augment) == (1, ("translation", "cutout", "colour"))
    assert (many.channels, many.augment) == (3, ())
    assert resolve_gan(GanConfig(channels=3, augment=()), 300, True, cpu).augment == ()


def test_packed_pictures_are_judged_together() -> None:
    config = gan_config(image_size=16, channels=3, width=4, pack=2)
    assert build_discriminator(config)(torch.zeros(5, 6, 16, 16)).shape == (5,)
    with pytest.raises(ConfigError, match="batch_size 9 must be a multiple of pack 2"):
        gan_config(batch_size=9, pack=2)


def test_options_that_contradict_each_other() -> None:
    with pytest.raises(ConfigError, match="label_smoothing is for objective bce; hinge has no labels"):
        gan_config(objective="hinge", label_smoothing=0.1)
    with pytest.raises(ConfigError, match="penalty: initial_factor 10 never falls: set ramp"):
        gan_config(penalty={"initial_factor": 10})
    with pytest.raises(ConfigError, match=r"There is no architecture transformer\. Known: dcgan, dcgan-nearest, "):
        adversaries(architecture="transformer")

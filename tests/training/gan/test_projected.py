"""The second discriminator, which judges VGG-16 features: what it learns from, and where it sends the generator."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.training.gan_configs import gan_config
from training.devices import launch
from training.errors import ConfigError
from training.gan.feature_discriminator import FeatureDiscriminator
from training.gan.trainer import Adversaries
from training.vgg import VggFeatures

FABRIC = launch(torch.device("cpu"), "float32")
SQUARES = torch.randint(0, 256, (40, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LAYERS = ("relu1_2", "relu2_2")
UNEQUAL = {"learning_rate": 1e-6, "d_learning_rate": 2e-3}
PENALTY = {"r1": 0.2, "r2": 0.2}


@pytest.fixture
def vgg(vgg_weights: Path) -> VggFeatures:
    return VggFeatures(LAYERS, vgg_weights)


def adversaries(vgg: VggFeatures | None, squares: Tensor = SQUARES, **changes: Any) -> Adversaries:
    values = {
        "image_size": 16, "channels": squares.shape[1], "width": 4, "batch_size": 8, "images": 80, "augment": (),
        "precision": "float32", "features": {"layers": LAYERS, "start": 0.0}, "penalty": {"r1": 0.0, "r2": 0.0},
    }  # fmt: skip
    return Adversaries(gan_config(values, changes), FABRIC, squares, vgg)


def weights(network: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def test_logits_for_each_place_of_each_layer() -> None:
    features = {"shallow": torch.randn(5, 64, 32, 32), "deep": 100 * torch.randn(5, 512, 3, 3)}
    discriminator = FeatureDiscriminator(features)
    assert [logits.shape for logits in discriminator(features)] == [(5, 16), (5, 9)]
    for layer, head in discriminator.by_layer.items():  # whatever a layer's magnitude, its head sees the same one
        assert head.normalised(features[layer]).square().mean() == pytest.approx(1, abs=1e-4)
    trained = {name for name, _ in discriminator.named_parameters()}
    assert not any("mixture" in name or "scale" in name for name in trained)


@pytest.mark.parametrize("name", ["bce", "hinge", "relativistic"])
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_the_gradients_are_those_of_two_phases(vgg: VggFeatures, name: str, share: float) -> None:
    both = adversaries(vgg, objective=name, features={"fraction": share, "weight": 3.0})
    assert both.features is not None
    pixels = adversaries(vgg, objective=name, features={"fraction": share, "layers": ()})
    pixels.step(1)

    before = adversaries(vgg, objective=name)  # the same seed, the same networks
    assert before.features is not None
    judge, count = before.features, round(8 * share)
    real, fake = before._real(1), before._fake(1)
    real_logits = judge.discriminator(judge._features(real[:count]))
    fake_logits = judge.discriminator(judge._features(fake[:count]))
    losses = [judge._objective.generator(r.detach(), f) for r, f in zip(real_logits, fake_logits, strict=True)]
    by_hand = torch.autograd.grad(3 * torch.stack(losses).mean(), list(before.generator.parameters()))

    both.step(1)
    for gradient, alone, parameter in zip(by_hand, pixels.generator.parameters(), both.generator.parameters(), strict=True):
        assert alone.grad is not None
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, alone.grad + gradient, rtol=1e-3, atol=1e-6 * float(gradient.abs().max()) + 1e-9)
    assert torch.equal(weights(both.discriminator), weights(pixels.discriminator))  # the first is none of its business
    assert not torch.equal(weights(both.features.discriminator), weights(judge.discriminator))


def test_the_picture_itself_is_judged_as_well_but_small(vgg: VggFeatures) -> None:
    judge = adversaries(vgg).features
    assert judge is not None
    halves = torch.cat([torch.full((1, 3, 32, 16), -0.5), torch.full((1, 3, 32, 16), 0.5)], dim=3)
    features = judge._features(halves)
    assert list(features) == [*LAYERS, "shrunk"] == list(judge.discriminator.by_layer)
    assert torch.equal(features["shrunk"], halves[:, :, ::2, ::2])


def test_it_learns_to_tell_real_from_fake(vgg: VggFeatures) -> None:
    networks = adversaries(vgg, optimizer=UNEQUAL, images=8000)
    right = [float(networks.step(step)["f_accuracy"]) for step in range(1, 31)]
    assert 0.3 < right[0] < 0.8
    assert min(right[-5:]) > 0.9


def test_penalties_keep_its_logits_flat(vgg: VggFeatures) -> None:
    def slope(**penalty: float) -> Tensor:
        networks = adversaries(vgg, optimizer=UNEQUAL, images=8000, penalty={"every": 4} | penalty)
        assert networks.features is not None
        for step in range(1, 31):
            networks.step(step)
        judge, fake = networks.features, networks._fake(31).detach().requires_grad_()
        (gradient,) = torch.autograd.grad(judge.discriminator(judge._features(fake))[0].sum(), fake)
        return gradient.norm()

    assert slope(r1=10.0, r2=10.0) < 0.5 * slope()


def test_it_joins_when_it_is_told_to(vgg: VggFeatures) -> None:
    networks = adversaries(vgg, features={"start": 0.3})  # of ten steps
    assert networks.features is not None
    begun = weights(networks.features.discriminator)
    for step in range(1, 4):
        assert "f_accuracy" not in networks.step(step)
    assert torch.equal(weights(networks.features.discriminator), begun)
    assert "f_accuracy" in networks.step(4)
    assert not torch.equal(weights(networks.features.discriminator), begun)


def test_grey_pictures_augmentation_and_noise(vgg: VggFeatures) -> None:
    networks = adversaries(
        vgg, SQUARES[:, :1], augment=("translation", "cutout", "colour"), instance_noise=0.1, penalty=PENALTY
    )
    before = weights(networks.generator)
    assert all(loss.isfinite() for step in range(1, 18) for loss in networks.step(step).values())  # 16: penalties
    assert not torch.equal(weights(networks.generator), before)


def test_what_does_not_go_together(vgg: VggFeatures) -> None:
    for changes in ({"pack": 2}, {"shared_pass": False}, {"d_steps": 2}):
        with pytest.raises(ConfigError, match=r"features.layers need shared_pass, one step of each network, and pack = 1"):
            adversaries(vgg, **changes)
    with pytest.raises(ConfigError, match=r"features.layers are judged by VGG-16: name its weights with --vgg FILE"):
        adversaries(None)

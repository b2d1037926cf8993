"""The second discriminator, which judges VGG-16 features: what it learns from, and the gradient that it gives the generator."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.training.gan_configs import gan_config
from training.devices import launch
from training.errors import ConfigError
from training.gan.feature_discriminator import FeatureDiscriminator
from training.gan.trainer import GanTrainer
from training.vgg import VggFeatures

FABRIC = launch(torch.device("cpu"), "float32")
IMAGES = torch.randint(0, 256, (40, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LAYERS = ("relu1_2", "relu2_2")
UNEQUAL = {"learning_rate": 1e-6, "d_learning_rate": 2e-3}
PENALTY = {"r1": 0.2, "r2": 0.2}


@pytest.fixture
def vgg(vgg_weights: Path) -> VggFeatures:
    return VggFeatures(LAYERS, vgg_weights)


def make_trainer(vgg: VggFeatures | None, dataset: Tensor = IMAGES, **changes: Any) -> GanTrainer:
    values = {
        "image_size": 16, "channels": dataset.shape[1], "width": 4, "batch_size": 8, "images": 80, "augment": (),
        "precision": "float32", "features": {"layers": LAYERS, "start": 0.0}, "penalty": {"r1": 0.0, "r2": 0.0},
    }  # fmt: skip
    return GanTrainer(gan_config(values, changes), FABRIC, dataset, vgg)


def weights(network: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def test_gives_logits_for_each_place_of_each_layer() -> None:
    features = {"shallow": torch.randn(5, 64, 32, 32), "deep": 100 * torch.randn(5, 512, 3, 3)}
    discriminator = FeatureDiscriminator(features)
    assert [logits.shape for logits in discriminator(features)] == [(5, 16), (5, 9)]
    for layer, head in discriminator.by_layer.items():  # each head sees features of the same magnitude
        assert head.normalised(features[layer]).square().mean() == pytest.approx(1, abs=1e-4)
    trained = {name for name, _ in discriminator.named_parameters()}
    assert not any("mixture" in name or "scale" in name for name in trained)


@pytest.mark.parametrize("name", ["bce", "hinge", "relativistic"])
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_gradients_are_those_of_two_phases(vgg: VggFeatures, name: str, share: float) -> None:
    both = make_trainer(vgg, objective=name, features={"fraction": share, "weight": 3.0})
    assert both.features is not None
    pixels = make_trainer(vgg, objective=name, features={"fraction": share, "layers": ()})
    pixels.step(1)

    before = make_trainer(vgg, objective=name)  # the same seed, the same trainer
    assert before.features is not None
    judge, count = before.features, round(8 * share)
    batch = before.batches.draw(before.config.progress(1))
    real, fake = batch.real, before.generate(batch.latents)
    real_logits = judge.discriminator(judge.extract(real[:count]))
    fake_logits = judge.discriminator(judge.extract(fake[:count]))
    losses = [judge._objective.generator(r.detach(), f) for r, f in zip(real_logits, fake_logits, strict=True)]
    by_hand = torch.autograd.grad(3 * torch.stack(losses).mean(), list(before.generator.parameters()))

    both.step(1)
    for gradient, alone, parameter in zip(by_hand, pixels.generator.parameters(), both.generator.parameters(), strict=True):
        assert alone.grad is not None
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, alone.grad + gradient, rtol=1e-3, atol=1e-6 * float(gradient.abs().max()) + 1e-9)
    assert torch.equal(weights(both.discriminator), weights(pixels.discriminator))  # the first discriminator does not change
    assert not torch.equal(weights(both.features.discriminator), weights(judge.discriminator))


def test_also_judges_the_shrunk_image(vgg: VggFeatures) -> None:
    judge = make_trainer(vgg).features
    assert judge is not None
    halves = torch.cat([torch.full((1, 3, 32, 16), -0.5), torch.full((1, 3, 32, 16), 0.5)], dim=3)
    features = judge.extract(halves)
    assert list(features) == [*LAYERS, "shrunk"] == list(judge.discriminator.by_layer)
    assert torch.equal(features["shrunk"], halves[:, :, ::2, ::2])


def test_learns_to_tell_real_from_fake(vgg: VggFeatures) -> None:
    trainer = make_trainer(vgg, optimizer=UNEQUAL, images=8000)
    right = [float(trainer.step(step)["feature_accuracy"]) for step in range(1, 31)]
    assert 0.3 < right[0] < 0.8
    assert min(right[-5:]) > 0.9


def test_penalties_flatten_its_logits(vgg: VggFeatures) -> None:
    def slope(**penalty: float) -> Tensor:
        trainer = make_trainer(vgg, optimizer=UNEQUAL, images=8000, penalty={"every": 4} | penalty)
        assert trainer.features is not None
        for step in range(1, 17):
            trainer.step(step)
        judge, batch = trainer.features, trainer.batches.draw(trainer.config.progress(17))
        fake = trainer.generate(batch.latents).detach().requires_grad_()
        (gradient,) = torch.autograd.grad(judge.discriminator(judge.extract(fake))[0].sum(), fake)
        return gradient.norm()

    assert slope(r1=10.0, r2=10.0) < 0.5 * slope()


def test_joins_at_the_configured_fraction_of_the_run(vgg: VggFeatures) -> None:
    trainer = make_trainer(vgg, features={"start": 0.3})  # of ten steps
    assert trainer.features is not None
    begun = weights(trainer.features.discriminator)
    for step in range(1, 4):
        assert "feature_accuracy" not in trainer.step(step)
    assert torch.equal(weights(trainer.features.discriminator), begun)
    assert "feature_accuracy" in trainer.step(4)
    assert not torch.equal(weights(trainer.features.discriminator), begun)


def test_trains_on_grey_augmented_noisy_images(vgg: VggFeatures) -> None:
    trainer = make_trainer(vgg, IMAGES[:, :1], augment=("translation", "cutout", "colour"), instance_noise=0.1, penalty=PENALTY)
    before = weights(trainer.generator)
    assert all(loss.isfinite() for step in range(1, 18) for loss in trainer.step(step).values())  # 16: penalties
    assert not torch.equal(weights(trainer.generator), before)


def test_refuses_options_that_do_not_combine(vgg: VggFeatures) -> None:
    for changes in ({"pack": 2}, {"shared_pass": False}, {"d_steps": 2}):
        with pytest.raises(ConfigError, match=r"features.layers need shared_pass, one step of each network, and pack = 1"):
            make_trainer(vgg, **changes)
    with pytest.raises(ConfigError, match=r"features.layers are judged by VGG-16. Name its weights with --vgg FILE"):
        make_trainer(None)


def test_transparency_lies_on_the_same_grey_for_both_images_of_a_pair(vgg: VggFeatures) -> None:
    clear = torch.randint(0, 256, (40, 4, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    clear[:, 3] = 0
    judge = make_trainer(vgg, clear).features
    assert judge is not None
    black, white = (judge.extract(torch.full((1, 4, 16, 16), -1.0), background) for background in (0, 1))
    shades = [judge.extract(torch.full((1, 3, 16, 16), level))["relu2_2"] for level in (-1.0, 1.0)]
    assert torch.allclose(black["relu2_2"], shades[0])
    assert torch.allclose(white["relu2_2"], shades[1])
    assert torch.equal(black["shrunk"], white["shrunk"])
    assert black["shrunk"].shape == (1, 4, 16, 16)

    seen: list[Tensor] = []
    judge.vgg.register_forward_hook(lambda network, given, found: seen.append(given[0].detach()))
    leaf = torch.full((8, 4, 16, 16), -1.0, requires_grad=True)
    draws = torch.Generator().manual_seed(3)
    gradient, _ = judge.step(torch.full((8, 4, 16, 16), -1.0), leaf * 1, leaf, None, 0.0, lambda optimizer: None, draws)
    real, fake = seen
    assert torch.equal(real, fake)
    assert len(real[:, 0, 0, 0].unique()) == 8  # each pair has a grey of its own
    assert gradient[:, 3].abs().sum() > 0

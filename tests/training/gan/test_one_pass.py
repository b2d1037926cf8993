"""One pass gives the same gradients as two separate passes, for every architecture."""

import copy
from typing import Any

import pytest
import torch

from tests.training.gan import toys
from tests.training.gan.test_trainer import NO_PENALTY, OBJECTIVES, make_trainer, weights
from training.gan.architectures.registry import GANS
from training.gan.losses import objective
from training.gan.trainer import GanTrainer

ARCHITECTURES = [*GANS, "stddev", "fading"]


@pytest.fixture(autouse=True)
def toy_architectures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GANS, "stddev", toys.STDDEV)
    monkeypatch.setitem(GANS, "wrong-stddev", toys.WRONG_STDDEV)
    monkeypatch.setitem(GANS, "fading", toys.FADING)


def generator_error(name: str, sureness: float = 1, **options: Any) -> float:
    """The largest relative error of a generator's gradient in one pass; asserts that the discriminator's step is right."""
    shared, separate = (make_trainer(objective=name, penalty=NO_PENALTY, shared_pass=way, **options) for way in (True, False))
    for trainer in (shared, separate):
        list(trainer.discriminator.parameters())[-2].data.mul_(sureness)  # of the last layer: logits far from 0
    before = copy.deepcopy(shared)
    shared.step(1)
    separate.step(1)
    assert torch.allclose(weights(shared.discriminator), weights(separate.discriminator), atol=1e-7)
    right = reference(before, name)
    # The gradient of a bias before batch normalisation is only rounding noise.
    smallest = 0.01 * torch.cat([gradient.flatten() for gradient in right if gradient is not None]).norm().clamp_min(1e-30)
    errors = []
    for gradient, parameter in zip(right, shared.generator.parameters(), strict=True):
        assert (parameter.grad is None) == (gradient is None)  # of a layer that is not in use yet
        if gradient is None or parameter.grad is None:
            continue
        errors.append(float((gradient - parameter.grad).norm() / gradient.norm().clamp_min(smallest)))
    return max(errors)


def reference(trainer: GanTrainer, name: str) -> tuple[torch.Tensor | None, ...]:
    """The gradients of the generator's loss, with a backward pass of their own; None: a weight is not in use."""
    progress = trainer.config.progress(1)
    trainer.set_progress(progress)
    batch = trainer.draw(progress)
    real = trainer.preprocess(batch.real, progress, batch.rng)
    fake = trainer.preprocess(trainer.generate(batch.latents), progress, batch.rng)
    loss = objective(name).generator(trainer.discriminate(real, None).detach(), trainer.discriminate(fake, None))
    return torch.autograd.grad(loss, list(trainer.generator.parameters()), allow_unused=True)


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("sureness", [1, 1000])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_one_pass_gives_the_gradients_of_two_passes(name: str, sureness: float, architecture: str) -> None:
    """The generator learns from the discriminator as it was before its step."""
    assert generator_error(name, sureness, architecture=architecture) <= 1e-5


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("sureness", [1, 1000])
@pytest.mark.parametrize(
    "options",
    [
        {"pack": 2},
        {"discriminator": {"norm": True}},
        {"skip_below": 1e9},
        {"pack": 2, "architecture": "stddev"},
        {"skip_below": 1e9, "architecture": "stddev"},
        *({"architecture": architecture, "discriminator": {"norm": True}} for architecture in ("dcgan-residual", "mlp")),
    ],
)
def test_one_pass_gives_the_gradients_of_two_passes_with_options(name: str, sureness: float, options: dict[str, Any]) -> None:
    assert generator_error(name, sureness, **options) <= 1e-5


def test_a_wrong_claim_to_be_per_sample_is_detected() -> None:
    assert generator_error("relativistic", architecture="wrong-stddev") > 1e-3

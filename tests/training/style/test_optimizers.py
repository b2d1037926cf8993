"""The optimizers of a style network."""

import math

import pytest
import torch
from torch import Tensor

from training.style.config import StyleConfig
from training.style.network import build_stylizer, is_style_parameter
from training.style.optimizers import StyleOptimizers

PHOTOS = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 255


def config(optimizer: str) -> StyleConfig:
    return StyleConfig.model_validate({
        "optimizer": optimizer, "width": 4, "residual_blocks": 1, "kernel": 3, "steps": 100, "decay_from": 0.5,
        "learning_rate": 1e-3, "style_rate": 5.0, "separable": True,
    })  # fmt: skip


def moved(optimizer: str, steps: int = 1) -> dict[str, Tensor]:
    """How far the last of `steps` steps moved each parameter."""
    torch.manual_seed(0)
    network = build_stylizer(config(optimizer), styles=2)
    optimizers = StyleOptimizers(network, config(optimizer))
    for step in range(1, steps + 1):
        before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
        loss = (network(PHOTOS, torch.eye(2)) - PHOTOS.flip(1)).square().mean()
        optimizers.step(loss, config(optimizer).progress(step))
    return {name: parameter.detach() - before[name] for name, parameter in network.named_parameters()}


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_gradients_do_not_accumulate_over_steps(optimizer: str) -> None:
    """The gradient of a step is not added to that of the step before."""
    network = build_stylizer(config(optimizer), styles=2)
    optimizers = StyleOptimizers(network, config(optimizer))
    for step in (1, 2):
        loss = network(PHOTOS, torch.eye(2)).square().mean()
        fresh = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)
        optimizers.step(loss, config(optimizer).progress(step))
        for parameter, gradient in zip(network.parameters(), fresh, strict=True):
            assert parameter.grad is not None
            assert torch.equal(parameter.grad, gradient)


def test_first_step_of_adam_has_the_size_of_the_rate() -> None:
    for name, change in moved("adam").items():
        rate = 5e-3 if is_style_parameter(name) else 1e-3
        assert change.abs().max() == pytest.approx(rate, rel=0.01), name


def test_muon_updates_have_equal_singular_values() -> None:
    adam, muon = moved("adam"), moved("muon")
    by_muon = {name for name in adam if not torch.equal(adam[name], muon[name])}
    assert by_muon == {name for name, change in adam.items() if change.ndim == 4 and change.shape[1] > 1} - {"last.conv.weight"}
    for name in by_muon:
        change = muon[name].flatten(1)
        rate = 1e-3 * 0.2 * math.sqrt(max(change.shape))
        values = torch.linalg.svdvals(change) / rate
        # 1, up to the error of five Newton-Schulz iterations, which leave a value that was tiny small
        assert (values > 0.3).float().mean() > 0.9, name
        assert values.max() < 1.4, name


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_rate_falls_to_zero(optimizer: str) -> None:
    changes = moved(optimizer, steps=101).values()  # one more than the config has
    assert all(change.abs().max() == 0 for change in changes)


def test_restored_optimizers_continue_at_the_rate_of_the_progress() -> None:
    """A checkpoint holds no schedule: a step before the decay has the full rate, even after a step at rate 0."""
    network = build_stylizer(config("adam"), styles=2)
    used, restored = StyleOptimizers(network, config("adam")), StyleOptimizers(network, config("adam"))
    used.step(network(PHOTOS, torch.eye(2)).square().mean(), config("adam").progress(101))
    restored.parts["optimizer"].load_state_dict(used.parts["optimizer"].state_dict())
    before = network.last.conv.weight.detach().clone()
    restored.step(network(PHOTOS, torch.eye(2)).square().mean(), config("adam").progress(1))
    assert (network.last.conv.weight.detach() - before).abs().max() == pytest.approx(1e-3, rel=0.05)

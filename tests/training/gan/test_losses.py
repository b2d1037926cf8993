"""The losses of a GAN on values computed by hand."""

import math

import pytest
import torch

from training.gan.losses import gradient_penalty, objective


def test_losses_of_an_undecided_discriminator_match_a_calculation_by_hand() -> None:
    undecided = torch.zeros(4)
    for name, d_loss, g_loss in (
        ("bce", 2 * math.log(2), math.log(2)),
        ("hinge", 2.0, 0.0),
        ("relativistic", math.log(2), math.log(2)),
    ):
        losses = objective(name)
        assert losses.discriminator(undecided, undecided).item() == pytest.approx(d_loss)
        assert losses.generator(undecided, undecided).item() == pytest.approx(g_loss)


def test_losses_of_a_winning_discriminator_match_a_calculation_by_hand() -> None:
    real, fake = torch.full((2,), math.log(3)), torch.full((2,), -math.log(3))  # sigmoid 3/4 and 1/4; 2 log 3 apart
    for name, d_loss, g_loss in (
        ("bce", -2 * math.log(3 / 4), math.log(4)),
        ("hinge", 0.0, math.log(3)),  # both beyond 1
        ("relativistic", math.log(1 + 1 / 9), math.log(1 + 9)),
    ):
        losses = objective(name)
        assert losses.discriminator(real, fake).item() == pytest.approx(d_loss)
        assert losses.generator(real, fake).item() == pytest.approx(g_loss)


def test_relativistic_objective_compares_logits_in_pairs() -> None:
    real, fake = torch.tensor([0.0, 5.0]), torch.tensor([0.0, 5.0])
    assert objective("relativistic").discriminator(real, fake).item() == pytest.approx(math.log(2))


def test_label_smoothing_lowers_the_target() -> None:
    real, fake = torch.full((1,), math.log(3)), torch.full((1,), -50.0)
    smooth = objective("bce", label_smoothing=0.25).discriminator(real, fake).item()
    assert smooth == pytest.approx(-(0.75 * math.log(3 / 4) + 0.25 * math.log(1 / 4)))


def test_gradient_penalty_is_half_the_squared_slope() -> None:
    slope = torch.tensor([3.0, 4.0], requires_grad=True)

    def linear(images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1) @ slope

    penalty = gradient_penalty(linear, torch.randn(5, 1, 1, 2))
    assert penalty.item() == pytest.approx(25 / 2)
    penalty.backward()
    assert slope.grad is not None
    assert slope.grad.tolist() == pytest.approx([3.0, 4.0])  # d/ds of |s|^2 / 2

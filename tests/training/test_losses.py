"""Each loss on a value worked out by hand."""

import math

import pytest
import torch

from training.gan.losses import gradient_penalty, objective
from training.style.losses import content_loss, gram_matrix, style_loss, total_variation


def test_objectives_of_an_undecided_discriminator() -> None:
    undecided = torch.zeros(4)
    for name, d_loss, g_loss in (
        ("bce", 2 * math.log(2), math.log(2)),
        ("hinge", 2.0, 0.0),
        ("relativistic", math.log(2), math.log(2)),
    ):
        losses = objective(name)
        assert losses.discriminator(undecided, undecided).item() == pytest.approx(d_loss)
        assert losses.generator(undecided, undecided).item() == pytest.approx(g_loss)


def test_objectives_of_a_winning_discriminator() -> None:
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

    def linear(pictures: torch.Tensor) -> torch.Tensor:
        return pictures.flatten(1) @ slope

    penalty = gradient_penalty(linear, torch.randn(5, 1, 1, 2))
    assert penalty.item() == pytest.approx(25 / 2)
    penalty.backward()
    assert slope.grad is not None
    assert slope.grad.tolist() == pytest.approx([3.0, 4.0])  # d/ds of |s|^2 / 2


def test_content_loss_is_a_mean_square_for_each_image() -> None:
    features = torch.tensor([[[[1.0, 2.0]]], [[[0.0, 0.0]]]])
    target = torch.tensor([[[[1.0, 5.0]]], [[[0.0, 0.0]]]])
    assert content_loss(features, target).tolist() == [4.5, 0.0]


def test_gram_matrix() -> None:
    # Two channels over two positions: F = [[1, 2], [3, 4]], F F^T = [[5, 11], [11, 25]], c h w = 4.
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])
    assert gram_matrix(features).tolist() == [[[1.25, 2.75], [2.75, 6.25]]]


def test_gram_matrix_ignores_positions() -> None:
    features = torch.randn(1, 3, 4, 5)
    assert torch.allclose(gram_matrix(features), gram_matrix(features.flip(2, 3)), atol=1e-6)


def test_style_loss_is_a_mean_square_for_each_image() -> None:
    gram = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    target = torch.tensor([[[1.0, 2.0], [2.0, 1.0]]]).expand(2, 2, 2)
    assert style_loss(gram, target).tolist() == [2.0, 2.5]


def test_total_variation() -> None:
    # Neighbours below differ by 2 and 2, to the right by 1 and 1: 4 + 1.
    images = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]])
    assert total_variation(images).tolist() == [5.0]
    assert total_variation(torch.full((1, 3, 4, 4), 9.0)).tolist() == [0.0]

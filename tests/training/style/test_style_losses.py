"""The losses of style transfer on values computed by hand."""

import pytest
import torch

from training.style.losses import content_loss, gram_matrix, lattice_loss, style_loss, total_variation


def test_content_loss_is_a_mean_square_for_each_image() -> None:
    features = torch.tensor([[[[1.0, 2.0]]], [[[0.0, 0.0]]]])
    target = torch.tensor([[[[1.0, 5.0]]], [[[0.0, 0.0]]]])
    assert content_loss(features, target).tolist() == [4.5, 0.0]


def test_gram_matrix_matches_a_calculation_by_hand() -> None:
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


def test_total_variation_matches_a_calculation_by_hand() -> None:
    # Neighbours below differ by 2 and 2, to the right by 1 and 1: 4 + 1.
    images = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]])
    assert total_variation(images).tolist() == [5.0]
    assert total_variation(torch.full((1, 3, 4, 4), 9.0)).tolist() == [0.0]


def test_gram_matrix_has_the_gradient_of_its_definition() -> None:
    features = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 3, 3)
    (found,) = torch.autograd.grad((gram_matrix(features) * weight).sum(), features)
    flat = features.flatten(2)
    (wanted,) = torch.autograd.grad((torch.bmm(flat, flat.transpose(1, 2)) / 60 * weight).sum(), features)
    assert torch.allclose(found, wanted, atol=1e-6)


def test_lattice_loss_sees_a_pattern_at_its_period_and_at_divisors_only() -> None:
    positions = torch.arange(240).expand(1, 1, 240, 240)
    for period in (2, 4, 8):
        stripes = 4 * torch.where(positions % period < period / 2, 1.0, -1.0)  # a standard deviation of 4 grey levels
        assert lattice_loss(100 + stripes).item() == pytest.approx(1)
        assert lattice_loss(100 + 3 * stripes).item() == pytest.approx(9)
    waves = 4 * torch.sin(2 * torch.pi * positions / 10)
    assert lattice_loss(100 + waves).item() < 1e-6
    assert lattice_loss(torch.full((2, 3, 17, 30), 9.0)).tolist() == [0, 0]

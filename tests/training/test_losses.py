"""Each loss on a value worked out by hand."""

import math

import pytest
import torch

from training.losses.gan import discriminator_loss, generator_loss
from training.losses.style import content_loss, gram_matrix, style_loss, total_variation


def test_a_discriminator_that_cannot_tell() -> None:
    undecided = torch.zeros(4)  # sigmoid 1/2
    assert discriminator_loss(undecided, undecided).item() == pytest.approx(2 * math.log(2))
    assert generator_loss(undecided).item() == pytest.approx(math.log(2))


def test_a_discriminator_that_wins() -> None:
    real, fake = torch.full((2,), math.log(3)), torch.full((2,), -math.log(3))  # sigmoid 3/4 and 1/4
    assert discriminator_loss(real, fake).item() == pytest.approx(-2 * math.log(3 / 4))
    assert generator_loss(fake).item() == pytest.approx(math.log(4))


def test_content_loss_is_a_mean_square_for_each_picture() -> None:
    features = torch.tensor([[[[1.0, 2.0]]], [[[0.0, 0.0]]]])
    target = torch.tensor([[[[1.0, 5.0]]], [[[0.0, 0.0]]]])
    assert content_loss(features, target).tolist() == [4.5, 0.0]


def test_gram_matrix() -> None:
    # Two channels over two positions: F = [[1, 2], [3, 4]], F F^T = [[5, 11], [11, 25]], c h w = 4.
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])
    assert gram_matrix(features).tolist() == [[[1.25, 2.75], [2.75, 6.25]]]


def test_gram_matrix_forgets_where_things_are() -> None:
    features = torch.randn(1, 3, 4, 5)
    assert torch.allclose(gram_matrix(features), gram_matrix(features.flip(2, 3)), atol=1e-6)


def test_style_loss_is_a_mean_square_for_each_picture() -> None:
    gram = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    target = torch.tensor([[[1.0, 2.0], [2.0, 1.0]]]).expand(2, 2, 2)
    assert style_loss(gram, target).tolist() == [2.0, 2.5]


def test_total_variation() -> None:
    # Neighbours below differ by 2 and 2, to the right by 1 and 1: 4 + 1.
    images = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]])
    assert total_variation(images).tolist() == [5.0]
    assert total_variation(torch.full((1, 3, 4, 4), 9.0)).tolist() == [0.0]

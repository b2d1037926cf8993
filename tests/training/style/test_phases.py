"""Rounding of upsampling convolutions to int8 with equal sums."""

import numpy as np
import pytest
import torch

from training.style.network import UpsampledConv
from training.style.phases import round_phases


@pytest.fixture
def weight() -> np.ndarray:
    """Of the convolution before the upsampling, as the network folds it: [4 * 6, 5, 3, 3]."""
    torch.manual_seed(0)
    layer = UpsampledConv(5, 6, "bilinear")
    folded = torch.einsum("pas,qbt,oist->opqiab", layer.folds, layer.folds, layer.conv.weight)
    return folded.flatten(0, 2).detach().numpy()


def test_phases_of_an_output_have_the_same_sum_for_each_input(weight: np.ndarray) -> None:
    integers, scales = round_phases(weight)
    sums = integers.astype(int).sum(axis=(2, 3)).reshape(6, 4, 5)
    assert np.array_equal(sums, np.broadcast_to(sums[:, :1], sums.shape))
    assert np.array_equal(scales.reshape(6, 4), np.broadcast_to(scales[::4, None], (6, 4)))


def test_weights_are_rounded_by_less_than_one_step_and_use_the_range(weight: np.ndarray) -> None:
    integers, scales = round_phases(weight)
    steps = integers - weight / scales[:, None, None, None]
    assert np.abs(steps).max() <= 1
    assert np.abs(steps).mean() < 0.35
    assert 62 <= np.abs(integers.astype(int)).max() <= 64


def test_an_output_whose_weights_are_zero_stays_zero() -> None:
    integers, scales = round_phases(np.zeros((4, 2, 3, 3), np.float32))
    assert not integers.any()
    assert np.isfinite(scales).all()

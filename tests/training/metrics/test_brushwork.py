"""The numbers of brushwork on images whose patterns are known."""

import numpy as np
import pytest
import torch

from training.metrics.brushwork import coarse, lattice, relative_error, smooth_sky

DOWN, ACROSS = np.mgrid[:512, :512]


def image(levels: np.ndarray) -> np.ndarray:
    return np.repeat(np.broadcast_to(levels, (512, 512))[..., None], 3, axis=2).round().clip(0, 255).astype(np.uint8)


def test_relative_error_is_in_units_of_the_target() -> None:
    target = torch.tensor([[3.0, 4.0]])
    assert relative_error(torch.tensor([[3.0, 4.0], [0.0, 0.0], [6.0, 8.0], [3.0, 9.0]]), target).tolist() == [0, 1, 1, 1]


def test_the_sky_is_smooth_and_the_same_each_time() -> None:
    sky = smooth_sky()
    assert sky.shape == (512, 512, 3)
    assert np.array_equal(sky, smooth_sky())
    assert not np.array_equal(sky, smooth_sky(seed=1))
    assert lattice(sky, 4) < 0.1
    assert lattice(sky, 2) < 0.1
    assert np.abs(np.diff(sky.astype(float), axis=1)).mean() < 2


@pytest.mark.parametrize("period", [2, 4])
def test_lattice_is_the_height_of_a_pattern_in_grey_levels(period: int) -> None:
    dots = 6 * ((ACROSS % period == 0) & (DOWN % period == 0))
    gradient = 60 + DOWN / 8 + ACROSS / 10
    assert lattice(image(gradient), period) < 0.2
    assert lattice(image(gradient + dots), period) == pytest.approx(6, abs=0.3)
    assert lattice(image(gradient + 6 * (ACROSS % 7 == 0)), period) < 0.2


def test_coarse_is_the_share_of_periods_over_16_pixels() -> None:
    waves = {period: 20 * np.sin(2 * np.pi * (ACROSS + DOWN / 2) / period) for period in (6, 60)}
    assert coarse(image(120 + waves[60])) > 0.95
    assert coarse(image(120 + waves[6])) < 0.05
    assert coarse(image(120 + waves[6] + waves[60])) == pytest.approx(0.5, abs=0.05)

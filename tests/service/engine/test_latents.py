import numpy as np
import pytest

from ganvas.api import SEED_LIMIT
from service.engine.latents import latents_of_seed, random_seed


def test_latents_of_a_seed_never_change() -> None:
    # Recorded once. A library that changes these values changes every image of every seed.
    expected = np.array([[1.7640524, 0.4001572, 0.978738], [2.2408931, 1.867558, -0.9772779]], np.float32)
    np.testing.assert_array_equal(latents_of_seed(0, 2, 3), expected)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_first_rows_are_the_same_for_any_n(n: int) -> None:
    np.testing.assert_array_equal(latents_of_seed(5, n, 4), latents_of_seed(5, 9, 4)[:n])


def test_latents_are_standard_normal_float32() -> None:
    latents = latents_of_seed(SEED_LIMIT - 1, 1000, 100)
    assert latents.dtype == np.float32
    assert latents.shape == (1000, 100)
    assert abs(latents.mean()) < 0.02
    assert abs(latents.std() - 1) < 0.02


def test_random_seeds_differ_and_are_in_range() -> None:
    seeds = {random_seed() for _ in range(50)}
    assert len(seeds) > 45
    assert all(0 <= seed < SEED_LIMIT for seed in seeds)

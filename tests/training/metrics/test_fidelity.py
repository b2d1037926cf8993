"""The metrics on sets computed by hand and on random sets with known expectations."""

import math
from dataclasses import asdict

import numpy as np
import pytest
import torch
from torch import Tensor

from training.errors import DataError, WeightsError
from training.metrics import fidelity
from training.metrics.fidelity import frechet_distance, measure


def normal(rows: int, columns: int, seed: int) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(-1, 1)


def test_metrics_of_points_on_a_line_match_a_calculation_by_hand() -> None:
    # To the nearest other, 0, 1, 3, 10 reach 1, 1, 2, 7 and so cover -1..1, 0..2, 1..5, 3..17.
    # 0.5 lies in two of these, 2.5 in one, 30 and 40 in none. 0.5 and 2.5 reach 2: -1.5..2.5, 0.5..4.5; 30, 40 reach 10.
    found = measure(column(0, 1, 3, 10), column(0.5, 2.5, 30, 40), k=1)
    assert found.precision == 2 / 4
    assert found.density == 3 / (1 * 4)
    assert found.coverage == 3 / 4  # 10 reaches from 3 on, and has nothing up to 17
    assert found.recall == 3 / 4  # 0, 1 and 3
    real_pairs, fake_pairs = (1 + 3 + 10 + 2 + 9 + 7) / 6, (2 + 29.5 + 39.5 + 27.5 + 37.5 + 10) / 6
    assert found.diversity == pytest.approx(fake_pairs / real_pairs)


def test_neighbourhoods_reach_to_the_second_nearest_if_k_is_2() -> None:
    # To the second nearest, 0, 1, 3 reach 3, 2, 3. 2.5 lies in all three neighbourhoods, 3.5 in the last, 9 in none.
    found = measure(column(0, 1, 3), column(2.5, 3.5, 9), k=2)
    assert found.density == pytest.approx(4 / (2 * 3))
    assert found.precision == pytest.approx(2 / 3)
    assert found.coverage == 1.0


def test_frechet_distance_of_points_on_a_line_matches_a_calculation_by_hand() -> None:
    # Means 0 and 4, variances (4 + 4) / 1 = 8 and 2: 16 + 8 + 2 - 2 sqrt(16) = 18.
    assert frechet_distance(column(-2, 2), column(3, 5)) == pytest.approx(18)


def test_frechet_distance_includes_correlations() -> None:
    # The same means; covariances [[2, 0], [0, 2]] and, turned by 45 degrees, eigenvalues 8 and 0: 4 + 8 - 2 sqrt(16) = 4.
    real = torch.tensor([[math.sqrt(3), 0], [-math.sqrt(3), 0], [0, math.sqrt(3)], [0, -math.sqrt(3)]])
    fake = math.sqrt(3) * torch.tensor([[1.0, 1], [-1, -1], [1, 1], [-1, -1]])
    assert frechet_distance(real, fake) == pytest.approx(4, rel=1e-5)


def test_frechet_distance_equals_the_formula_in_numpy() -> None:
    mixing = normal(24, 24, seed=1)
    real, fake = normal(200, 24, seed=2) + 3, normal(150, 24, seed=3) @ mixing

    def root(matrix: np.ndarray) -> np.ndarray:
        values, vectors = np.linalg.eigh(matrix)
        return vectors * np.sqrt(values.clip(0)) @ vectors.T

    a, b = real.double().numpy(), fake.double().numpy()
    c1, c2 = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    cross = root(root(c1) @ c2 @ root(c1))  # has the same trace as sqrt(C1 C2)
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(c1 + c2 - 2 * cross)
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-6)


def test_frechet_distance_is_finite_for_fewer_images_than_features() -> None:
    real = normal(20, 64, seed=0)
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-3)
    assert frechet_distance(real, real + 2) == pytest.approx(4 * 64, rel=1e-5)


def test_equal_distributions_have_the_theoretical_scores() -> None:
    n, k = 500, 5
    found = [measure(normal(n, 16, seed), normal(n, 16, 100 + seed), k) for seed in range(4)]
    coverage = 1 - math.prod((n - i) / (2 * n - i) for i in range(1, k + 1))  # Naeem et al. 2020, about 1 - 2^-k
    assert np.mean([one.coverage for one in found]) == pytest.approx(coverage, abs=0.015)
    assert np.mean([one.density for one in found]) == pytest.approx(1, abs=0.08)
    assert np.mean([one.diversity for one in found]) == pytest.approx(1, abs=0.02)


def test_collapsed_generator_has_low_recall_and_coverage() -> None:
    real = normal(300, 16, seed=0) + 20
    found = measure(real, real[:1].expand(300, 16) + 0.01 * normal(300, 16, seed=1))
    assert found.precision == 1.0  # each sample passes
    assert found.diversity == pytest.approx(0.01, rel=0.05)
    assert found.coverage < 0.1
    assert found.recall < 0.01


def test_equal_samples_have_no_diversity() -> None:
    found = measure(normal(50, 64, seed=0), normal(1, 64, seed=1).expand(50, 64))
    assert found.diversity == pytest.approx(0, abs=1e-3)


def test_missing_mode_halves_the_coverage() -> None:
    mode = 50 * (torch.arange(400) % 2)[:, None]
    found = measure(normal(400, 8, seed=0) + mode, normal(400, 8, seed=1))
    assert found.precision > 0.9
    assert 0.4 < found.coverage <= 0.5
    assert 0.4 < found.recall <= 0.5
    assert found.density == pytest.approx(1, abs=0.15)  # the remaining mode is right


def test_distant_set_has_no_precision_recall_density_or_coverage() -> None:
    found = measure(normal(100, 8, seed=0), normal(100, 8, seed=1) + 100)
    assert (found.precision, found.recall, found.density, found.coverage) == (0, 0, 0, 0)
    assert found.frechet == pytest.approx(8 * 100**2, rel=0.01)
    assert found.diversity == pytest.approx(1, abs=0.1)


def test_block_size_does_not_change_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = normal(53, 4, seed=0), 1.2 * normal(41, 4, seed=1)
    whole = measure(real, fake)
    monkeypatch.setattr(fidelity, "_BLOCK", 7)
    assert asdict(measure(real, fake)) == pytest.approx(asdict(whole), rel=1e-6)


def test_refuses_few_equal_and_nan_features() -> None:
    many = normal(20, 4, seed=0)
    with pytest.raises(DataError, match="at least 6 real and 6 generated images; there are 20 and 5"):
        measure(many, many[:5])
    with pytest.raises(DataError, match="All real images are the same"):
        measure(torch.ones(20, 4), many)
    for broken in (math.nan, math.inf):
        with pytest.raises(WeightsError, match="NaN or infinite"):
            measure(many, many.clone().index_fill(0, torch.tensor([3]), broken))

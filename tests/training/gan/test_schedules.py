"""Schedules of learning rates and penalties, at places worked out by hand."""

import pytest

from tests.training.gan_configs import gan_config
from training.gan.config import GanConfig
from training.gan.schedules import beta2, penalty_factor, rate_factor


def factors(config: GanConfig, *places: float) -> list[float]:
    return [rate_factor(config.optimizer, place) for place in places]


def test_constant_schedule_stays_at_1() -> None:
    assert factors(GanConfig(), 0.0, 0.5, 1.0) == [1.0, 1.0, 1.0]


def test_step_schedule_falls_at_each_step() -> None:
    config = gan_config(optimizer={"schedule": "step", "step_every": 0.25, "step_factor": 0.5})
    assert factors(config, 0.0, 0.24, 0.25, 0.5, 0.99) == [1.0, 1.0, 0.5, 0.25, 0.125]


def test_cosine_schedule_falls_to_0() -> None:
    assert factors(gan_config(optimizer={"schedule": "cosine"}), 0.0, 0.5, 1.0) == pytest.approx([1.0, 0.5, 0.0])


def test_cosine_schedule_falls_to_its_final_factor() -> None:
    config = gan_config(optimizer={"schedule": "cosine", "final_factor": 0.25})
    assert factors(config, 0.0, 0.5, 1.0) == pytest.approx([1.0, 0.625, 0.25])


def test_beta2_moves_to_its_final_value() -> None:
    assert [beta2(GanConfig().optimizer, place) for place in (0.0, 1.0)] == [0.99, 0.99]
    config = gan_config(optimizer={"beta2": 0.9, "final_beta2": 0.99}).optimizer
    assert [beta2(config, place) for place in (0.0, 0.5, 1.0)] == pytest.approx([0.9, 0.945, 0.99])


def test_warm_up_multiplies_the_schedule() -> None:
    assert factors(gan_config(optimizer={"warm_up": 0.1}), 0.0, 0.05, 0.1, 0.5) == pytest.approx([0.0, 0.5, 1.0, 1.0])
    both = gan_config(optimizer={"warm_up": 0.5, "schedule": "cosine"})
    assert factors(both, 0.25, 0.5) == pytest.approx([0.5 * 0.8535534, 0.5])


def test_penalty_without_ramp_stays_at_1() -> None:
    assert [penalty_factor(GanConfig().penalty, place) for place in (0.0, 0.5, 1.0)] == [1.0, 1.0, 1.0]


def test_penalty_falls_during_the_ramp() -> None:
    config = gan_config(penalty={"initial_factor": 100, "ramp": 0.5})
    assert [penalty_factor(config.penalty, place) for place in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([100, 10, 1, 1])

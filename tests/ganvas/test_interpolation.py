import numpy as np
import numpy.typing as npt
import pytest

from ganvas.interpolation import frame_count, interpolate


def normal(seed: int, count: int, size: int) -> npt.NDArray[np.float32]:
    return np.random.RandomState(seed).standard_normal((count, size)).astype(np.float32)


@pytest.mark.parametrize("loop", [True, False])
@pytest.mark.parametrize("steps", [2, 3, 24])
@pytest.mark.parametrize("count", [2, 3, 8])
def test_interpolation_contains_every_key_exactly(count: int, steps: int, loop: bool) -> None:
    keys = normal(4, count, 64)
    walked = interpolate(keys, steps, loop=loop)
    assert walked.dtype == np.float32
    assert len(walked) == frame_count(count, steps, loop=loop)
    np.testing.assert_array_equal(walked[::steps][:count], keys)


def test_midpoint_of_two_axes_is_on_the_circle() -> None:
    # Computed by hand: between (1, 0) and (0, 1), the midpoint is at 45 degrees, the thirds at 30 and 60 degrees.
    axes = np.eye(2, dtype=np.float32)
    np.testing.assert_allclose(interpolate(axes, 2, loop=False)[1], [np.sqrt(0.5), np.sqrt(0.5)], rtol=1e-6)
    thirds = [[1, 0], [np.sqrt(3) / 2, 0.5], [0.5, np.sqrt(3) / 2], [0, 1]]
    np.testing.assert_allclose(interpolate(axes, 3, loop=False), thirds, atol=1e-7)


def test_keys_of_different_lengths_match_a_calculation_by_hand() -> None:
    keys = np.array([[2, 0], [0, 3]], np.float32)
    np.testing.assert_allclose(interpolate(keys, 2, loop=False)[1], [2 * np.sqrt(0.5), 3 * np.sqrt(0.5)], rtol=1e-6)


def test_interpolated_latents_have_typical_lengths() -> None:
    keys = normal(0, 2, 128)
    lengths = np.linalg.norm(interpolate(keys, 24, loop=False), axis=1)
    ends = np.linalg.norm(keys, axis=1)
    assert lengths.min() > 0.95 * ends.min()
    assert np.linalg.norm(keys.mean(0)) < 0.8 * ends.min()  # a straight line would be shorter


def test_loop_returns_without_repeating_a_frame() -> None:
    keys = normal(1, 2, 16)
    there_and_back = interpolate(keys, 10, loop=True)
    np.testing.assert_allclose(there_and_back[1:10], there_and_back[:10:-1], atol=1e-6)
    strides = np.linalg.norm(np.diff([*there_and_back, there_and_back[0]], axis=0), axis=1)
    assert strides.min() > 0.5 * strides.max()


@pytest.mark.parametrize("end", [[0, 0, 0], [1, 2, 3], [2, 4, 6], [-1, -2, -3], [1, 2, 3.0001], [1e-30, 0, 0]])
@pytest.mark.parametrize("start", [[1, 2, 3], [0, 0, 0]])
def test_interpolates_latents_on_one_line(start: list[float], end: list[float]) -> None:
    walked = interpolate(np.array([start, end], np.float32), 5, loop=True)
    assert np.isfinite(walked).all()
    assert np.abs(walked).max() <= 6

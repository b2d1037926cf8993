"""The size of strokes, on images whose strokes have a known size."""

import numpy as np
import pytest
from PIL import Image

from training.metrics.strokes import stroke_scale


def stripes(period: float, angle: float, height: int = 256, width: int = 320) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    wave = np.sin(2 * np.pi / period * (x * np.cos(angle) + y * np.sin(angle)))
    return (128 + 60 * wave).round().astype(np.uint8)


@pytest.mark.parametrize("period", [4, 7.5, 16, 31])
@pytest.mark.parametrize("angle", [0, 0.4, np.pi / 2])
def test_scale_of_stripes_is_their_period(period: float, angle: float) -> None:
    assert stroke_scale(stripes(period, angle)) == pytest.approx(period, rel=0.06)


def texture(seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (128, 160, 3), np.uint8)
    return np.asarray(Image.fromarray(noise).resize((512, 410), Image.Resampling.BICUBIC))


def test_scale_grows_with_the_image() -> None:
    small = texture()
    large = np.asarray(Image.fromarray(small).resize((1024, 820), Image.Resampling.BICUBIC))
    assert stroke_scale(large) == pytest.approx(2 * stroke_scale(small), rel=0.05)


def test_light_that_falls_off_does_not_count() -> None:
    shaded = stripes(8, 0.4)[:, :, None] * 0.5 + np.linspace(0, 100, 320)[None, :, None]
    assert stroke_scale(shaded.repeat(3, 2).astype(np.uint8)) == pytest.approx(8, rel=0.06)


def test_image_without_strokes_has_scale_0() -> None:
    assert stroke_scale(np.full((64, 64, 3), 90, np.uint8)) == 0


def test_rejects_an_image_that_is_too_small() -> None:
    with pytest.raises(ValueError, match="15 x 64 pixels"):
        stroke_scale(np.zeros((64, 15), np.uint8))

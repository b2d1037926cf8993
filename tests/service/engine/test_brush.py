"""Brush sizes: at which size a photo is painted, and how its painting is brought to its size."""

import numpy as np
import pytest

from service.engine import brush

LUMA = np.array([0.299, 0.587, 0.114])


def working(height: int, width: int, factor: float) -> tuple[int, int]:
    return brush.working_size(height, width, brush=factor, stroke_side=512, min_side=16, max_side=2048)


@pytest.mark.parametrize(
    ("size", "factor", "expected"),
    [
        ((512, 340), 1, (512, 340)),  # as trained
        ((100, 60), 1, (100, 60)),
        ((1024, 512), 1, (512, 256)),  # strokes grow with the photo
        ((512, 512), 2, (256, 256)),
        ((300, 200), 2, (150, 100)),
        ((2048, 1024), 2, (256, 128)),
        ((512, 256), 0.5, (1024, 512)),
        ((2048, 2048), 0.5, (1024, 1024)),
        ((1024, 1024), 0.5, (1024, 1024)),  # its own size, without a filter
        ((40, 20), 2, (32, 16)),  # not below the smallest side of the network
        ((10, 8), 2, (10, 8)),
        ((2048, 8), 1, (2048, 8)),
    ],
)
def test_working_size_follows_brush_and_photo(size: tuple[int, int], factor: float, expected: tuple[int, int]) -> None:
    assert working(*size, factor) == expected


def test_small_brush_does_not_enlarge_a_photo_over_the_largest_side() -> None:
    limits = {"stroke_side": 4096, "min_side": 16, "max_side": 2048}
    assert brush.working_size(1500, 1000, brush=0.5, **limits) == (2048, 1365)
    assert brush.working_size(3000, 1000, brush=0.5, **limits) == (3000, 1000)


def photo_of(height: int, width: int) -> np.ndarray:
    """Rectangles of grey levels, which have sharp edges, and some noise."""
    random = np.random.default_rng(0)
    image = np.full((height, width, 3), 60.0)
    for _ in range(12):
        top, left = random.integers(0, height), random.integers(0, width)
        image[top : top + height // 3, left : left + width // 3] = random.integers(0, 256)
    return (image + random.normal(0, 2, image.shape)).clip(0, 255).round().astype(np.uint8)


def finished(photo: np.ndarray, painting: np.ndarray, strength: float = 1, keep_color: float = 0) -> np.ndarray:
    result = photo.copy()
    brush.finish(result, brush.resize(photo, painting.shape[:2]), painting, strength, keep_color)
    return result


@pytest.mark.parametrize("size", [(60, 90), (30, 45), (61, 44), (240, 360)])
def test_strength_0_leaves_the_photo_as_it_is(size: tuple[int, int]) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (120, 180, 3), np.uint8)
    painting = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    np.testing.assert_array_equal(finished(photo, painting, strength=0, keep_color=0.3), photo)


@pytest.mark.parametrize("size", [(60, 90), (240, 360)])
def test_keep_color_takes_only_the_brightness_of_the_painting(size: tuple[int, int]) -> None:
    photo = np.random.default_rng(0).integers(100, 156, (120, 180, 3), np.uint8)
    painting = np.random.default_rng(1).integers(100, 156, (*size, 3), np.uint8)
    change = finished(photo, painting, keep_color=1).astype(int) - photo
    assert np.ptp(change, axis=2).max() <= 1  # an even and an odd half are rounded to the even number
    brightness = (finished(photo, painting).astype(float) - photo) @ LUMA
    assert np.abs(change[:, :, 0] - brightness).max() <= 1  # both are rounded


@pytest.mark.parametrize("strength", [0.25, 0.5])
def test_strength_mixes_photo_and_painting(strength: float) -> None:
    photo = photo_of(120, 180)
    painting = 255 - brush.resize(photo, (60, 90))
    mixed = photo + strength * (finished(photo, painting).astype(float) - photo)
    assert np.abs(finished(photo, painting, strength) - mixed).max() <= 1


def test_enlarged_painting_keeps_the_edges_of_the_photo() -> None:
    photo = photo_of(240, 360)
    painting = 255 - brush.resize(photo, (60, 90))
    expected = 255.0 - photo
    stretched = brush.resize(painting, (240, 360))
    error, error_stretched = (np.sqrt(np.mean((image - expected) ** 2)) for image in (finished(photo, painting), stretched))
    assert error < 0.5 * error_stretched


def test_painting_of_a_flat_photo_is_only_enlarged() -> None:
    painting = photo_of(60, 90)
    result = finished(np.full((120, 180, 3), 90, np.uint8), painting)
    assert np.abs(result.astype(int) - brush.resize(painting, (120, 180))).mean() < 2  # bicubic and Lanczos differ at edges


@pytest.mark.parametrize("size", [(50, 75), (64, 100), (400, 600)])
def test_strips_do_not_show(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    photo = photo_of(200, 300)
    painting = photo_of(*size)[::-1, ::-1]
    whole = finished(photo, painting).astype(int)
    monkeypatch.setattr(brush, "STRIP", 7 * 300)
    assert np.abs(finished(photo, painting) - whole).max() <= 1  # float32 positions of a strip are rounded

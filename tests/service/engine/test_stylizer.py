"""The stylizer's handler: images that are painted at another size than their own."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from ganvas.card import StylizerCard
from service.engine import brush as brushes
from service.engine.handlers.stylizer import Stylizer
from service.engine.sessions import load_model
from service.settings import Settings
from tests.service.onnx_models import save, styled, stylizer_card, stylizer_model

NIGHT = np.array([1, 0, 0], np.float32)
STROKE_SIDE = 64  # pixels

Make = Callable[..., Stylizer]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    card = stylizer_card(stroke_side=STROKE_SIDE)
    path = save(stylizer_model(), tmp_path_factory.mktemp("models") / "painters.onnx", card)

    def make(**changes: Any) -> Stylizer:
        return Stylizer(card, load_model(path, "cpu", 1), Settings(**changes))

    return make


def image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


async def paint(
    stylizer: Stylizer, images: Sequence[np.ndarray], brush: float, strength: float = 1, keep_color: float = 0
) -> list[np.ndarray]:
    with stylizer.reserve([one.shape[:2] for one in images], brush) as reservation:
        prepared = [stylizer.prepare(one.copy(), brush) for one in images]
        painted = await stylizer.paint(reservation, prepared, NIGHT, strength, keep_color)
    return [one.finish() for one in painted]


def painted(stylizer: Stylizer, one: np.ndarray, brush: float, **options: float) -> np.ndarray:
    async def run() -> np.ndarray:
        try:
            return (await paint(stylizer, [one], brush, **options))[0]
        finally:
            await stylizer.batcher.close()

    return asyncio.run(run())


@pytest.mark.parametrize(("size", "brush"), [((64, 50), 1), ((21, 30), 1), ((128, 100), 0.5), ((16, 16), 2)])
def test_image_at_its_working_size_is_what_the_graph_makes(make: Make, size: tuple[int, int], brush: float) -> None:
    one = image(*size)
    result = painted(make(), one, brush, strength=0.7, keep_color=0.3)
    np.testing.assert_array_equal(result, styled(one, NIGHT, 0.7, 0.3))


@pytest.mark.parametrize(("size", "brush"), [((64, 50), 2), ((64, 50), 0.5), ((200, 131), 1), ((130, 200), 0.7)])
def test_image_at_another_size_keeps_its_size(make: Make, size: tuple[int, int], brush: float) -> None:
    one = image(*size)
    np.testing.assert_array_equal(painted(make(), one, brush, strength=0), one)
    result = painted(make(), one, brush)
    working = brushes.working_size(*size, brush=brush, stroke_side=STROKE_SIDE, min_side=16, max_side=2048)
    expected = one.copy()
    small = brushes.resize(one, working)
    brushes.finish(expected, small, styled(small, NIGHT, 1, 0), 1, 0)
    np.testing.assert_array_equal(result, expected)


def test_image_does_not_depend_on_the_others_of_its_batch(make: Make) -> None:
    images = [image(100, 80, seed) for seed in range(4)]

    async def run() -> None:
        stylizer = make(max_batch_wait_ms=50)
        alone = [(await paint(stylizer, [one], 1.5, keep_color=0.2))[0] for one in images]
        # The others have the same working size, but another brush or strength.
        same = paint(stylizer, images, 1.5, keep_color=0.2)
        others = [paint(stylizer, [image(43, 34, seed)], 1, strength=0.4) for seed in range(4)]
        together, *_ = await asyncio.gather(same, *others)
        for one, expected in zip(together, alone, strict=True):
            np.testing.assert_array_equal(one, expected)
        await stylizer.batcher.close()

    asyncio.run(run())


def test_queue_counts_the_pixels_that_are_painted(make: Make) -> None:
    stylizer = make()
    for brush, pixels in ((1, 64 * 48), (2, 32 * 24), (0.5, 128 * 96)):
        with stylizer.reserve([(200, 150)], brush):
            assert stylizer.batcher.waiting() == pixels


def test_image_is_not_enlarged_over_the_largest_side(make: Make) -> None:
    stylizer = make(max_side=80, default_side=80)
    assert stylizer.prepare(image(64, 32), 0.5).fed.shape == (80, 40, 3)
    assert stylizer.prepare(image(200, 100), 0.5).fed.shape == (128, 64, 3)  # shrunk, not enlarged


def test_memory_covers_what_an_image_takes(make: Make) -> None:
    stylizer = make()
    small, large = stylizer.memory(64, 64, 1), stylizer.memory(640, 640, 1)
    assert small.decode == small.encode == 0
    assert small.kept == 2 * 3 * 64 * 64
    assert large.kept == 2 * 3 * (640 * 640 + 64 * 64)
    # An image at twice its size counts with all of the pixels that are painted.
    assert stylizer.memory(64, 64, 0.5).kept == 2 * 3 * (64 * 64 + 128 * 128)
    assert stylizer.memory(64, 64, 0.5).decode > 3 * (64 * 64 + 128 * 128)


def test_cards_without_stroke_side_get_512() -> None:
    card = stylizer_card()
    assert StylizerCard.model_validate(card.model_dump(exclude={"stroke_side"})).stroke_side == 512


def test_prepare_pads_to_a_size_that_the_graph_takes(make: Make) -> None:
    prepared = make().prepare(image(300, 200), 1)
    assert prepared.working == (64, 43)
    assert prepared.fed.shape == (64, 44, 3)  # padded to a multiple of 4

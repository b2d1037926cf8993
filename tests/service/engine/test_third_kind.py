"""A third kind of model, an upscaler, served with one card class and one handler, and no change of the engine."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from pydantic import TypeAdapter

from ganvas.card import IMAGES, OUTPUT, Card
from ganvas.tensors import ROWS, Dimension, Tensor
from service.engine.arrays import Feeds, Images, Pixels
from service.engine.contract import sizes_of
from service.engine.errors import RefusedError
from service.engine.handlers.base import Handler
from service.engine.handlers.registry import HANDLERS
from service.engine.models import Models
from service.engine.sessions import load_model
from service.engine.trial import Trial, Verdict
from service.settings import Settings
from tests.service.onnx_models import COMMON, make_model, save

BRIGHTNESS = "brightness"


class UpscalerCard(Card):
    kind: Literal["upscaler"] = "upscaler"

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return (
            Tensor(IMAGES, "uint8", (ROWS, Dimension("h", 4, 2), Dimension("w", 4, 2), 3), "pixels"),
            Tensor(BRIGHTNESS, "float32", (ROWS,), "unit", neutral=0),
        )

    @property
    def output(self) -> Tensor:
        return Tensor(OUTPUT, "uint8", (ROWS, Dimension("h", factor=2), Dimension("w", factor=2), 3), "pixels")


class Upscaler(Handler):
    kind = "upscaler"
    cost_unit = "pixels"

    async def upscale(self, *requests: Feeds) -> list[Images]:
        jobs = [self.job(feeds, row_cost=feeds[IMAGES].shape[1] * feeds[IMAGES].shape[2]) for feeds in requests]
        with self.batcher.reserve(sum(job.cost for job in jobs)) as reservation:
            return await self.batcher.submit(reservation, jobs)

    async def preview(self) -> Sequence[Pixels]:
        return []

    def example_command(self, url: str, photo: str) -> str:
        return f"curl {url}"


def upscaler_model(factor: int = 2) -> onnx.ModelProto:
    """Per row: each pixel repeated `factor` times in both directions, and 100 * brightness added."""
    nodes = [
        helper.make_node("Cast", [IMAGES], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", [BRIGHTNESS, "per_row"], ["brightness4"]),
        helper.make_node("Mul", ["brightness4", "hundred"], ["added"]),
        helper.make_node("Add", ["x", "added"], ["brighter"]),
        helper.make_node("Resize", ["brighter", "", "scales"], ["larger"], mode="nearest"),
        helper.make_node("Clip", ["larger", "low", "high"], ["clipped"]),
        helper.make_node("Cast", ["clipped"], [OUTPUT], to=TensorProto.UINT8),
    ]
    constants = {
        "per_row": np.array([-1, 1, 1, 1], np.int64),
        "hundred": np.float32(100),
        "scales": np.array([1, factor, factor, 1], np.float32),
        "low": np.float32(0),
        "high": np.float32(255),
    }
    inputs = [
        helper.make_tensor_value_info(IMAGES, TensorProto.UINT8, ["n", "h", "w", 3]),
        helper.make_tensor_value_info(BRIGHTNESS, TensorProto.FLOAT, ["n"]),
    ]
    output = helper.make_tensor_value_info(OUTPUT, TensorProto.UINT8, ["n", "h2", "w2", 3])
    return make_model(nodes, inputs, [output], constants)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a new kind adds to AnyCard in ganvas/card.py and to the registry of handlers."""

    def try_here(trial: Trial, paths: Sequence[Path]) -> Iterator[Verdict]:
        """Try files in this process: only this one has the registered kind."""
        for path in paths:
            try:
                yield load_model(path, "cpu", 1, 2**30).version
            except RefusedError as error:
                yield error

    monkeypatch.setattr(Trial, "_try", try_here)
    monkeypatch.setattr("ganvas.card._ADAPTER", TypeAdapter(UpscalerCard))
    kind: type[Card] = UpscalerCard
    monkeypatch.setitem(HANDLERS, kind, Upscaler)


@pytest.fixture
def upscaler(tmp_path: Path, registered: None) -> Upscaler:
    """The model, loaded from a folder as the service does it."""
    save(upscaler_model(), tmp_path / "larger.onnx", UpscalerCard(name="larger", **COMMON))
    models = Models.load(Settings(models=tmp_path, device="cpu"))
    assert models.refused == {}
    return models.find(Upscaler, "larger")


def image(seed: int, rows: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 100, (rows, 4, 6, 3)).astype(np.uint8)


def test_serves_a_third_kind(upscaler: Upscaler) -> None:
    (larger,) = asyncio.run(upscaler.upscale({IMAGES: image(0)}))
    np.testing.assert_array_equal(larger, image(0).repeat(2, axis=1).repeat(2, axis=2))


def test_images_are_the_same_alone_and_in_a_batch(upscaler: Upscaler) -> None:
    images = image(0, rows=3)
    (batch,) = asyncio.run(upscaler.upscale({IMAGES: images}))
    alone = asyncio.run(upscaler.upscale(*({IMAGES: images[i : i + 1]} for i in range(3))))
    np.testing.assert_array_equal(batch, np.concatenate(alone))


def test_runs_its_own_tensors(upscaler: Upscaler) -> None:
    images = image(0, rows=3)

    async def run() -> list[Images]:
        shapes = {IMAGES: images.shape}
        sizes = sizes_of(upscaler.card, shapes, optional=upscaler.optional, most=upscaler.largest)
        with upscaler.reserve_rows(sizes) as reservation:
            return await upscaler.run_rows(reservation, upscaler.complete({IMAGES: images}, 3), sizes)

    larger = np.concatenate(asyncio.run(run()))
    np.testing.assert_array_equal(larger, images.repeat(2, axis=1).repeat(2, axis=2))


def test_refuses_an_output_that_is_not_of_the_size_in_the_card(tmp_path: Path, registered: None) -> None:
    save(upscaler_model(factor=3), tmp_path / "larger.onnx", UpscalerCard(name="larger", **COMMON))
    models = Models.load(Settings(models=tmp_path, device="cpu"))
    assert models.refused == {"larger.onnx": "it makes images of shape [1, 12, 12, 3], the card says [1, 8, 8, 3]"}


def test_input_that_is_left_out_gets_its_neutral_value(upscaler: Upscaler) -> None:
    zero, half = np.zeros(1, np.float32), np.full(1, 0.5, np.float32)
    requests = [{IMAGES: image(0)}, {IMAGES: image(0), BRIGHTNESS: zero}, {BRIGHTNESS: half, IMAGES: image(0)}]
    left_out, neutral, brighter = asyncio.run(upscaler.upscale(*requests))
    np.testing.assert_array_equal(left_out, neutral)
    np.testing.assert_array_equal(brighter, left_out + 50)


def test_jobs_with_and_without_an_optional_input_share_batches(upscaler: Upscaler) -> None:
    half = np.full(1, 0.5, np.float32)
    assert upscaler.job({IMAGES: image(0)}).bucket == upscaler.job({BRIGHTNESS: half, IMAGES: image(1)}).bucket


def test_rejects_a_request_without_a_required_input(upscaler: Upscaler) -> None:
    with pytest.raises(KeyError, match=IMAGES):
        upscaler.job({BRIGHTNESS: np.zeros(1, np.float32)})


def test_rejects_an_input_that_the_model_does_not_have(upscaler: Upscaler) -> None:
    with pytest.raises(KeyError, match="larger has no input brightnes'"):
        upscaler.job({IMAGES: image(0), "brightnes": np.zeros(1, np.float32)})

"""Truncation by the model itself: an optional input of the graph, which most generators do not have."""

import asyncio
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from ganvas.card import LATENTS, OUTPUT, TRUNCATION
from service.engine.handlers.generator import Generator
from service.engine.latents import latents_of_seed
from service.engine.models import Models
from service.settings import Settings
from tests.service.onnx_models import LATENT_SIZE, SIDE, generated, generator_card, generator_model, make_model, save


def truncating_model() -> onnx.ModelProto:
    """Each row is grey of brightness 200 * truncation."""
    nodes = [
        helper.make_node("ReduceMin", [LATENTS, "axes"], ["least"]),
        helper.make_node("Mul", ["least", "zero"], ["nothing"]),  # the latents change nothing
        helper.make_node("Reshape", [TRUNCATION, "per_row"], ["column"]),
        helper.make_node("Mul", ["column", "bright"], ["grey"]),
        helper.make_node("Add", ["grey", "nothing"], ["row"]),
        helper.make_node("Reshape", ["row", "pixel"], ["pixels"]),
        helper.make_node("Tile", ["pixels", "repeats"], ["images"]),
        helper.make_node("Cast", ["images"], [OUTPUT], to=TensorProto.UINT8),
    ]
    constants = {
        "axes": np.array([1], np.int64), "zero": np.float32(0), "per_row": np.array([-1, 1], np.int64),
        "bright": np.float32(200), "pixel": np.array([-1, 1, 1, 1], np.int64),
        "repeats": np.array([1, SIDE, SIDE, 1], np.int64),
    }  # fmt: skip
    inputs = [
        helper.make_tensor_value_info(LATENTS, TensorProto.FLOAT, ["n", LATENT_SIZE]),
        helper.make_tensor_value_info(TRUNCATION, TensorProto.FLOAT, ["n"]),
    ]
    output = helper.make_tensor_value_info(OUTPUT, TensorProto.UINT8, ["n", SIDE, SIDE, 1])
    return make_model(nodes, inputs, [output], constants)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(truncating_model(), tmp_path / "own.onnx", generator_card("own", optional_inputs=("truncation",)))
    save(generator_model(), tmp_path / "plain.onnx", generator_card("plain"))
    return tmp_path


def sample(folder: Path, model: str, rows: int, truncation: float) -> np.ndarray:
    models = Models.load(Settings(models=folder, device="cpu", max_batch_rows=2))
    assert models.refused == {}
    generator = models.find(Generator, model)

    async def run() -> np.ndarray:
        with generator.reserve(rows) as reservation:
            return np.asarray(await generator.sample(reservation, latents_of_seed(0, rows, LATENT_SIZE), truncation))

    return asyncio.run(run())


@pytest.mark.parametrize("truncation", [0, 0.5, 1])
def test_a_model_that_truncates_gets_the_truncation(folder: Path, truncation: float) -> None:
    images = sample(folder, "own", 5, truncation)  # three batches
    np.testing.assert_array_equal(images, np.full((5, SIDE, SIDE, 1), 200 * truncation))


def test_other_models_get_latents_that_are_multiplied(folder: Path) -> None:
    images = sample(folder, "plain", 5, 0.5)
    np.testing.assert_array_equal(images, generated(0.5 * latents_of_seed(0, 5, LATENT_SIZE)))


def test_a_preview_is_not_truncated(folder: Path) -> None:
    generator = Models.load(Settings(models=folder, device="cpu")).find(Generator, "own")
    assert {int(image.max()) for image in asyncio.run(generator.preview())} == {200}

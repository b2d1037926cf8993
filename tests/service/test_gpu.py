"""Tests that need a CUDA device: `make test-gpu`. Without a device they are skipped and state the reason."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from ganvas.card import IMAGES, KEEP_COLOR, LATENTS, OUTPUT, STRENGTH
from service.engine.sessions import CPU, CUDA, CUDA_OPTIONS, LoadedModel, load_model
from service.settings import ROOT
from tests.service.onnx_models import generated, generator_card, generator_model, save
from tests.service.running import running

HEAVY = {
    "Conv",
    "ConvTranspose",
    "Gemm",
    "MatMul",
    "InstanceNormalization",
    "BatchNormalization",
    "Resize",
    "LayerNormalization",
}
SHIPPED = sorted((ROOT / "exported").glob("*.onnx"))


def missing() -> str | None:
    """Why the tests cannot run; None if they can."""
    if CUDA not in ort.get_available_providers():
        return "this onnxruntime is built without CUDA"
    ort.preload_dlls()
    session = ort.InferenceSession(generator_model().SerializeToString(), providers=[CUDA, CPU])
    return None if CUDA in session.get_providers() else "no CUDA device, or its libraries do not load"


REASON = missing()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(REASON is not None, reason=REASON or "")]


def rows(model: LoadedModel, n: int) -> dict[str, np.ndarray]:
    """Inputs with n different rows."""
    inputs = model.card.example(n, dict.fromkeys(model.card.dimensions, 64))
    if IMAGES not in inputs:
        return inputs
    y, x = np.mgrid[0:128, 0:192]
    waves = np.stack([np.sin(x / (7 + i)) + np.cos(y / (5 + i)) for i in range(3 * n)]).reshape(n, 3, 128, 192)
    return inputs | {
        IMAGES: (127 + 60 * waves).clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1).copy(),
        STRENGTH: np.ones(n, np.float32),
        KEEP_COLOR: np.zeros(n, np.float32),
    }


def assert_alike(images: np.ndarray, others: np.ndarray) -> None:
    """Equal except for rounding: the device sums in another order and multiplies with fewer digits (TF32)."""
    difference = np.abs(images.astype(int) - others.astype(int))
    assert difference.mean() < 0.5
    assert np.percentile(difference, 99.9) <= 4


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_images_equal_those_of_the_cpu(path: Path) -> None:
    on_gpu, on_cpu = load_model(path, "cuda", 0), load_model(path, "cpu", 0)
    assert (on_gpu.device, on_cpu.device) == ("cuda", "cpu")
    feeds = rows(on_gpu, 3)
    assert_alike(on_gpu.run(feeds), on_cpu.run(feeds))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_auto_takes_the_device(path: Path) -> None:
    assert load_model(path, "auto", 0).device == "cuda"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_image_is_the_same_alone_and_in_a_batch(path: Path) -> None:
    model = load_model(path, "cuda", 0)
    feeds = rows(model, 8)
    together = model.run(feeds)
    for i in range(8):
        assert_alike(model.run({name: array[i : i + 1] for name, array in feeds.items()}), together[i : i + 1])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_bound_run_equals_plain_run(path: Path) -> None:
    model = load_model(path, "cuda", 0)
    feeds = rows(model, 4)
    bound = model.run(feeds)
    assert_alike(bound, model.session.run([OUTPUT], feeds)[0])
    again = model.run(feeds)
    assert bound is not again  # each batch has its own memory, because earlier images may still be encoded
    assert_alike(bound, again)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_no_heavy_node_falls_back_to_the_cpu(path: Path, tmp_path: Path) -> None:
    options = ort.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / "profile")
    session = ort.InferenceSession(str(path), options, providers=[(CUDA, CUDA_OPTIONS), CPU])
    model = load_model(path, "cuda", 0)
    session.run([OUTPUT], rows(model, 2))
    events: list[dict[str, Any]] = json.loads(Path(session.end_profiling()).read_text())
    ran = [event["args"] for event in events if event.get("cat") == "Node" and "provider" in event.get("args", {})]
    assert any(one["provider"] == CUDA for one in ran)
    fallen = Counter(one["op_name"] for one in ran if one["provider"] == CPU and one["op_name"] in HEAVY)
    assert not fallen


def test_half_precision_inside_runs_on_the_device(tmp_path: Path) -> None:
    model = generator_model()
    first = next(node for node in model.graph.node if node.op_type == "MatMul")
    at = list(model.graph.node).index(first)
    halves = [helper.make_node("Cast", [name], [f"{name}_half"], to=TensorProto.FLOAT16) for name in (LATENTS, "W")]
    product = helper.make_node("MatMul", ["latents_half", "W_half"], ["product_half"])
    back = helper.make_node("Cast", ["product_half"], ["product"], to=TensorProto.FLOAT)
    nodes = list(model.graph.node)
    nodes[at : at + 1] = [*halves, product, back]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    loaded = load_model(save(model, tmp_path / "digits.onnx", generator_card()), "cuda", 0)
    feeds = rows(loaded, 5)
    assert_alike(loaded.run(feeds), generated(feeds[LATENTS]))


def test_service_states_its_device_and_responds(tmp_path: Path) -> None:
    save(generator_model(), tmp_path / "models" / "digits.onnx", generator_card())
    with running(tmp_path / "models", tmp_path / "log", device="cuda") as service:
        (listed,) = httpx.get(f"{service.url}/v1/models").json()["models"]
        assert listed["device"] == "cuda"
        response = httpx.post(f"{service.url}/v1/sample", json={"n": 5, "format": "npy"}, timeout=60)
        assert response.status_code == 200
        assert service.stop() == 0

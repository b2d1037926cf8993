import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto

from ganvas.card import Card, dump_card
from service.engine.errors import DeviceError, RefusedError
from service.engine.sessions import CPU, TRIAL, _reason, load_model
from service.settings import Device
from tests.service.onnx_models import (
    generated,
    generator_card,
    generator_model,
    save,
    styled,
    stylizer_card,
    stylizer_model,
)


def test_generator_loads_and_runs(tmp_path: Path) -> None:
    model = load_model(save(generator_model(), tmp_path / "digits.onnx", generator_card()), "cpu", 0)
    assert model.card == generator_card()
    latents = np.random.default_rng(1).normal(size=(5, 6)).astype(np.float32)
    np.testing.assert_array_equal(model.run({"latents": latents}), generated(latents))


def test_stylizer_loads_and_runs(tmp_path: Path) -> None:
    model = load_model(save(stylizer_model(), tmp_path / "painters.onnx", stylizer_card()), "cpu", 1)
    images = np.random.default_rng(1).integers(0, 256, (1, 16, 20, 3), np.uint8)
    weights = np.array([0.5, 0.25, 0.25], np.float32)
    feeds = {
        "images": images,
        "styles": weights[None],
        "strength": np.array([0.75], np.float32),
        "keep_color": np.array([0.5], np.float32),
    }
    np.testing.assert_array_equal(model.run(feeds), styled(images, weights, 0.75, 0.5))


@pytest.mark.parametrize(("threads", "batches"), [(1, 1), (2, 2), (3, 3), (4, 4), (8, 4), (16, 4)])
def test_parallel_batches_use_every_thread_and_no_more(threads: int, batches: int, tmp_path: Path) -> None:
    model = load_model(save(generator_model(), tmp_path / "digits.onnx", generator_card()), "cpu", threads)
    assert model.parallel_batches == batches
    assert model.session.get_session_options().intra_op_num_threads == threads
    if model.parallel_session:
        own = model.parallel_session.get_session_options().intra_op_num_threads - 1  # the last thread is the caller's
        assert own + batches == threads
    assert (model.parallel_session is None) == (batches == 1)


def test_version_depends_only_on_the_content(tmp_path: Path) -> None:
    first = load_model(save(generator_model(), tmp_path / "digits.onnx", generator_card()), "cpu", 0)
    again = load_model(save(generator_model(), tmp_path / "b" / "digits.onnx", generator_card()), "cpu", 0)
    other = load_model(save(generator_model(), tmp_path / "c" / "digits.onnx", generator_card(title="Another")), "cpu", 0)
    assert first.version == again.version != other.version
    assert len(first.version) == 12


G, S = generator_card, stylizer_card


@pytest.mark.parametrize(
    ("model", "card", "reason"),
    [
        (generator_model, None, "no model card"),
        (generator_model, "{", "card cannot be read"),
        (generator_model, json.dumps({"kind": "painter"}), "card cannot be read"),
        (generator_model, json.dumps({**json.loads(dump_card(G())), "schema_version": 2}), "schema_version"),
        (generator_model, G("letters"), "rename the file to letters.onnx"),
        (generator_model, G(latent_size=7), "input 'latents' has 6 as dimension 1, the card says 7"),
        (generator_model, G(height=9), "output 'pictures' has 8 as dimension 1, the card says 9"),
        (generator_model, G(channels=3), "output 'pictures' has 1 as dimension 3, the card says 3"),
        (generator_model, S("m"), "its inputs are ['latents']; a stylizer has"),
        (lambda: generator_model(input_name="z"), G(), "its inputs are ['z']; a generator has ['latents']"),
        (lambda: generator_model(output_name="y"), G(), "its outputs are ['y']; a generator has ['pictures']"),
        (lambda: generator_model(output_type=TensorProto.FLOAT), G(), "is float32, not uint8"),
        (lambda: generator_model(rows=4), G(), "dimension 0 fixed at 4; it must be dynamic"),
        (lambda: generator_model(broken="shape"), G(), "images of shape [1, 8, 7, 1], the card says [1, 8, 8, 1]"),
        (lambda: generator_model(broken="run"), G(), "it does not run"),
        (stylizer_model, S("m", ("night", "wave")), "input 'styles' has 3 as dimension 1, the card says 2"),
        (lambda: stylizer_model(channels=1), S(), "input 'images' has 1 as dimension 3, the card says 3"),
        (lambda: stylizer_model(extra_input=True), S(), "'noise'"),
        (stylizer_model, G("m"), "a generator has ['latents']"),
    ],
)
def test_refuses_a_file_that_disagrees_with_its_card(
    model: Callable[[], onnx.ModelProto], card: Card | str | None, reason: str, tmp_path: Path
) -> None:
    stem = "m"
    if isinstance(card, Card) and card.name != "letters":
        stem = card.name
    with pytest.raises(RefusedError) as caught:
        load_model(save(model(), tmp_path / f"{stem}.onnx", card), "cpu", 0)
    assert reason in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_keeps_the_sentence_of_onnxruntime_and_nothing_else(tmp_path: Path) -> None:
    reasons = []
    for change in ({"ir_version": 99}, {"opset": 99}):
        model = generator_model()
        model.ir_version = change.get("ir_version", model.ir_version)
        model.opset_import[0].version = change.get("opset", model.opset_import[0].version)
        with pytest.raises(RefusedError) as caught:
            load_model(save(model, tmp_path / "digits.onnx", generator_card()), "cpu", 1)
        reasons.append(str(caught.value))
    assert re.fullmatch(r"onnxruntime cannot read it: Unsupported model IR version: 99, max .* version: \d+", reasons[0])
    assert re.fullmatch(r"onnxruntime cannot read it: ONNX Runtime only .* Opset 99 .* is till opset \d+\.", reasons[1])


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("[ONNXRuntimeError] : 1 : FAIL : /a/b/graph.cc:12 void ort::f(const X<Y()>&, int) const It is bad.\n", "It is bad."),
        (
            "[ONNXRuntimeError] : 1 : FAIL : Node (a) Op (Sum) [ONNXRuntimeError] : 2 : X : a.cc:1 F Bad (8).",
            "Node (a) Op (Sum) Bad (8).",
        ),
        ("[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Parsing failed.\nsecond line", "Parsing failed."),
        (r"[ONNXRuntimeError] : 1 : FAIL : D:\a\model.cc:1 ort::M::M(int &&) [with T = float] No (why).", "No (why)."),
        ("", "Exception"),
    ],
)
def test_strips_code_path_and_signature(message: str, sentence: str) -> None:
    assert _reason(Exception(message)) == sentence


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x00" * 1000])
def test_refuses_a_file_that_is_not_onnx(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "digits.onnx"
    path.write_bytes(content)
    with pytest.raises(RefusedError):
        load_model(path, "cpu", 0)


def test_refuses_a_truncated_file(tmp_path: Path) -> None:
    path = save(generator_model(), tmp_path / "digits.onnx", generator_card())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(RefusedError):
        load_model(path, "cpu", 0)


@pytest.mark.skipif(ort.get_available_providers() != ["AzureExecutionProvider", CPU], reason="this runtime has more")
@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_missing_device_is_an_error_without_fallback(device: Device, tmp_path: Path) -> None:
    path = save(generator_model(), tmp_path / "digits.onnx", generator_card())
    with pytest.raises(DeviceError, match=f"GANVAS_DEVICE={device}"):
        load_model(path, device, 0)


def test_trial_graph_runs() -> None:
    onnx.checker.check_model(onnx.load_from_string(TRIAL))
    (made,) = ort.InferenceSession(TRIAL, providers=[CPU]).run(None, {"x": np.ones(1, np.float32)})
    assert made.tolist() == [2]


def test_auto_takes_an_available_device(tmp_path: Path) -> None:
    model = load_model(save(generator_model(), tmp_path / "digits.onnx", generator_card()), "auto", 0)
    assert model.session.get_providers()

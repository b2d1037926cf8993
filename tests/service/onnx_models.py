"""Tiny exported models, made with onnx.helper. Sessions open in milliseconds, and a test can redo their arithmetic in numpy."""

import base64
import functools
import io
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from ganvas.card import (
    IMAGES,
    KEEP_COLOR,
    LATENTS,
    METADATA_KEY,
    OUTPUT,
    STRENGTH,
    STYLES,
    Card,
    GeneratorCard,
    Style,
    StylizerCard,
    TrainingData,
    dump_card,
)

OPSET = 20
LATENT_SIZE = 6
SIDE = 8
CLASSES = ("zero", "one", "T-shirt, top")
STYLE_OFFSETS = {"night": 40.0, "wave": -30.0, "scream": 100.0}

COMMON: dict[str, Any] = {
    "title": "A test model",
    "summary": "Made by the tests.",
    "architecture": "test",
    "licence": "Apache-2.0",
    "training_data": (TrainingData(title="None", source="none", licence="none"),),
    "training_config": {},
}


def generator_card(name: str = "digits", **changes: Any) -> GeneratorCard:
    fields = {"latent_size": LATENT_SIZE, "height": SIDE, "width": SIDE, "channels": 1, "classes": CLASSES}
    return GeneratorCard(name=name, **{**COMMON, **fields, **changes})


def stylizer_card(name: str = "painters", styles: tuple[str, ...] = tuple(STYLE_OFFSETS), **changes: Any) -> StylizerCard:
    listed = tuple(
        Style(name=style, title=style.title(), artist="Anon", licence="CC0", thumbnail=thumbnail(i))
        for i, style in enumerate(styles)
    )
    return StylizerCard(name=name, **{**COMMON, "size_multiple": 4, "min_side": 16, "styles": listed, **changes})


def thumbnail(i: int) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 10), (i * 80, 100, 50)).save(buffer, "jpeg")
    return base64.b64encode(buffer.getvalue()).decode()


def generator_weights(latent_size: int = LATENT_SIZE, side: int = SIDE, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(latent_size, side * side * channels)).astype(np.float32)


def generated(latents: np.ndarray, side: int = SIDE, channels: int = 1) -> np.ndarray:
    """The images of `generator_model`, in numpy."""
    flat = latents @ generator_weights(latents.shape[1], side, channels) * 40 + 128
    return flat.clip(0, 255).astype(np.uint8).reshape(-1, side, side, channels)


def generator_model(
    latent_size: int = LATENT_SIZE,
    side: int = SIDE,
    channels: int = 1,
    *,
    input_name: str = LATENTS,
    output_name: str = OUTPUT,
    output_type: int = TensorProto.UINT8,
    rows: str | int = "n",
    broken: Literal["", "shape", "run", "rows"] = "",
) -> onnx.ModelProto:
    """latents @ W * 40 + 128, clipped to 0..255.

    `broken` models fail only when they run. "shape": images without their last column. "run": an error. "rows": only the
    first two images.
    """
    nodes = [
        helper.make_node("MatMul", [input_name, "W"], ["product"]),
        helper.make_node("Mul", ["product", "forty"], ["scaled"]),
        helper.make_node("Add", ["scaled", "middle"], ["shifted"]),
        helper.make_node("Clip", ["shifted", "low", "high"], ["clipped"]),
        helper.make_node("Cast", ["clipped"], ["bytes"], to=output_type),
        helper.make_node("Reshape", ["bytes", "shape"], ["whole"]),
        helper.make_node("Compress", ["whole", "kept"], [output_name], axis=0 if broken == "rows" else 2)
        if broken
        else helper.make_node("Identity", ["whole"], [output_name]),
    ]
    constants = {
        "kept": np.array([True, True]) if broken == "rows" else np.arange(side) < side - 1,
        "W": generator_weights(latent_size, side, channels),
        "forty": np.float32(40),
        "middle": np.float32(128),
        "low": np.float32(0),
        "high": np.float32(255),
        "shape": np.array([-1, side, side + (broken == "run"), channels], np.int64),
    }
    return make_model(
        nodes,
        [helper.make_tensor_value_info(input_name, TensorProto.FLOAT, [rows, latent_size])],
        [
            helper.make_tensor_value_info(
                output_name, output_type, [rows, *(["h", "w", "c"] if broken else [side, side, channels])]
            )
        ],
        constants,
    )


def slow_generator_model(row_s: float) -> onnx.ModelProto:
    """`generator_model`, after a loop of about `row_s` seconds per row, if nothing else uses the core."""
    return _looping_generator(int(row_s * _rounds_a_second()))


@functools.cache
def _rounds_a_second() -> int:
    """Measured on this machine, as the fastest of several short runs, which other load slows least."""
    rounds = 500
    session = ort.InferenceSession(_looping_generator(rounds).SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {LATENTS: np.zeros((1, LATENT_SIZE), np.float32)}

    def seconds() -> float:
        start = time.perf_counter()
        session.run(None, feeds)
        return time.perf_counter() - start

    return max(60_000, int(rounds / min(seconds() for _ in range(20))))


def _looping_generator(rounds: int | None) -> onnx.ModelProto:
    model = generator_model()
    del model.graph.initializer[0]  # only broken models use it
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("MatMul", ["matrix_in", "factor"], ["product_in_loop"]),
            helper.make_node("Clip", ["product_in_loop", "low", "high"], ["matrix_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("matrix_in", TensorProto.FLOAT, [64, 64]),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("matrix_out", TensorProto.FLOAT, [64, 64]),
        ],
    )
    constants = {
        **({} if rounds is None else {"rounds": np.array(rounds, np.int64)}),
        "forever": np.array(True),
        "factor": np.ones((64, 64), np.float32),
        "none": np.float32(0),
    }
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items())
    wait = [
        helper.make_node("Loop", ["" if rounds is None else "rounds", "forever", "factor"], ["waited"], body=body),
        helper.make_node("ReduceMax", ["waited"], ["largest"], keepdims=0),
        helper.make_node("Mul", ["largest", "none"], ["nothing"]),
        helper.make_node("Add", [LATENTS, "nothing"], ["latents_later"]),
    ]
    _put_first(model, wait)
    onnx.checker.check_model(model)
    return model


def styled(images: np.ndarray, weights: np.ndarray, strength: float, keep_color: float) -> np.ndarray:
    """The images of `stylizer_model`, in numpy: inverted plus the offsets of the styles, mixed by strength and keep_color."""
    x = images.astype(np.float32)
    style = 255 - x + weights @ np.array([*STYLE_OFFSETS.values()], np.float32)[: len(weights)]
    mixed = x + (style - x) * np.float32(strength) * (1 - np.float32(keep_color) / 2)
    return mixed.clip(0, 255).round().astype(np.uint8)


def stylizer_model(styles: int = len(STYLE_OFFSETS), *, channels: int = 3, extra_input: bool = False) -> onnx.ModelProto:
    """Per row: 255 - x + styles @ offsets, mixed with x by strength and half of keep_color."""
    nodes = [
        helper.make_node("Cast", [IMAGES], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["white", "x"], ["inverse"]),
        helper.make_node("MatMul", [STYLES, "offsets"], ["offset"]),
        helper.make_node("Reshape", ["offset", "per_row"], ["offset4"]),
        helper.make_node("Add", ["inverse", "offset4"], ["style"]),
        helper.make_node("Sub", ["style", "x"], ["difference"]),
        helper.make_node("Mul", [KEEP_COLOR, "half"], ["halved"]),
        helper.make_node("Sub", ["one", "halved"], ["kept"]),
        helper.make_node("Mul", [STRENGTH, "kept"], ["amount"]),
        helper.make_node("Reshape", ["amount", "per_row"], ["amount4"]),
        helper.make_node("Mul", ["difference", "amount4"], ["change"]),
        helper.make_node("Add", ["x", "change"], ["mixed"]),
        helper.make_node("Clip", ["mixed", "low", "high"], ["clipped"]),
        helper.make_node("Round", ["clipped"], ["rounded"]),
        helper.make_node("Cast", ["rounded"], [OUTPUT], to=TensorProto.UINT8),
    ]
    constants = {
        "white": np.float32(255),
        "offsets": np.array([*STYLE_OFFSETS.values()], np.float32)[:styles].reshape(styles, 1),
        "per_row": np.array([-1, 1, 1, 1], np.int64),
        "half": np.float32(0.5),
        "one": np.float32(1),
        "low": np.float32(0),
        "high": np.float32(255),
    }
    inputs = [
        helper.make_tensor_value_info(IMAGES, TensorProto.UINT8, ["n", "h", "w", channels]),
        helper.make_tensor_value_info(STYLES, TensorProto.FLOAT, ["n", styles]),
        helper.make_tensor_value_info(STRENGTH, TensorProto.FLOAT, ["n"]),
        helper.make_tensor_value_info(KEEP_COLOR, TensorProto.FLOAT, ["n"]),
    ]
    if extra_input:
        inputs.append(helper.make_tensor_value_info("noise", TensorProto.FLOAT, ["n"]))
    return make_model(
        nodes, inputs, [helper.make_tensor_value_info(OUTPUT, TensorProto.UINT8, ["n", "h", "w", channels])], constants
    )


def make_model(nodes: list, inputs: list, outputs: list, constants: dict[str, Any]) -> onnx.ModelProto:
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "test", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def save(model: onnx.ModelProto, path: Path, card: Card | str | None) -> Path:
    """Write an exported model. A card that is a string is written unchanged."""
    if card is not None:
        text = card if isinstance(card, str) else dump_card(card)
        helper.set_model_props(model, {METADATA_KEY: text})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path


def endless_generator_model() -> onnx.ModelProto:
    """`generator_model` after a loop that never ends."""
    return _looping_generator(None)


def large_generator_model(gib: int) -> onnx.ModelProto:
    """`generator_model`, which first fills a tensor of that many GiB with zeros."""
    model = generator_model()
    model.graph.initializer.append(numpy_helper.from_array(np.array([gib, 2**28], np.int64), "large_shape"))
    first = [
        helper.make_node("ConstantOfShape", ["large_shape"], ["large"]),
        helper.make_node("ReduceMax", ["large"], ["zero"], keepdims=0),
        helper.make_node("Add", [LATENTS, "zero"], ["latents_later"]),
    ]
    _put_first(model, first)
    return model


def _put_first(model: onnx.ModelProto, first: list[onnx.NodeProto]) -> None:
    """Let other nodes make `latents_later` from the latents before the model uses them."""
    nodes = [*first, *model.graph.node]
    nodes[len(first)].input[0] = "latents_later"
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def external_tensor(location: str) -> TensorProto:
    """Four floats in another file."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", "0"), ("length", "16")):
        tensor.external_data.add(key=key, value=value)
    return tensor

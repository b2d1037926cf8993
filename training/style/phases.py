"""Rounds the weights of an upsampling convolution to int8 so that its four phases stay equal in smooth areas.

`UpsampledConv` makes four pixels of each pixel, each from weights of its own. In a smooth area all four must come out the same,
which they do while their weights have the same sum. Rounded one by one, the sums differ by about a percent, and the image shows
a lattice of two pixels. Here the four share one scale, and their rounded weights have the same sum.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

_PHASES = 4
_LARGEST = 63
"""Of an int8 weight: seven of its eight bits, as `quantize_static` takes with `reduce_range`."""


def equal_phases(small: onnx.ModelProto, weights: dict[str, npt.NDArray[np.float32]]) -> None:
    """Replace the rounded weights of upsampling convolutions, in place.

    Args:
        small: in QDQ form, from `quantize_static`.
        weights: of the model that it was made from, by name.
    """
    initializers = {each.name: each for each in small.graph.initializer}
    for integer, scale, bias in _upsampling(small):
        name = integer.removesuffix("_quantized")
        rounded, scales = round_phases(weights[name])
        old = numpy_helper.to_array(initializers[scale])
        initializers[integer].CopyFrom(numpy_helper.from_array(rounded, integer))
        initializers[scale].CopyFrom(numpy_helper.from_array(scales.astype(old.dtype), scale))
        # The bias is an integer too, whose scale is that of the input times that of the weights.
        values, bias_scale = (numpy_helper.to_array(initializers[each]) for each in bias)
        bias_scales = (bias_scale / old * scales).astype(bias_scale.dtype)
        value = np.round(values * bias_scale / bias_scales).astype(values.dtype)
        initializers[bias[0]].CopyFrom(numpy_helper.from_array(value, bias[0]))
        initializers[bias[1]].CopyFrom(numpy_helper.from_array(bias_scales, bias[1]))


def round_phases(weight: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Weights as integers times a scale for each output.

    Args:
        weight: float [4 o, i, h, w]; the four phases of an output follow one another and have the same sum for each input.

    Returns:
        int8 of the same shape, whose phases have the same sum for each input; and float [4 o].
    """
    phases = weight.reshape(-1, _PHASES, *weight.shape[1:3], weight.shape[3])
    scale = np.abs(phases).max(axis=(1, 2, 3, 4)) / _LARGEST
    exact = (phases / np.maximum(scale, np.finfo(np.float32).tiny)[:, None, None, None, None]).reshape(*phases.shape[:3], -1)
    sums = np.round(exact.sum(axis=3).mean(axis=1))  # [o, i], what each phase is to add up to
    rounded = np.floor(exact)
    missing = (sums[:, None] - rounded.sum(axis=3)).astype(int)
    # The weights with the largest remainders are rounded up, as many as are missing.
    order = np.argsort(np.argsort(rounded - exact, axis=3), axis=3)
    rounded += order < missing[..., None]
    integers = rounded.clip(-_LARGEST - 1, _LARGEST + 1).astype(np.int8).reshape(weight.shape)
    return integers, np.repeat(scale, _PHASES).astype(np.float32)


def _upsampling(model: onnx.ModelProto) -> Iterator[tuple[str, str, tuple[str, str]]]:
    """Of each convolution before a pixel shuffle: the names of its weights, of their scale, and of its bias and the scale."""
    made = {output: node for node in model.graph.node for output in node.output}

    def origin(name: str, kind: str) -> onnx.NodeProto | None:
        node = made.get(name)
        while node is not None and node.op_type in ("DequantizeLinear", "QuantizeLinear") and node.op_type != kind:
            node = made.get(node.input[0])
        return node if node is not None and node.op_type == kind else None

    for node in model.graph.node:
        if node.op_type == "DepthToSpace" and (conv := origin(node.input[0], "Conv")) is not None:
            weight, bias = made[conv.input[1]], made[conv.input[2]]
            yield weight.input[0], weight.input[1], (bias.input[0], bias.input[1])

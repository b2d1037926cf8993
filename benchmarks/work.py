"""Counts the multiplications and additions of the convolutions and matrix products in an ONNX graph."""

import math
from collections.abc import Callable, Mapping, Sequence

import onnx
from onnx import helper, shape_inference

Shape = tuple[int, ...]


def _conv(ins: Sequence[Shape], out: Shape, _: Mapping[str, int]) -> int:
    return math.prod(out) * math.prod(ins[1][1:])  # a weight is [out, in / groups, ...]


def _conv_transpose(ins: Sequence[Shape], _out: Shape, _: Mapping[str, int]) -> int:
    return math.prod(ins[0]) * math.prod(ins[1][1:])  # a weight is [in, out / groups, ...]


def _matmul(ins: Sequence[Shape], out: Shape, _: Mapping[str, int]) -> int:
    return math.prod(out) * ins[0][-1]


def _gemm(ins: Sequence[Shape], out: Shape, attributes: Mapping[str, int]) -> int:
    return math.prod(out) * ins[0][0 if attributes.get("transA") else 1]


PRODUCTS: dict[str, Callable[[Sequence[Shape], Shape, Mapping[str, int]], int]] = {
    "Conv": _conv, "ConvTranspose": _conv_transpose, "MatMul": _matmul, "Gemm": _gemm,
}  # fmt: skip
"""Multiplications of a node, from the shapes of its inputs and output and its attributes. Each comes with one addition."""


def gigaflop(model: onnx.ModelProto, inputs: Mapping[str, Sequence[int]]) -> float:
    """Count multiplications and additions of one run, in billions.

    Args:
        model: is not changed.
        inputs: the shape of each input of the graph.

    Raises:
        ValueError: a necessary shape cannot be inferred, or a node contains a graph.
    """
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    for tensor in fixed.graph.input:
        if tensor.name in inputs:
            for dim, size in zip(tensor.type.tensor_type.shape.dim, inputs[tensor.name], strict=True):
                dim.dim_value = size
    for tensor in fixed.graph.output:  # their dimension names would contradict the numbers
        tensor.type.tensor_type.ClearField("shape")
    del fixed.graph.value_info[:]
    graph = shape_inference.infer_shapes(fixed, data_prop=True).graph
    shapes: dict[str, Shape] = {each.name: tuple(each.dims) for each in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        dims = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(dim.HasField("dim_value") for dim in dims):
            shapes[value.name] = tuple(dim.dim_value for dim in dims)
    total = 0
    for node in graph.node:
        if any(attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for attribute in node.attribute):
            raise ValueError(f"{node.op_type} {node.name!r} contains a graph, which cannot be counted.")
        if node.op_type in PRODUCTS:
            unknown = [name for name in (*node.input[:2], node.output[0]) if name not in shapes]
            if unknown:
                raise ValueError(f"The shape of {unknown[0]!r} at {node.op_type} {node.name!r} cannot be inferred.")
            attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
            ins = [shapes[name] for name in node.input[:2]]
            total += PRODUCTS[node.op_type](ins, shapes[node.output[0]], attributes)
    return 2 * total / 1e9

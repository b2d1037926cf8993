"""Compares the counted work of graphs with counts by hand."""

from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from benchmarks.work import PRODUCTS, gigaflop
from service.settings import ROOT


def value(name: str, shape: list) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def graph(op: str, ins: list, weight: list[int], rank: int, **attributes: Any) -> onnx.ModelProto:
    """A graph with a node and a second node after it, so that shape inference must find the shape between them."""
    nodes = [helper.make_node(op, ["x", "w"], ["y"], **attributes), helper.make_node("Relu", ["y"], ["z"])]
    count = 1
    for side in weight:
        count *= side
    weights = helper.make_tensor("w", TensorProto.FLOAT, weight, [0.0] * count)
    made = helper.make_graph(nodes, "test", [value("x", ins)], [value("z", [f"o{i}" for i in range(rank)])], [weights])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


COUNTED = {
    # 8 x 8 at stride 2 gives 4 x 4 places of 6 channels. Each needs 3 x 3 places of 2 channels: half of 4, with two groups
    "Conv": (
        graph("Conv", ["n", 4, "h", "w"], [6, 2, 3, 3], 4, group=2, strides=[2, 2], pads=[1, 1, 1, 1]),
        [5, 4, 8, 8],
        5 * 4 * 4 * 6 * 2 * 9,
    ),
    # each of 8 x 8 places of 4 channels contributes to 3 x 3 places of 6 channels
    "ConvTranspose": (
        graph("ConvTranspose", ["n", 4, "h", "w"], [4, 6, 3, 3], 4, strides=[2, 2]),
        [5, 4, 8, 8],
        5 * 8 * 8 * 4 * 6 * 9,
    ),
    "MatMul": (graph("MatMul", ["n", "m", 7], [7, 3], 3), [5, 11, 7], 5 * 11 * 7 * 3),
    "Gemm": (graph("Gemm", [7, "n"], [3, 7], 2, transA=1, transB=1), [7, 5], 5 * 7 * 3),
}


@pytest.mark.parametrize("op", PRODUCTS)
def test_counts_products_of_each_operator(op: str) -> None:
    model, shape, products = COUNTED[op]
    before = model.SerializeToString()
    assert gigaflop(model, {"x": shape}) == pytest.approx(2 * products / 1e9)
    assert model.SerializeToString() == before


def test_refuses_graphs_that_cannot_be_counted() -> None:
    model, _, _ = COUNTED["Conv"]
    with pytest.raises(ValueError, match="The shape of 'x' at Conv '' cannot be inferred"):
        gigaflop(model, {})
    loop = helper.make_node("If", ["x"], ["z"], then_branch=helper.make_graph([], "then", [], []), name="choice")
    made = helper.make_graph([loop], "test", [helper.make_tensor_value_info("x", TensorProto.BOOL, [])], [value("z", [1])])
    with pytest.raises(ValueError, match="If 'choice' contains a graph"):
        gigaflop(helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)]), {})


def test_counts_the_shipped_models() -> None:
    heads, painters = (onnx.load(ROOT / "exported" / f"{name}.onnx") for name in ("toon-heads", "painters"))
    one, many = (gigaflop(heads, {"latents": [n, 100]}) for n in (1, 16))
    assert many == pytest.approx(16 * one)
    styles = painters.graph.input[1].type.tensor_type.shape.dim[1].dim_value
    small, large = (
        gigaflop(painters, {"images": [1, side, side, 3], "styles": [1, styles], "strength": [1], "keep_color": [1]})
        for side in (256, 512)
    )
    assert large == pytest.approx(4 * small, rel=0.01)
    assert 14 < large < 15

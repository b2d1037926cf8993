"""Runs the benchmark of style networks with small sizes."""

import re
from pathlib import Path

import pytest
import typer

from benchmarks.stylizers import VARIANTS, gigaflops, interleaved, main
from training.style.config import StyleConfig
from training.style.network import build_stylizer

PAINTERS = Path(__file__).parents[2] / "exported" / "painters.onnx"


def test_all_variants_can_be_built() -> None:
    for changes in VARIANTS.values():
        build_stylizer(StyleConfig.model_validate(changes), 2)


def test_work_is_counted_and_grows_with_the_image() -> None:
    network = build_stylizer(StyleConfig(width=4, residual_blocks=0, halvings=1, kernel=3), 2)
    # twice the products: at h x w 3 -> 4 and 4 -> 3 channels, at a quarter of the pixels 4 -> 8 and 8 -> 16, all 3 x 3
    by_hand = 2 * 9 * (64 * 64 * (3 * 4 + 4 * 3) + 32 * 32 * (4 * 8 + 8 * 16)) / 1e9
    assert gigaflops(network, 64) == pytest.approx(by_hand, rel=0.02)  # the products of styles and scales are small
    assert gigaflops(network, 128) == pytest.approx(4 * by_hand, rel=0.02)


def test_runs_take_turns() -> None:
    turns: list[str] = []
    times = interleaved({"a": lambda: turns.append("a"), "b": lambda: turns.append("b")}, 2)
    assert turns == ["a", "b"] * 3
    assert {name: len(taken) for name, taken in times.items()} == {"a": 2, "b": 2}


def test_table_contains_variants_and_int8(tmp_path: Path) -> None:
    table = tmp_path / "table.md"
    main(size=64, threads=1, rounds=1, only=["quarter width", "stride 2"], int8=True, beside=[PAINTERS], table=table)
    *_, head, _, beside, quarter, quarter_int8, stride, stride_int8 = table.read_text().splitlines()
    assert head == "| network | parameters | GFLOP | ms | of painters |"
    assert re.fullmatch(r"\| painters \|  \|  \| \d+ \| 1.00 \|", beside)
    for row, name in ((quarter, "quarter width"), (stride, "stride 2")):
        assert re.fullmatch(rf"\| {name} \| [\d,]+ \| \d+\.\d \| \d+ \| \d+\.\d\d \|", row)
    for row, name in ((quarter_int8, "quarter width, int8"), (stride_int8, "stride 2, int8")):
        assert re.fullmatch(rf"\| {name} \|  \|  \| \d+ \| \d+\.\d\d \|", row)


def test_refuses_unknown_variant() -> None:
    with pytest.raises(typer.BadParameter, match=r"There is no variant 'cubist'\. Known: Johnson et al\. 2016, "):
        main(only=["cubist"])

"""Runs the comparison of style networks with 2 steps of one variant, and its file in int8."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks.stylizer_quality import main
from tests.service.onnx_models import generator_card, generator_model, save
from tests.training.conftest import draw
from training.errors import ConfigError


@pytest.fixture
def image_folders(tmp_path: Path) -> dict[str, Any]:
    """Paintings, photos to train on, and unseen photos."""
    folders = {name: tmp_path / name for name in ("styles", "content", "unseen")}
    for seed, (name, folder) in enumerate(folders.items()):
        folder.mkdir()
        for index in range(4):
            draw(10 * seed + index, (160, 140)).save(folder / f"{name}-{index}.png")
    return folders


def number(cell: str) -> float:
    return float(cell.replace(",", ""))


def test_table_compares_float32_and_int8(image_folders: dict[str, Any], vgg_weights: Path, tmp_path: Path) -> None:
    table, out = tmp_path / "table.md", tmp_path / "out"
    judge = partial(main, **image_folders, weights=vgg_weights, size=64, out=out, table=table)
    judge(steps=2, only=["stride 2, separable"])
    head, _, row = table.read_text().splitlines()
    assert head == "| network | content | style | objective | objective in int8 |"
    name, content, style, objective, int8 = row.strip("| ").split(" | ")
    assert name == "stride 2, separable"
    whole = number(objective)
    assert 0 < number(content) + number(style) <= whole + 1
    small, rise = int8.rstrip("%)").split(" (")
    rounded = 100 * (1 + number(small) / whole) / 2 / whole  # the table rounds both numbers
    assert float(rise) == pytest.approx(100 * (number(small) / whole - 1), abs=0.1 + rounded)
    judge(file=[out / "stride-2-separable.onnx"])
    assert table.read_text().splitlines()[2].split("|")[2:] == row.split("|")[2:]  # the file contains the trained network


def test_refuses_a_generator(image_folders: dict[str, Any], tmp_path: Path) -> None:
    generator = save(generator_model(), tmp_path / "digits.onnx", generator_card())
    with pytest.raises(ConfigError, match=r"digits\.onnx is a generator"):
        partial(main, **image_folders)(out=tmp_path / "out", file=[generator])

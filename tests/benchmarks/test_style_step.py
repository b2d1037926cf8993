"""Runs the benchmark of the training step of a style network with small sizes."""

import re
from pathlib import Path

import pytest

from benchmarks.style_step import main
from training.devices import best_precision, find_device


def test_table_contains_all_precisions(vgg_weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["width=4", "residual_blocks=1", "crop_size=64", "batch_size=2"]
    main(config="painters", set_=small, vgg=vgg_weights, device="cpu", rounds=1)
    shown = capsys.readouterr().out
    assert "2 crops of 64 x 64 pixels on cpu" in shown
    for precision in {"float32", best_precision(find_device("cpu"))}:
        assert re.search(rf"{precision} +│ +[\d,]+ │ +[\d.]+ │ +\d+\.\d\d", shown)

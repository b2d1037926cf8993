"""Runs the comparison with another stylizer on 1 photo in 2 styles of the shipped model."""

from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from benchmarks.shipped_painters import main
from ganvas.card import StylizerCard
from service.settings import ROOT
from tests.training.conftest import draw
from training.onnx_file import read_card

PAINTERS = ROOT / "exported" / "painters.onnx"


def test_table_contains_styles_and_mean(tmp_path: Path, vgg_weights: Path) -> None:
    card = read_card(PAINTERS)
    assert isinstance(card, StylizerCard)
    photos, paintings, table = tmp_path / "photos", tmp_path / "paintings", tmp_path / "table.md"
    photos.mkdir()
    paintings.mkdir()
    with Image.open(ROOT / "docs" / "images" / "photo.jpg") as photo:
        photo.resize((400, 300)).save(photos / "photo.png")
    for seed, style in enumerate(card.styles):
        draw(seed, (400, 400)).save(paintings / f"{style.name}.png")
    names = [style.name for style in card.styles]
    main(photos=photos, paintings=paintings, weights=vgg_weights, model=PAINTERS, only=names[2:0:-1], table=table)
    _, _, _, _, *rows = table.read_text().splitlines()
    cells = [row.strip("| ").split(" | ") for row in rows]
    found = {name: [float(number) for number in numbers] for name, *numbers in cells}
    assert list(found) == [names[2], names[1], "mean"]
    *styles, mean = map(np.array, found.values())
    assert np.allclose(np.mean(styles, axis=0)[[0, 1, 3, 4]], mean[[0, 1, 3, 4]], atol=1e-3)
    assert mean[2] == pytest.approx(mean[1] / mean[4], rel=0.05)
    assert (mean > 0).all()


def test_refuses_unknown_style(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match=r"There is no style 'cubist'\. painters\.onnx has cafe-terrace, "):
        main(photos=tmp_path, paintings=tmp_path, model=PAINTERS, only=["cubist"])

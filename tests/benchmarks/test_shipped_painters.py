"""The comparison with another stylizer, run small: on one photo and the shipped model."""

from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.shipped_painters import main
from ganvas.card import StylizerCard
from service.settings import ROOT
from tests.training.conftest import draw
from training.table import read_card

PAINTERS = ROOT / "exported" / "painters.onnx"


def test_the_table(tmp_path: Path, vgg_weights: Path) -> None:
    card = read_card(PAINTERS)
    assert isinstance(card, StylizerCard)
    photos, paintings, table = tmp_path / "photos", tmp_path / "paintings", tmp_path / "table.md"
    photos.mkdir()
    paintings.mkdir()
    with Image.open(ROOT / "docs" / "images" / "photo.jpg") as photo:
        photo.resize((400, 300)).save(photos / "photo.png")
    for seed, style in enumerate(card.styles):
        draw(seed, (400, 400)).save(paintings / f"{style.name}.png")
    main(photos=photos, paintings=paintings, weights=vgg_weights, model=PAINTERS, table=table)
    _, _, _, _, *rows = table.read_text().splitlines()
    cells = [row.strip("| ").split(" | ") for row in rows]
    found = {name: [float(number.replace(",", "")) for number in numbers] for name, *numbers in cells}
    assert list(found) == [style.name for style in card.styles] + ["mean"]
    *styles, mean = map(np.array, found.values())
    assert np.allclose(np.mean(styles, axis=0)[[0, 1, 3, 4]], mean[[0, 1, 3, 4]], atol=1)
    assert (mean[1] - 0.5) / (mean[4] + 0.5) - 0.01 < mean[2] < (mean[1] + 0.5) / (mean[4] - 0.5) + 0.01  # all are rounded
    assert (mean > 0).all()

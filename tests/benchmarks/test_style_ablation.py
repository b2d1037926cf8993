"""Runs the ablation of the style recipe with 2 steps of two variants."""

from pathlib import Path

from PIL import Image

from benchmarks.style_ablation import VARIANTS, main
from tests.training.conftest import draw
from training.config import load_config
from training.style.config import StyleConfig

SMALL = ["width=4", "residual_blocks=1", "crop_size=64", "batch_size=1", "style_size=64"]


def test_sheet_and_table_have_a_row_for_each_variant(vgg_weights: Path, tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("styles", "content", "unseen")}
    for seed, (name, folder) in enumerate(folders.items()):
        folder.mkdir()
        for index in range(4 if name == "content" else 1):
            draw(10 * seed + index, (520, 400)).save(folder / f"{name}-{index}.png")
    names, table, sheet = list(VARIANTS)[:2], tmp_path / "table.md", tmp_path / "sheet.jpg"
    main(**folders, weights=vgg_weights, steps=2, set_=SMALL, out=tmp_path / "out", only=names, sheet=sheet, table=table)
    rows = [line.strip("| ").split(" | ") for line in table.read_text().splitlines()[2:]]
    assert [row[0] for row in rows] == names
    assert all(float(cell) >= 0 for row in rows for cell in row[1:])
    with Image.open(sheet) as image:
        assert image.size == (2 * (2 * 256 + 12) - 12, 256 + 22)


def test_every_variant_is_a_valid_config() -> None:
    for changes in VARIANTS.values():
        assert load_config("painters", StyleConfig, changes).crop_size in (128, 256)

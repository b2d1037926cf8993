from pathlib import Path

import pytest

from ganvas.card import Metric
from tests.service.onnx_models import generator_card, generator_model, save, stylizer_card, stylizer_model
from training.errors import ExportError
from training.onnx_file import read_card
from training.table import BEGIN, END, exported_readme, models_table, write_tables


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    folder = tmp_path / "exported"
    folder.mkdir()
    save(generator_model(), folder / "digits.onnx", generator_card(summary="Digits | and\nmore.", classes=("0", "a|b")))
    save(stylizer_model(), folder / "painters.onnx", stylizer_card())
    return folder


def test_table_has_one_row_a_model_and_escapes_its_text(exported: Path) -> None:
    rows = models_table(exported).splitlines()
    assert len(rows) == 4
    assert rows[2].startswith("| `digits` | generator | Digits \\| and more. (`0`, `a\\|b`) |")
    assert "(`night`, `wave`, `scream`)" in rows[3]


def test_page_describes_each_card(exported: Path) -> None:
    page = exported_readme(exported)
    card = read_card(exported / "painters.onnx")
    assert card.title in page
    assert all(f"| `{style}` |" in page for style in ("night", "wave", "scream"))


def test_page_shows_what_real_images_score_and_each_method_once(exported: Path) -> None:
    measured = [
        Metric(name="Frechet distance", value=20240, real=5135, method="VGG-16; 2,000 | 2,000"),
        Metric(name="Coverage", value=0.93, real=0.96875, method="VGG-16; 2,000 | 2,000"),
        Metric(name="Beauty", value=0.5, method="by eye"),
    ]
    save(generator_model(), exported / "digits.onnx", generator_card(metrics=measured))
    page = exported_readme(exported)
    assert "| Frechet distance | 20,240 | 5,135 |\n| Coverage | 0.93 | 0.9688 |\n\nMeasured: by eye\n" in page
    assert "| Beauty | 0.5 | not measured |" in page
    assert page.count("Measured: VGG-16; 2,000 \\| 2,000\n") == 1


def test_writes_both_files_and_keeps_the_rest_of_the_readme(exported: Path, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"# Mine\n\n{BEGIN}\nold\n{END}\n\nThe end.\n")
    write_tables(exported, readme)
    assert readme.read_text() == f"# Mine\n\n{BEGIN}\n{models_table(exported)}{END}\n\nThe end.\n"
    assert (exported / "README.md").read_text() == exported_readme(exported)


def test_refuses_missing_markers_folders_and_broken_models(exported: Path, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("no markers")
    with pytest.raises(ExportError, match=r"README.md needs the lines"):
        write_tables(exported, readme)
    with pytest.raises(ExportError, match="is not a folder"):
        write_tables(tmp_path / "nowhere", readme)
    (exported / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(ExportError, match=r"broken.onnx is not an ONNX file"):
        write_tables(exported, readme)


def test_page_flattens_the_tables_of_a_config(exported: Path) -> None:
    card = generator_card(training_config={"images": 100, "optimizer": {"betas": [0, 0.99]}, "classes": {}})
    save(generator_model(), exported / "digits.onnx", card)
    assert "- config: images 100, optimizer.betas 0 0.99\n" in exported_readme(exported)

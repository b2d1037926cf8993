"""Runs the benchmark of brush sizes with a small model."""

from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.brush import main
from tests.service.onnx_models import save, stylizer_card, stylizer_model


def test_measures_each_style(tmp_path: Path) -> None:
    model = save(stylizer_model(), tmp_path / "painters.onnx", stylizer_card())
    photos = tmp_path / "photos"
    photos.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (2, 30, 40, 3), np.uint8)
    for i, image in enumerate(noise):
        Image.fromarray(image).save(photos / f"{i}.png")
    page = tmp_path / "page.md"
    page.write_text("<!-- brush -->\n<!-- /brush -->\n")
    main(photos, 2, model, ["wave"], large=1024, repeats=1, table=page)
    rows = [line.split("|")[1:-1] for line in page.read_text().splitlines() if line.startswith("| wave")]
    # The model inverts each pixel, so the strokes are the photo's own at any brush and grow with the photo.
    ((_, broad, fine, proportion),) = rows
    assert abs(float(broad) - 1) < 0.2
    assert abs(float(fine) - 1) < 0.2
    assert abs(float(proportion) - 1) < 0.2
    assert "1024 x 1024 pixels: " in page.read_text()

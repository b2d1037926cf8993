"""Runs the device benchmark with small sizes on the CPU."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer

from benchmarks.device import Ceiling, main, section, with_halves
from benchmarks.provenance import measured_on
from benchmarks.sessions import feeds
from service.engine.sessions import CUDA, load_model
from service.settings import ROOT


def test_table_rows_are_consistent(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- device-cuda -->\nGPU results\n<!-- /device-cuda -->\n<!-- device-cpu -->\n<!-- /device-cpu -->\n")
    main(device="cpu", seconds=0.01, rounds=1, batch=[1, 4], size=[64, 128], threads=1, table=page)
    gpu, _, written = page.read_text().partition(f"<!-- {section('cpu')} -->\n")
    assert gpu.splitlines()[1] == "GPU results"
    _, where, ceiling, _, _, _, *rows, _, _ = written.splitlines()
    assert where == f"{measured_on()} 1 round of 0.01 s each; medians."
    top = float(ceiling.rpartition(": ")[2].removesuffix(" GFLOP/s.").replace(",", ""))
    cells = [row.strip("| ").split(" | ") for row in rows]
    assert [row[0] for row in cells] == ["toon-heads, n = 1", "toon-heads, n = 4", "painters, 64 x 64", "painters, 128 x 128"]
    for _, work, rate, done, share in cells:
        assert float(done.replace(",", "")) == pytest.approx(float(work) * float(rate.replace(",", "")), rel=0.1, abs=1)
        assert float(share) == pytest.approx(float(done.replace(",", "")) / top, rel=0.1, abs=0.02)
    assert float(cells[3][1]) == pytest.approx(4 * float(cells[2][1]), rel=0.2)


def test_ceiling_is_positive_and_from_a_tried_size() -> None:
    ceiling = Ceiling("cpu", 1)
    assert ceiling.side in (256, 512, 1024, 2048, 4096, 8192)
    assert ceiling.gigaflops(0.001) > 0


# The painters use int8, where a different rounding moves a value by a whole step. So float16 changes them more.
@pytest.mark.parametrize(("name", "rows", "size", "mean", "most"), [("toon-heads", 3, 0, 0.2, 8), ("painters", 1, 96, 4, 32)])
def test_float16_changes_images_only_by_rounding(name: str, rows: int, size: int, mean: float, most: int) -> None:
    path = ROOT / "exported" / f"{name}.onnx"
    whole, halved = load_model(path, "cpu", 1), with_halves(path, "cpu", 1)
    inputs = feeds(whole.card, rows, size)
    difference = np.abs(whole.run(inputs).astype(int) - halved.run(inputs))
    assert 0 < difference.mean() < mean
    assert difference.max() <= most


def test_missing_device_does_not_fall_back_to_cpu() -> None:
    import onnxruntime as ort

    if CUDA in ort.get_available_providers():
        pytest.skip("this onnxruntime is built with CUDA")
    with pytest.raises(typer.BadParameter, match="GANVAS_DEVICE=cuda, but CUDAExecutionProvider does not run here"):
        main(device="cuda")


def test_runs_without_torch() -> None:  # .venv-gpu has no torch
    code = "import sys, benchmarks.device; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)

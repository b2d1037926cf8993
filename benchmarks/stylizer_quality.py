"""Compares the quality of style networks after the same training, in float32 and in int8.

    python -m benchmarks.stylizer_quality --styles PAINTINGS --content PHOTOS --unseen PHOTOS [--weights FILE] [--steps 300]
                                          [--out runs/variants] [--only VARIANT ...] [--file FILE.onnx ...] [--table FILE]

Trains the variants of `benchmarks.stylizers` for the same number of steps on the same paintings and photos. Then measures the
objective of each on unseen photos, in float32 and with convolutions in int8. With --file, measures exported stylizers
instead. A finished run is not trained again. An interrupted run resumes.
"""

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
import typer
from rich.console import Console
from rich.markdown import Markdown
from torch import Tensor

from benchmarks.command import run_command
from benchmarks.stylizers import VARIANTS
from ganvas.files import write_whole
from training.card_details import read_card_details
from training.data.image_folder import open_image_folder
from training.data.paintings import load_paintings
from training.export import export_run
from training.style.evaluate import Reference, choose_photos, evaluate_painter
from training.style.objective import features_for
from training.style.painter import Painter, load_painter
from training.style.quantize import int8_stylizer
from training.vgg import VggFeatures


class Row(NamedTuple):
    """Mean weighted losses of a network, and its objective in int8."""

    content: float
    style: float
    objective: float
    int8: float


def main(
    styles: Annotated[Path, typer.Option(help="Folder of paintings.")],
    content: Annotated[Path, typer.Option(help="Folder of photos to train on.")],
    unseen: Annotated[Path, typer.Option(help="Folder of other photos to measure on.")],
    weights: Annotated[Path | None, typer.Option(help="Weights of VGG-16. By default torchvision downloads them.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each training.")] = 300,
    size: Annotated[int, typer.Option(min=64, help="Longer side of the measured images in pixels.")] = 256,
    out: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs/variants"),
    only: Annotated[list[str], typer.Option(help="Measure only this variant. May be repeated.")] = [],  # noqa: B006
    file: Annotated[
        list[Path], typer.Option(help="An exported stylizer to measure instead of the variants. May be repeated.")
    ] = [],  # noqa: B006
    table: Annotated[Path | None, typer.Option(help="File for the table.")] = None,
) -> None:
    """Compare the quality of style networks."""
    out.mkdir(parents=True, exist_ok=True)
    judge = Judge(styles, content, unseen, weights, size)
    lines = ["| network | content | style | objective | objective in int8 |", "| --- | ---: | ---: | ---: | ---: |"]
    for name in [*map(str, file)] or only or list(VARIANTS):
        exported = Path(name) if file else _trained(name, VARIANTS[name], judge, steps, out)
        row = judge.judge(exported, out)
        rise = 100 * (row.int8 / row.objective - 1)
        lines.append(
            f"| {name} | {row.content:,.0f} | {row.style:,.0f} | {row.objective:,.0f} | {row.int8:,.0f} ({rise:+.1f}%) |"
        )
        text = "\n".join(lines) + "\n"
        if table:
            write_whole(table, lambda path, text=text: path.write_text(text))  # type: ignore[misc]  # the rows so far
    Console().print(Markdown(text))


@dataclass(frozen=True)
class Judge:
    """The images that all networks are trained and measured on, and the measured size in pixels."""

    styles: Path
    content: Path
    unseen: Path
    weights: Path | None
    size: int

    def judge(self, exported: Path, out: Path) -> Row:
        """Measure an exported stylizer, convert it to int8 and measure it again."""
        int8 = out / f"{exported.stem}-int8.onnx"
        int8_stylizer(exported, int8, open_image_folder(self.content))
        plain, small = (self._losses(load_painter(path, torch.device("cpu"))) for path in (exported, int8))
        return Row(plain[0], plain[1], plain.sum(), small.sum())

    def _losses(self, painter: Painter) -> np.ndarray:
        paintings: Mapping[str, Tensor] = load_paintings(open_image_folder(self.styles), painter.config.style_size)[0]
        photos, _ = choose_photos(open_image_folder(self.unseen), self.size, painter.multiple)
        vgg = VggFeatures(features_for(painter.config), self.weights, option="--weights")
        return evaluate_painter(painter, photos, paintings, vgg, Reference(0), self.size).ours


def _trained(name: str, changes: Mapping[str, Any], judge: Judge, steps: int, out: Path) -> Path:
    """Train a variant and export it."""
    stem = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    values = {**changes, "steps": steps, "checkpoint_every": 50, "batch_size": 2, "crop_size": 128}
    command: list[str | Path] = [sys.executable, "-m", "training", "style", "--out", out / stem, "--auto-resume"]
    command += ["--styles", judge.styles, "--content", judge.content]
    if judge.weights:
        command += ["--vgg", judge.weights]
    for key, value in values.items():
        command += ["--set", f"{key}={str(value).lower()}"]
    subprocess.run(command, check=True)
    export_run(out / stem, out / f"{stem}.onnx", read_card_details(None))
    return out / f"{stem}.onnx"


if __name__ == "__main__":
    run_command(main)

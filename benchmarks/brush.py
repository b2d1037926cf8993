"""Measures what `brush` does to the size of the strokes of an exported stylizer, and how long a large photo takes.

    python -m benchmarks.brush --photos PHOTOS [--count 3] [--model FILE.onnx] [--only STYLE ...] [--large 2048] [--repeats 3]
                             [--table docs/benchmarks.md]

Each photo is painted by the service's own code at 512 pixels with brush 0.5, 1 and 2, and at `--large` pixels with brush 1.
The ratios are those of `training.metrics.strokes.stroke_scale`, each the median over the photos. A photo that is smaller
than `--large` is enlarged. The times are those of one square photo on one thread: painted at its own size, as a card with a
stroke_side of 4096 asks for, and with the model's card.
"""

import asyncio
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import track

from benchmarks.command import run_command
from benchmarks.tables import replace_section
from ganvas.card import StylizerCard
from ganvas.images import read_image
from service.engine.arrays import Pixels
from service.engine.handlers.stylizer import Stylizer
from service.engine.sessions import LoadedModel, load_model
from service.settings import Settings
from training.metrics.strokes import stroke_scale

SIDE = 512  # pixels
SECTION = "brush"


def main(
    photos: Annotated[Path, typer.Option(help="Folder of photos.")],
    count: Annotated[int, typer.Option(min=1, help="Number of photos, spread over the folder.")] = 3,
    model: Annotated[Path, typer.Option(help="Exported stylizer.")] = Path("exported/painters.onnx"),
    only: Annotated[list[str], typer.Option(help="Measure only this style. May be repeated.")] = [],  # noqa: B006
    large: Annotated[int, typer.Option(min=SIDE, help="Longer side of the large photos in pixels.")] = 2048,
    repeats: Annotated[int, typer.Option(min=1, help="How often the large photo is timed.")] = 3,
    table: Annotated[Path | None, typer.Option(help="Markdown file. The section of this benchmark is replaced.")] = None,
) -> None:
    """Measure the size of the strokes."""
    loaded = load_model(model, "cpu", 1)
    if not isinstance(loaded.card, StylizerCard):
        raise typer.BadParameter(f"{model} is not a stylizer.")
    names = only or [style.name for style in loaded.card.styles]
    chosen = _choose(photos, count)
    lines = [
        f"| style | brush 2 / 1 | brush 0.5 / 1 | {large} px / {SIDE} px, in proportion |",
        "| --- | ---: | ---: | ---: |",
    ]
    with asyncio.Runner() as runner:
        stylizer = Stylizer(loaded.card, loaded, Settings())
        for name in track(names, "styles"):
            ratios = runner.run(_ratios(stylizer, name, chosen, large))
            lines.append(f"| {name} | " + " | ".join(f"{ratio:.2f}" for ratio in ratios.values()) + " |")
        own_s, s = runner.run(_times(loaded, names[0], chosen[0], large, repeats))
        runner.run(stylizer.batcher.close())
    lines += [
        "",
        f"{large} x {large} pixels: {s:.2f} s, and {own_s:.2f} s if painted at this size ({own_s / s:.1f} times as long).",
    ]
    text = "\n".join(lines) + "\n"
    if table:
        replace_section(table, SECTION, text)
    Console().print(Markdown(text))


def _choose(folder: Path, count: int) -> list[Image.Image]:
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
    if len(paths) < count:
        raise typer.BadParameter(f"{folder} has {len(paths)} photos. At least {count} are needed.")
    return [read_image(paths[i * len(paths) // count]) for i in range(count)]


def _resized(photo: Image.Image, side: int) -> Pixels:
    scale = side / max(photo.size)
    return np.array(photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.LANCZOS))


async def _painted(stylizer: Stylizer, style: str, photo: Pixels, brush: float) -> Pixels:
    vector = stylizer.style(style)
    with stylizer.reserve([photo.shape[:2]], brush) as reservation:
        (painted,) = await stylizer.paint(reservation, [stylizer.prepare(photo.copy(), brush)], vector, 1, 0)
    return painted.finish()


async def _ratios(stylizer: Stylizer, style: str, photos: list[Image.Image], large: int) -> Mapping[str, float]:
    """The ratios of the strokes to those with brush 1 at `SIDE` pixels, by column."""
    ratios: dict[str, list[float]] = {"broad": [], "fine": [], "large": []}
    for photo in photos:
        small = _resized(photo, SIDE)
        one = stroke_scale(await _painted(stylizer, style, small, 1))
        ratios["broad"].append(stroke_scale(await _painted(stylizer, style, small, 2)) / one)
        ratios["fine"].append(stroke_scale(await _painted(stylizer, style, small, 0.5)) / one)
        proportion = stroke_scale(await _painted(stylizer, style, _resized(photo, large), 1)) / one
        ratios["large"].append(proportion / (large / SIDE))
    return {name: statistics.median(values) for name, values in ratios.items()}


async def _times(model: LoadedModel, style: str, photo: Image.Image, side: int, repeats: int) -> tuple[float, float]:
    """The shortest times in seconds of a square photo: painted at its own size, and as the card says."""
    square = np.array(photo.resize((side, side), Image.Resampling.LANCZOS))
    own = model.card.model_copy(update={"stroke_side": 4096})
    stylizers = [Stylizer(card, model, Settings()) for card in (own, model.card) if isinstance(card, StylizerCard)]
    seconds: list[list[float]] = [[], []]
    for _ in range(repeats):
        for stylizer, taken in zip(stylizers, seconds, strict=True):
            start = time.perf_counter()
            await _painted(stylizer, style, square, 1)
            taken.append(time.perf_counter() - start)
    for stylizer in stylizers:
        await stylizer.batcher.close()
    return min(seconds[0]), min(seconds[1])


if __name__ == "__main__":
    run_command(main)

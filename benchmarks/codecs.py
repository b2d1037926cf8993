"""Compares the time that image libraries need to decode and encode an image.

    python -m benchmarks.codecs [--library pillow --library cv2] [--table docs/benchmarks.md]

The images are a photo of 512 x 512 pixels as the service reads and writes it (JPEG with quality 92 and full colour, PNG,
WebP) and a sample of 64 x 64 pixels. The benchmark measures processor time, so other processes do not matter.
"""

import io
import json
import platform
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image
from rich.console import Console
from rich.markdown import Markdown

from benchmarks.command import run_command
from benchmarks.provenance import machine, pinned
from benchmarks.serving.contestants import PEERS, Contestant
from benchmarks.serving.workloads import photo
from benchmarks.tables import replace_section

SECTION = "codecs"
_NUMPY = pinned("numpy")
LIBRARIES = {
    library.name: library
    for library in (
        Contestant("pillow", "Pillow", pinned("pillow", "numpy")),
        Contestant("simplejpeg", "simplejpeg", ("simplejpeg==1.9.0", *_NUMPY)),
        Contestant("cv2", "OpenCV", ("opencv-python-headless==5.0.0.93", *_NUMPY)),
        Contestant("imagecodecs", "imagecodecs", ("imagecodecs==2026.3.6", *_NUMPY)),
        Contestant("pyvips", "pyvips", ("pyvips[binary]==3.2.0", *_NUMPY)),
    )
}


def main(
    library: Annotated[list[str], typer.Option(help="May be repeated.")] = list(LIBRARIES),  # noqa: B006
    table: Annotated[Path | None, typer.Option(help="Markdown file. The section of this benchmark is replaced.")] = None,
) -> None:
    """Time the codecs."""
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder))
        found = {LIBRARIES[name].title: _times(name, folder) for name in library}
    steps = list(next(iter(found.values())))
    versions = ", ".join(f"{LIBRARIES[name].title} {LIBRARIES[name].version()}" for name in library)
    lines = [f"{machine()}; {versions}; Python {platform.python_version()}.", ""]
    lines += [f"| | {' | '.join(found)} |", "| --- |" + " ---: |" * len(found)]
    for step in steps:
        cells = ["" if times[step] is None else f"{times[step]:.2f}" for times in found.values()]
        lines.append(f"| {step}, ms | {' | '.join(cells)} |")
    text = "\n".join(lines)
    Console().print(Markdown(text))
    if table:
        replace_section(table, SECTION, text)


def write_images(folder: Path) -> None:
    """Write the images that all libraries read and write."""
    with Image.open(io.BytesIO(photo())) as opened:
        image = opened.convert("RGB")
    np.save(folder / "photo.npy", np.array(image))
    np.save(folder / "small.npy", np.array(image.resize((64, 64))))
    for name in ("jpeg", "png", "webp"):
        image.save(folder / f"photo.{name}", name)


def _times(name: str, folder: str) -> dict[str, float | None]:
    command = [str(LIBRARIES[name].python()), str(PEERS / "codec.py"), name, folder]
    times: dict[str, float | None] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return times


if __name__ == "__main__":
    run_command(main)

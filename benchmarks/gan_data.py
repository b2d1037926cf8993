"""Measures how much memory the images of a GAN take, and how fast batches are drawn: from a file, or all in memory.

    python -m benchmarks.gan_data [--images 5000] [--size 256] [--batches 200] [--folder FOLDER]

It writes images of colours and noise as JPEG, or takes those of `--folder`. Each way runs in a process of its own: all images
in memory, the first run with the file of prepared images, and another run with the same file. The memory is the largest
anonymous memory of the process, without what it needs before it has images. Pages of files do not count, because the system can
drop them at any time.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from PIL import Image
from rich.console import Console
from rich.progress import track

from benchmarks.command import run_command
from training.config import with_values
from training.data.dataset import load_images
from training.data.image_cache import prepare_images
from training.data.image_folder import open_image_folder
from training.devices import launch
from training.gan.batches import BatchSource
from training.gan.config import GanConfig

WAYS = {"memory": "all in memory", "first": "file, first run", "next": "file, next run"}

_MANY = 100_000  # images, of the extrapolation
_BATCH_SIZE = 32
_POLL_S = 0.002


def main(
    images: Annotated[int, typer.Option(min=100, help="Images to write.")] = 5000,
    size: Annotated[int, typer.Option(min=16, max=1024, help="Side in pixels.")] = 256,
    batches: Annotated[int, typer.Option(min=1, help="Batches of 32 to draw.")] = 200,
    folder: Annotated[Path | None, typer.Option(help="Images to use instead.", show_default=False)] = None,
    way: Annotated[str | None, typer.Option(hidden=True)] = None,
    cache: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Measure the memory of a GAN's images and the speed of its batches."""
    if way is not None and folder is not None and cache is not None:
        typer.echo(json.dumps(measure(way, folder, size, batches, cache)))
        return
    with tempfile.TemporaryDirectory(prefix="ganvas-") as work:
        if folder is None:
            folder = Path(work) / "images"
            write_images(folder, images, size)
        found = {name: _in_process(name, folder, size, batches, Path(work) / "cache") for name in WAYS}
    count = found["memory"]["images"]
    lines = [
        f"{count:,} images of {size} x {size}: {count * 3 * size**2 / 2**20:,.0f} MiB. Batches of {_BATCH_SIZE}.",
        "",
        f"| images | memory, MiB | for {_MANY:,}, MiB | ready after | images/s |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, numbers in found.items():
        more = numbers["mib"] * _MANY / count if name == "memory" else numbers["mib"]
        lines.append(
            f"| {WAYS[name]} | {numbers['mib']:,.0f} | {more:,.0f} | {numbers['seconds']:.1f} s | {numbers['rate']:,.0f} |"
        )
    Console().print("\n".join(lines))


def write_images(folder: Path, count: int, size: int) -> None:
    """Write images of a few colours that melt into each other, with noise."""
    folder.mkdir(parents=True)
    for index in track(range(count), "Writing images"):
        rng = np.random.default_rng(index)
        colours = Image.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8)).resize((size, size), Image.Resampling.BICUBIC)
        noisy = np.asarray(colours, np.int16) + rng.integers(-8, 9, (size, size, 1), np.int16)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{index:06d}.jpg", quality=90)


def measure(way: str, path: Path, size: int, batches: int, cache: Path) -> dict[str, Any]:
    """Prepare the images and draw batches; the memory in MiB, the seconds until they are ready, and images per second."""
    folder = open_image_folder(path)
    config = with_values(GanConfig(), {"image_size": size, "channels": 3, "batch_size": _BATCH_SIZE})
    fabric = launch(torch.device("cpu"), "float32")
    before = anonymous_memory()
    with peak_of_memory() as peak:
        begun = time.monotonic()
        images = load_images(folder, size, 3).images if way == "memory" else prepare_images(folder, size, 3, cache)
        seconds = time.monotonic() - begun
        source = BatchSource(config, fabric, images, None)
        begun = time.monotonic()
        for number in range(batches):
            source.real(number)
        rate = batches * _BATCH_SIZE / (time.monotonic() - begun)
    return {"images": len(images), "mib": (peak[0] - before) / 2**20, "seconds": seconds, "rate": rate}


@contextmanager
def peak_of_memory() -> Iterator[list[float]]:
    """Watch the anonymous memory of this process. After the block, the list holds the largest number of bytes."""
    peak, end = [0.0], threading.Event()

    def watch() -> None:
        while not end.wait(_POLL_S):
            peak[0] = max(peak[0], float(anonymous_memory()))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        end.set()
        thread.join()


def anonymous_memory() -> int:
    """The anonymous memory of this process in bytes, as Linux counts it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


def _in_process(way: str, folder: Path, size: int, batches: int, cache: Path) -> dict[str, Any]:
    words = ["--way", way, "--folder", str(folder), "--size", str(size), "--batches", str(batches), "--cache", str(cache)]
    command = [sys.executable, "-m", "benchmarks.gan_data", *words]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ).stdout
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


if __name__ == "__main__":
    run_command(main)

"""Trains with few images and then with many, in one process. Prints how many more bytes of memory the second run needed.

python -m tests.training.gan.memory_probe FOLDER
"""

import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.gan_data import peak_of_memory
from tests.training.commands import call

SIZE, FEW, MANY = 128, 1000, 2600  # the report compares at most 1,000 images with the others
_DIFFERENT = 20  # images; the others are links to them
OPTIONS = [
    "--set", f"image_size={SIZE}", "--set", "generator.width=4", "--set", "discriminator.width=4", "--set", "batch_size=4",
    "--set", "images=8", "--set", "features.layers=[]", "--set", "evaluation.every=2",
    "--set", "evaluation.samples=16", "--features", "pixels", "--threads", "1",
]  # fmt: skip


def main(folder: Path) -> None:
    for index in range(_DIFFERENT):
        colours = np.random.default_rng(index).integers(0, 256, (4, 4, 3), np.uint8)
        Image.fromarray(colours).resize((SIZE, SIZE)).save(folder / f"{index}.jpg")
    peaks = []
    for name, count in (("few", FEW), ("many", MANY)):
        images = folder / name
        images.mkdir()
        for index in range(count):
            os.link(folder / f"{index % _DIFFERENT}.jpg", images / f"{index:04d}.jpg")
        with peak_of_memory() as peak:
            result = call("gan", "--data", images, "--out", folder / "runs" / name, *OPTIONS)
        assert result.exit_code == 0, result.output
        peaks.append(peak[0])
    sys.stdout.write(f"{peaks[1] - peaks[0]:.0f}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Prepares, chooses and draws more images than fit into the memory that the system allows this process.

python -m tests.training.data.memory_probe FOLDER
"""

import os
import resource
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tests.training.gan_configs import gan_config
from training.data.image_cache import prepare_images
from training.data.image_folder import ImageFolder, open_image_folder
from training.data.image_set import Chosen, batches
from training.devices import launch
from training.gan.batches import BatchSource

SIZE, COUNT = 256, 1500  # 295 MB
ROOM = 120e6  # bytes, for everything, such as the stacks of threads
_DIFFERENT = 20  # images; the others are links to them


def main(folder: Path) -> None:
    warm_up, images = (_linked(folder / name, count) for name, count in (("few", 40), ("many", COUNT)))
    _use(warm_up, folder)
    limit = round(_data_bytes() + ROOM)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    _use(images, folder)


def _linked(folder: Path, count: int) -> ImageFolder:
    folder.mkdir()
    for index in range(count):
        first = folder / f"{index % _DIFFERENT:04d}.jpg"
        if index < _DIFFERENT:
            colours = np.random.default_rng(index).integers(0, 256, (4, 4, 3), np.uint8)
            Image.fromarray(colours).resize((SIZE, SIZE)).save(first)
        else:
            os.link(first, folder / f"{index:04d}.jpg")
    return open_image_folder(folder)


def _use(folder: ImageFolder, cache: Path) -> None:
    prepared = prepare_images(folder, SIZE, 3, cache / "cache")
    learned = Chosen(prepared, np.arange(len(prepared) - 10))
    source = BatchSource(
        gan_config(image_size=SIZE, channels=3, batch_size=4), launch(torch.device("cpu"), "float32"), learned, None
    )
    for number in range(5):
        source.real(number)
    assert sum(len(batch) for batch in batches(learned, 10)) == len(learned)


def _data_bytes() -> int:
    """What RLIMIT_DATA counts: memory that belongs to this process alone, which no file can give back."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

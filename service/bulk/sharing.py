"""How a task is distributed: how many images a worker takes at a time, and on which device. This module does not import Ray."""

import math

from service.bulk.task import BulkError
from service.settings import Device

BLOCK = 64  # images that a worker takes at a time: the most that is repeated after a stop ...
BLOCKS_PER_WORKER = 4  # ... smaller blocks for a small task, so that every worker has some and none waits long at the end ...
MAX_BLOCKS = 10_000  # ... and larger blocks for a huge task, because Ray manages each block


def block_size(images: int, workers: int) -> int:
    """How many images a worker takes at a time."""
    share = math.ceil(images / (BLOCKS_PER_WORKER * workers))
    return max(1, min(BLOCK, share), math.ceil(images / MAX_BLOCKS))


def device_of_workers(wanted: Device, gpus: int) -> Device:
    """Choose the device of the workers' sessions.

    Args:
        wanted: from the settings.
        gpus: how many GPUs Ray found.

    Returns:
        "cpu", or a GPU device by name: a worker that owns a GPU must fail rather than run slowly on the CPU.

    Raises:
        BulkError: the settings ask for a GPU, and Ray found none.
    """
    if wanted == "cpu" or (wanted == "auto" and not gpus):
        return "cpu"
    if not gpus:
        raise BulkError(f"GANVAS_DEVICE={wanted}, but Ray finds no GPU; check nvidia-smi, or set GANVAS_DEVICE=cpu")
    return "cuda" if wanted == "auto" else wanted

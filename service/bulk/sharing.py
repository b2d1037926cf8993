"""How a job is shared out: how many pictures a worker takes at a time, and on which device. Knows nothing of Ray."""

import math

from service.bulk.task import BulkError
from service.settings import Device

BLOCK = 64  # pictures that a worker takes at a time: what at most is done again after a stop ...
BLOCKS_PER_WORKER = 4  # ... fewer of a small job, so that every worker has some, and none waits long for the last one ...
BLOCKS = 10_000  # ... and more of one so large that Ray would be busy with the blocks alone


def block_size(pictures: int, workers: int) -> int:
    """How many of a job's pictures a worker takes at a time."""
    share = math.ceil(pictures / (BLOCKS_PER_WORKER * workers))
    return max(1, min(BLOCK, share), math.ceil(pictures / BLOCKS))


def device_of_workers(wanted: Device, gpus: int) -> Device:
    """Where the workers' sessions run.

    Args:
        wanted: what the settings say.
        gpus: how many there are.

    Returns:
        A GPU by name where there is one: a worker that has one to itself and runs on the CPU must fail, not be slow.

    Raises:
        BulkError: a GPU is wanted and there is none.
    """
    if wanted == "cpu" or (wanted == "auto" and not gpus):
        return "cpu"
    if not gpus:
        raise BulkError(f"GANVAS_DEVICE={wanted}, but Ray finds no GPU; look at nvidia-smi, or set GANVAS_DEVICE=cpu")
    return "cuda" if wanted == "auto" else wanted

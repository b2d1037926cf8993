"""How a job is shared out, without Ray."""

import math

import pytest

from service.bulk.sharing import BLOCK, BLOCKS, block_size, device_of_workers
from service.bulk.task import BulkError
from service.settings import Device


@pytest.mark.parametrize("workers", [1, 2, 7, 64])
@pytest.mark.parametrize("pictures", [1, 5, 63, 64, 100, 513, 10_000, 640_000, 640_001, 50_000_000])
def test_blocks_bound_what_is_done_again_and_leave_no_worker_idle(pictures: int, workers: int) -> None:
    size = block_size(pictures, workers)
    blocks = math.ceil(pictures / size)
    assert size >= 1
    assert blocks >= min(workers, pictures)  # each has something to do
    assert blocks <= BLOCKS
    assert size <= BLOCK or pictures > BLOCK * BLOCKS


def test_a_small_job_is_shared_by_all() -> None:
    assert block_size(64, 8) == 2
    assert block_size(10_000, 2) == BLOCK


@pytest.mark.parametrize(
    ("wanted", "gpus", "expected"),
    [
        ("auto", 0, "cpu"),
        ("auto", 2, "cuda"),  # never "auto", which falls back to the CPU while the GPU is taken
        ("cpu", 2, "cpu"),
        ("cuda", 1, "cuda"),
        ("tensorrt", 1, "tensorrt"),
    ],
)
def test_the_device_of_the_workers(wanted: Device, gpus: int, expected: str) -> None:
    assert device_of_workers(wanted, gpus) == expected


@pytest.mark.parametrize("wanted", ["cuda", "tensorrt"])
def test_a_gpu_that_is_wanted_and_not_there(wanted: Device) -> None:
    with pytest.raises(BulkError, match=f"GANVAS_DEVICE={wanted}, but Ray finds no GPU"):
        device_of_workers(wanted, 0)

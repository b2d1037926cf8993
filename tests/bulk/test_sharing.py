"""How a task is distributed, without Ray."""

import math

import pytest

from service.bulk.sharing import BLOCK, MAX_BLOCKS, block_size, device_of_workers
from service.bulk.task import BulkError
from service.settings import Device


@pytest.mark.parametrize("workers", [1, 2, 7, 64])
@pytest.mark.parametrize("images", [1, 5, 63, 64, 100, 513, 10_000, 640_000, 640_001, 50_000_000])
def test_blocks_are_small_and_leave_no_worker_idle(images: int, workers: int) -> None:
    size = block_size(images, workers)
    blocks = math.ceil(images / size)
    assert size >= 1
    assert blocks >= min(workers, images)  # each worker has something to do
    assert blocks <= MAX_BLOCKS
    assert size <= BLOCK or images > BLOCK * MAX_BLOCKS


def test_small_task_is_shared_by_all_workers() -> None:
    assert block_size(64, 8) == 2
    assert block_size(10_000, 2) == BLOCK


@pytest.mark.parametrize(
    ("wanted", "gpus", "expected"),
    [
        ("auto", 0, "cpu"),
        ("auto", 2, "cuda"),  # never "auto", which falls back to the CPU while the GPU is in use
        ("cpu", 2, "cpu"),
        ("cuda", 1, "cuda"),
        ("tensorrt", 1, "tensorrt"),
    ],
)
def test_workers_use_gpus_unless_the_settings_say_cpu(wanted: Device, gpus: int, expected: str) -> None:
    assert device_of_workers(wanted, gpus) == expected


@pytest.mark.parametrize("wanted", ["cuda", "tensorrt"])
def test_missing_gpu_is_an_error(wanted: Device) -> None:
    with pytest.raises(BulkError, match=f"GANVAS_DEVICE={wanted}, but Ray finds no GPU"):
        device_of_workers(wanted, 0)

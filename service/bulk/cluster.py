"""Ray Data distributes the images of a task to workers."""

import logging
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

import ray
import ray.data
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ganvas.cpus import available_cpus
from ganvas.signals import raise_on_sigterm
from service.bulk.manifest import is_failure
from service.bulk.sharing import block_size, device_of_workers
from service.bulk.task import BulkError, OpenTask, Task
from service.bulk.worker import Worker
from service.settings import ROOT, Device, settings


def run(opened: OpenTask, *, workers: int | None, cores: int) -> int:
    """Stylize the remaining images of a task.

    Args:
        opened: the task; the caller keeps it open.
        workers: their number; None: one per GPU, or without GPUs the most that fit the cores.
        cores: of each worker.

    Returns:
        The number of images that could not be stylized.

    Raises:
        BulkError: the device does not work, or a worker failed.
    """
    _start(workers, cores)
    try:
        gpus = _gpus()
        device = device_of_workers(settings().device, gpus)
        gpus = gpus if device != "cpu" else 0
        count = workers or (gpus if gpus else max(1, int(ray.cluster_resources()["CPU"]) // cores))
        failed = 0
        columns = (TextColumn("stylizing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        with opened.manifest.appending() as manifest, Progress(*columns) as progress:
            bar = progress.add_task(
                "", total=len(opened.manifest.done) + len(opened.remaining), completed=len(opened.manifest.done)
            )
            for line in _lines(opened.task, opened.remaining, device, count, cores, bool(gpus)):
                manifest.add(line)
                failed += is_failure(line)
                progress.advance(bar)
        return failed
    except ray.exceptions.RayError as error:
        raise BulkError(f"a worker failed: {error}") from None
    finally:
        ray.shutdown()


def _start(workers: int | None, cores: int) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if "RAY_ADDRESS" in os.environ:  # a cluster whose machines run this same code
        ours = {name: value for name, value in os.environ.items() if name.startswith("GANVAS_")}
        options: dict[str, Any] = {"runtime_env": {"env_vars": {"PYTHONPATH": str(ROOT), **ours}}}
    else:
        options = {"num_cpus": max(available_cpus(), (workers or 1) * cores), "include_dashboard": False}
    ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    raise_on_sigterm()  # in place of Ray's handler, which exits with code 15
    ray.data.DataContext.get_current().enable_progress_bars = False  # `run` shows its own
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def _gpus() -> int:
    return int(ray.cluster_resources().get("GPU", 0))


def _lines(task: Task, names: Sequence[str], device: Device, workers: int, cores: int, gpu: bool) -> Iterator[str]:
    """Lines for the manifest, in the order in which the workers finish."""
    block = block_size(len(names), workers)
    images = ray.data.from_items([{"image": name} for name in names], override_num_blocks=math.ceil(len(names) / block))
    done = images.map_batches(
        Worker,
        fn_constructor_args=(task, device, cores),
        batch_size=block,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=cores,
        num_gpus=1 if gpu else None,
    )
    for row in done.iter_rows():
        yield str(row["line"])

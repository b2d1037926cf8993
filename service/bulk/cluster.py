"""The pictures of a job, shared out to workers by Ray Data."""

import logging
import math
import os
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import ray
import ray.data
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from service.bulk.manifest import is_failure
from service.bulk.sharing import block_size, device_of_workers
from service.bulk.task import BulkError, Job, Task
from service.bulk.worker import Worker
from service.settings import ROOT, Device, settings


class Terminated(KeyboardInterrupt):
    """SIGTERM has come: the process is to end, as with Ctrl-C."""


def interrupt_at_sigterm() -> None:
    """Let SIGTERM end the process. The kernel drops a signal without a handler for process 1, which this is in a container."""

    def terminate(number: int, frame: object) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)


def run(job: Job, *, workers: int | None, cores: int) -> int:
    """Restyle what is left of a job.

    Args:
        job: what is left; the caller holds it.
        workers: how many; None: one a GPU where the device is one, else as many as there are cores for.
        cores: of each worker.

    Returns:
        How many of them could not be restyled.

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
        columns = (TextColumn("restyling"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        with job.manifest.appending() as manifest, Progress(*columns) as progress:
            bar = progress.add_task("", total=len(job.manifest.done) + len(job.left), completed=len(job.manifest.done))
            for line in _lines(job.task, job.left, device, count, cores, bool(gpus)):
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
    if "RAY_ADDRESS" in os.environ:  # a cluster, whose machines run this same image
        ours = {name: value for name, value in os.environ.items() if name.startswith("GANVAS_")}
        options: dict[str, Any] = {"runtime_env": {"env_vars": {"PYTHONPATH": str(ROOT), **ours}}}
    else:
        options = {"num_cpus": max(os.cpu_count() or 1, (workers or 1) * cores), "include_dashboard": False}
    ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    interrupt_at_sigterm()  # Ray has put its own handler there, which ends with code 15
    ray.data.DataContext.get_current().enable_progress_bars = False  # there is one of our own
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def _gpus() -> int:
    return int(ray.cluster_resources().get("GPU", 0))


def _lines(task: Task, names: Sequence[str], device: Device, workers: int, cores: int, gpu: bool) -> Iterator[str]:
    """What the manifest is to say, as the workers get done."""
    block = block_size(len(names), workers)
    pictures = ray.data.from_items([{"picture": name} for name in names], override_num_blocks=math.ceil(len(names) / block))
    done = pictures.map_batches(
        Worker,
        fn_constructor_args=(task, device, cores),
        batch_size=block,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=cores,
        num_gpus=1 if gpu else None,
    )
    for row in done.iter_rows():
        yield str(row["line"])

"""How many threads of the CPU a training uses.

The threads of a step wait for each other. If another program is busy, they wait most of the time: two threads made 12 images/s
where one made 450. So a new run tries its first step with several numbers of threads and takes the fastest.

The number of threads changes the order of sums, and so the last bits of the weights. A run records its number and resumes with
it, unless `--threads` names another one.
"""

import os
import time
from collections.abc import Callable

import torch

from ganvas.cpus import available_cpus

_TRIAL_S = 0.5  # for each number of threads
_MAX_TRIES = 8
_GAIN = 0.95  # more threads must take at most this fraction of the time of fewer


def limit_threads() -> None:
    """Use no more threads than this process has CPUs. torch counts those of the machine, not those of the container."""
    torch.set_num_threads(min(torch.get_num_threads(), available_cpus()))


def use_threads(device: torch.device, asked: int | None, recorded: int | None, trial: Callable[[], object] | None) -> int:
    """Set the number of threads.

    Args:
        device: where the training runs. On a GPU, nothing is tried.
        asked: with `--threads`.
        recorded: in the run, when it started.
        trial: one step of the training. Its effects are undone by the caller. None: nothing is tried.

    Returns:
        The number of threads.
    """
    limit_threads()
    most = torch.get_num_threads()
    chosen = asked or (min(recorded, available_cpus()) if recorded else None)
    if chosen is None and trial and device.type == "cpu" and most > 1 and "OMP_NUM_THREADS" not in os.environ:
        chosen = fastest(trial, most)
    chosen = chosen or most
    torch.set_num_threads(chosen)
    return chosen


def fastest(trial: Callable[[], object], most: int) -> int:
    """The number of threads that a trial is fastest with: 1, or `most` halved any number of times."""
    best, seconds = 1, _seconds(trial, 1)
    for threads in sorted({most >> halvings for halvings in range(most.bit_length())} - {1}):
        taken = _seconds(trial, threads)
        if taken < _GAIN * seconds:
            best, seconds = threads, taken
    return best


def _seconds(trial: Callable[[], object], threads: int) -> float:
    """Mean time of a trial. The first one, which also allocates memory and starts threads, counts only if it is slow."""
    torch.set_num_threads(threads)
    begun = time.monotonic()
    trial()
    first = time.monotonic() - begun
    if first > _TRIAL_S:
        return first
    tries, begun = 0, time.monotonic()
    while tries < _MAX_TRIES and time.monotonic() - begun < _TRIAL_S:
        trial()
        tries += 1
    return (time.monotonic() - begun) / tries

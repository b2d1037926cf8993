"""How many CPUs this process may use. In a container, `os.cpu_count()` counts all CPUs of the machine.

docker run --cpus 2 ...      # available_cpus() == 2 on any machine
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

V1_CONTROLLERS = ("cpu", "cpu,cpuacct")  # names of the mount; distributions differ


def available_cpus(root: Path = Path("/")) -> int:
    """The CPUs that this process may use, at least 1: those of its affinity, or fewer if its control group has a quota.

    A quota is rounded up: a process with 1.5 CPUs gets 2 threads.

    Args:
        root: folder that holds proc/self/cgroup and sys/fs/cgroup.
    """
    # macOS has no affinity.
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cpus, *(math.ceil(quota) for quota in _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """The quota, in CPUs, of this process's control group and of each group above it: all of them apply."""
    mount = root / "sys" / "fs" / "cgroup"
    try:
        lines = (root / "proc" / "self" / "cgroup").read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            yield from filter(None, map(_quota_v2, _groups(mount, group)))
        elif "cpu" in controllers.split(","):
            for name in V1_CONTROLLERS:
                yield from filter(None, map(_quota_v1, _groups(mount / name, group)))


def _groups(mount: Path, group: str) -> list[Path]:
    """The folders of a group and of those above it. In a container the mount often begins at the container's own group."""
    path = PurePosixPath(*(part for part in PurePosixPath(group).parts if part not in ("/", "..")))
    return [mount / folder for folder in (path, *path.parents)]


def _quota_v2(folder: Path) -> float | None:
    return _ratio(*_words(folder / "cpu.max"))


def _quota_v1(folder: Path) -> float | None:
    return _ratio(*_words(folder / "cpu.cfs_quota_us"), *_words(folder / "cpu.cfs_period_us"))


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:  # the machine's own group has no quota, and a container may see only a part of the tree
        return []


def _ratio(quota: str = "", period: str = "", *_: str) -> float | None:
    """Quota by period; None if there is no quota, which is written as max or -1."""
    return int(quota) / int(period) if quota.isdecimal() and period.isdecimal() and int(period) else None

import os
from pathlib import Path

import pytest

from ganvas.cpus import available_cpus


@pytest.fixture(autouse=True)
def large_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))


def tree(root: Path, group: str, **files: str) -> Path:
    """A control group tree: proc/self/cgroup, and files below sys/fs/cgroup."""
    (root / "proc" / "self").mkdir(parents=True)
    (root / "proc" / "self" / "cgroup").write_text(group)
    for path, content in files.items():
        file = root / "sys" / "fs" / "cgroup" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return root


@pytest.mark.parametrize(
    ("quota", "found"),
    [("200000 100000\n", 2), ("150000 100000\n", 2), ("5000 100000\n", 1), ("max 100000\n", 64), ("9900000 100000\n", 64)],
)
def test_follows_quota_of_version_2(quota: str, found: int, tmp_path: Path) -> None:
    assert available_cpus(tree(tmp_path, "0::/\n", **{"cpu.max": quota})) == found


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
@pytest.mark.parametrize(("quota", "found"), [("300000\n", 3), ("250000\n", 3), ("1000\n", 1), ("-1\n", 64)])
def test_follows_quota_of_version_1(mount: str, quota: str, found: int, tmp_path: Path) -> None:
    files = {f"{mount}/docker/abc/cpu.cfs_quota_us": quota, f"{mount}/docker/abc/cpu.cfs_period_us": "100000\n"}
    assert available_cpus(tree(tmp_path, "7:memory:/x\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/y\n", **files)) == found


def test_smallest_quota_on_the_way_up_applies(tmp_path: Path) -> None:
    quotas = {"pods/cpu.max": "400000 100000", "pods/p1/cpu.max": "200000 100000", "pods/p1/c1/cpu.max": "max 100000"}
    assert available_cpus(tree(tmp_path, "0::/pods/p1/c1\n", **quotas)) == 2


@pytest.mark.parametrize("group", ["0::/kubepods/pod1/c1\n", "0::/../../c1\n"])
def test_reads_mount_that_begins_at_its_own_group(group: str, tmp_path: Path) -> None:
    """Without a namespace of its own, a container sees its group's files at the top and the machine's path of its group."""
    assert available_cpus(tree(tmp_path, group, **{"cpu.max": "300000 100000"})) == 3


@pytest.mark.parametrize("content", ["", "200000", "200000 0", "a b", "\n"])
def test_ignores_unreadable_quota(content: str, tmp_path: Path) -> None:
    assert available_cpus(tree(tmp_path, "0::/\n", **{"cpu.max": content})) == 64


def test_without_control_groups_the_affinity_counts(tmp_path: Path) -> None:
    assert available_cpus(tmp_path) == 64


def test_affinity_counts_if_it_is_smaller_than_the_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert available_cpus(tree(tmp_path, "0::/\n", **{"cpu.max": "200000 100000"})) == 1


def test_without_affinity_every_cpu_of_the_machine_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    assert available_cpus(tmp_path) == 12

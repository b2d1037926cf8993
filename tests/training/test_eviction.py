"""Eviction of a training pod: SIGTERM, then the same command again, on one machine and on two."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.commands import call, refused
from tests.training.conftest import MakeImages

LIMIT_S = 300  # generous, because the machine may be busy
CHECKPOINT_EVERY, STEPS, BATCH = 10, 200, 8  # enough steps for a fast machine to be still training when SIGTERM comes
OPTIONS = [
    "--set", "image_size=28", "--set", "generator.width=4", "--set", "discriminator.width=4",
    "--set", f"batch_size={BATCH}", "--set", f"images={BATCH * STEPS}",
    "--set", f"checkpoint_every={CHECKPOINT_EVERY}", "--set", "evaluation.every=0", "--set", "precision=float32",
    "--set", "sample_every=1000", "--set", "features.layers=[]", "--auto-resume",
]  # fmt: skip


@pytest.fixture
def photos(make_images: MakeImages) -> Path:
    return make_images("photos", 40, size=(32, 32))


def start(*command: object) -> subprocess.Popen[bytes]:
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [str(word) for word in command], env=one_thread, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def training(photos: Path, run: Path, *options: str) -> list[object]:
    return ["-m", "training", "gan", "--data", photos, "--out", run, "--device", "cpu", *OPTIONS, *options]


def wait_for_checkpoint(run: Path, *processes: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not (run / "stats.jsonl").exists():  # written with the first report, after the first checkpoint
        assert all(process.poll() is None for process in processes)
        assert time.monotonic() < deadline
        time.sleep(0.01)


def checkpoint(run: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(run / "checkpoint.pt", weights_only=True)
    return state


def identical(one: object, other: object) -> bool:
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(identical(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return isinstance(other, list | tuple) and len(one) == len(other) and all(map(identical, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor) else one == other


def test_evicted_run_ends_bit_identical(photos: Path, tmp_path: Path) -> None:
    whole, evicted = tmp_path / "whole", tmp_path / "evicted"
    assert start(sys.executable, *training(photos, whole)).wait(LIMIT_S) == 0

    first = start(sys.executable, *training(photos, evicted))
    wait_for_checkpoint(evicted, first)
    first.send_signal(signal.SIGTERM)
    assert first.wait(LIMIT_S) == 143
    assert checkpoint(evicted)["step"] < STEPS
    assert start(sys.executable, *training(photos, evicted)).wait(LIMIT_S) == 0

    assert checkpoint(whole)["step"] == STEPS
    assert identical(checkpoint(whole), checkpoint(evicted))

    # Start once more, like a Job whose node was lost at the end. Nothing is left to do.
    assert call(*training(photos, evicted)[2:]).exit_code == 0
    assert identical(checkpoint(whole), checkpoint(evicted))
    mistaken = call("gan", "--data", photos, "--out", evicted, *OPTIONS, "--set", "generator.width=8", "--config", "mlp")
    assert mistaken.exit_code == 2
    assert "was started with other values of architecture" in mistaken.output
    assert "generator.width" in refused("gan", "--data", photos, "--out", evicted, *OPTIONS, "--set", "generator.width=8")
    assert "exists already" in refused("gan", "--data", photos, "--out", evicted, *OPTIONS[:-1])


def test_run_on_two_machines_survives_eviction_of_one(photos: Path, tmp_path: Path) -> None:
    """Like the Indexed Job: torchrun on each machine, with the address of the first machine."""
    whole, evicted = tmp_path / "whole", tmp_path / "evicted"

    def both(run: Path) -> list[subprocess.Popen[bytes]]:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        return [
            start(
                sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", f"--node-rank={rank}",
                "--master-addr=127.0.0.1", f"--master-port={port}", *training(photos, run, "--nodes", "2"),
            )
            for rank in range(2)
        ]  # fmt: skip

    assert [process.wait(LIMIT_S) for process in both(whole)] == [0, 0]

    nodes = both(evicted)
    wait_for_checkpoint(evicted, *nodes)
    nodes[1].send_signal(signal.SIGTERM)
    assert [process.wait(LIMIT_S) != 0 for process in nodes] == [True, True]  # the other machine does not wait for ever
    assert checkpoint(evicted)["step"] < STEPS
    assert [process.wait(LIMIT_S) for process in both(evicted)] == [0, 0]

    assert checkpoint(whole)["step"] == STEPS
    assert identical(checkpoint(whole), checkpoint(evicted))

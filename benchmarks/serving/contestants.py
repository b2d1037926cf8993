"""The servers to compare, each in its own environment: this service and alternatives."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from benchmarks.provenance import CONSTRAINTS, pinned
from benchmarks.serving.load import Request, closed_loop
from benchmarks.serving.workloads import Workload
from service.settings import ROOT

ENVIRONMENTS = ROOT / ".bench"
PEERS = Path(__file__).parent / "peers"
_MODEL_PACKAGES = pinned("onnxruntime", "numpy", "pillow")  # the packages of the bare loop and of Ganvas
_START_S = 300  # Ray starts slowly
_STOP_S = 20


@dataclass(frozen=True)
class Contestant:
    """A server under measurement.

    Attributes:
        name: on the command line, and name of its environment.
        title: in the table.
        packages: arguments of pip install.
        script: file in `peers/`; None for this service.
        reads: makes the request with a photo.
        skips: workloads that the server does not support.
    """

    name: str
    title: str
    packages: Sequence[str]
    script: str | None = None
    reads: Callable[[Workload], Request] = Workload.raw
    skips: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)

    def request(self, workload: Workload) -> Request:
        """The request of a workload for this server."""
        return self.reads(workload) if workload.name == "stylize" else workload.json()

    def python(self) -> Path:
        """Path of the interpreter in its environment, which is made if it is missing."""
        folder = ENVIRONMENTS / self.name
        stamp = folder / ".installed"
        pins = CONSTRAINTS.read_text() if "--constraint" in self.packages else ""
        wanted = "\n".join([*self.packages, pins])
        if not stamp.is_file() or stamp.read_text() != wanted:
            Console().print(f"Installing {self.title} into {folder.relative_to(ROOT)} (once)")
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*install, *self.packages], check=True, cwd=ROOT)
            stamp.write_text(wanted)
        return folder / "bin" / "python"

    def version(self, package: str = "") -> str:
        """Version of a package in its environment. Default: its main package."""
        package = package or re.split("[[=]", self.packages[0])[0]
        code = f"import importlib.metadata as m; print(m.version({package!r}))"
        found = subprocess.run([str(self.python()), "-c", code], capture_output=True, text=True, check=True)
        return found.stdout.strip()

    @contextlib.contextmanager
    def serving(self, workload: Workload, threads: int, **settings: object) -> Iterator["Server"]:
        """Start the server, wait until it answers the workload, and stop it at the end of the block."""
        port = _free_port()
        python, model = str(self.python()), ROOT / "exported" / f"{workload.model}.onnx"
        environment = {**os.environ, **self.variables}
        if self.script is None:
            command = [python, "-m", "service", "--port", str(port)]
            environment |= {"GANVAS_DEVICE": "cpu", "GANVAS_THREADS": str(threads)}
            environment |= {f"GANVAS_{name.upper()}": str(value) for name, value in settings.items()}
        else:
            command = [python, str(PEERS / self.script), str(model), workload.name, str(threads), str(port)]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=quiet, stderr=quiet, start_new_session=True)
        server = Server(self, process.pid, f"http://127.0.0.1:{port}")
        try:
            server.wait_for(self.request(workload), process)
            yield server
        finally:
            _stop(process)


@dataclass(frozen=True)
class Server:
    """A running server."""

    contestant: Contestant
    pid: int
    url: str

    def memory(self) -> int:
        """Resident memory of all its processes in bytes."""
        process = psutil.Process(self.pid)
        total = 0
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                total += one.memory_info().rss
        return total

    def batches(self, model: str) -> tuple[float, float] | None:
        """Rows and batches of a model so far, from the metrics. None if the server is not this service."""
        if self.contestant.script is not None:
            return None
        with urllib.request.urlopen(f"{self.url}/metrics") as response:  # noqa: S310  # our own server
            families = text_string_to_metric_families(response.read().decode())
            counted = {
                sample.name: sample.value for one in families for sample in one.samples if sample.labels == {"model": model}
            }
        return counted["ganvas_batch_rows_sum"], counted["ganvas_batch_rows_count"]

    def wait_for(self, request: Request, process: subprocess.Popen[bytes]) -> None:
        """Wait until the server answers with 200.

        Raises:
            RuntimeError: the server exited, or did not answer in time.
        """
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and process.poll() is None:
            if asyncio.run(closed_loop(self.url, request, 0.1, 1)).count():
                return
            time.sleep(0.3)
        raise RuntimeError(
            f"{self.contestant.title} did not answer within {_START_S} s, or exited (exit code {process.poll()})."
        )


CONTESTANTS = {
    contestant.name: contestant
    for contestant in (
        Contestant(
            "ganvas", "Ganvas", ("--constraint", "constraints.txt", "--editable", ".[service]"),
            reads=lambda workload: workload.multipart("image", model=workload.model, max_side="512", style="the-scream"),
        ),
        Contestant(
            "starlette", "Starlette, thread pool",
            (*pinned("starlette", "uvicorn[standard]", "uvloop"), *_MODEL_PACKAGES), script="starlette_app.py",
        ),
        Contestant(
            "litserve", "LitServe", ("litserve==0.2.19", *pinned("python-multipart"), *_MODEL_PACKAGES),
            script="litserve_app.py", reads=lambda workload: workload.multipart("image"),
        ),
        Contestant("ray", "Ray Serve", ("ray[serve]==2.60.0", *_MODEL_PACKAGES), script="ray_app.py"),
        Contestant(
            "bentoml", "BentoML, plain API", (*pinned("bentoml"), *_MODEL_PACKAGES), script="bentoml_app.py",
            reads=lambda workload: workload.multipart("image"), skips=("sample-16",),
        ),
    )
}  # fmt: skip


def bare_loop(workload: Workload, threads: int, seconds: float) -> float:
    """Images per second of the model in a loop, without a server."""
    python = CONTESTANTS["ganvas"].python()
    model = ROOT / "exported" / f"{workload.model}.onnx"
    command = [str(python), str(PEERS / "bare.py"), str(model), workload.name, str(threads), str(seconds)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a process and all processes that it started."""
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_S)
    for one in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    process.kill()
    process.wait()

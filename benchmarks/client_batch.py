"""A folder of photos by the client: how near it keeps the service to its own rate, and in how much memory.

    python -m benchmarks.client_batch [--photos 500] [--rounds 3] [--table docs/benchmarks.md]

In every round, one after the other on one server: sixteen callers that always send the same photo, and come again when they
are told to (what the service bears), and `stylize_many` of a folder, in a process of its own. Beside it, what an installation
of the client takes.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown

from benchmarks.command import run_command
from benchmarks.provenance import measured_on
from benchmarks.serving.contestants import CONTESTANTS
from benchmarks.serving.load import closed_loop
from benchmarks.serving.workloads import WORKLOADS, photo
from benchmarks.tables import replace_section
from service.settings import ROOT

SECTION = "client"
_CONNECTIONS = 16
_BATCH = """
import resource, sys
import ganvas
url, photos, painted = sys.argv[1:]
with ganvas.Client(url) as client:
    report = client.stylize_many(photos, painted, style="the-scream", max_side=512, progress=False)
assert report.ok, report.failures
print(report.made / report.seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def main(
    photos: Annotated[int, typer.Option(min=1, help="In the folder.")] = 500,
    rounds: Annotated[int, typer.Option(min=1, help="Of which the median counts.")] = 3,
    seconds: Annotated[float, typer.Option(min=1, help="Of the sixteen callers, in each round.")] = 20,
    install: Annotated[bool, typer.Option(help="Whether to measure an installation, which needs a package index.")] = True,
    table: Annotated[Path | None, typer.Option(help="Markdown file whose section is replaced.")] = None,
) -> None:
    """Measure the client on a folder of photos."""
    lines = [measured_on(CONTESTANTS["ganvas"].version), "", "| | |", "| --- | ---: |"]
    borne, kept, memory = _rates(photos, rounds, seconds)
    lines += [
        f"| sixteen callers, pictures/s | {borne:.2f} |",
        f"| `stylize_many` of {photos} photos, pictures/s | {kept:.2f} |",
        f"| of the callers' rate | {kept / borne:.2f} |",
        f"| memory of the client at most, MiB | {memory / 2**20:.0f} |",
    ]
    if install:
        for upgraded in (False, True):
            pip, size, taken = _installation(upgraded)
            lines.append(f"| installed by pip {pip}, seconds | {taken:.0f} |")
        lines.append(f"| installed, MB | {size / 1e6:.1f} |")
    text = "\n".join(lines)
    Console().print(Markdown(text))
    if table:
        replace_section(table, SECTION, text)


def _rates(photos: int, rounds: int, seconds: float) -> tuple[float, float, int]:
    """Pictures a second of the callers and of the client (medians), and the client's memory in bytes (the most)."""
    ganvas, workload = CONTESTANTS["ganvas"], WORKLOADS["stylize"]
    borne, kept, memory = [], [], []
    with ganvas.serving(workload, os.cpu_count() or 1) as server, tempfile.TemporaryDirectory() as place:
        folder = Path(place, "photos")
        folder.mkdir()
        for i in range(photos):
            (folder / f"{i:05d}.jpg").write_bytes(photo())
        for i in range(rounds):
            borne.append(asyncio.run(closed_loop(server.url, ganvas.request(workload), seconds, _CONNECTIONS)).rate())
            command = [sys.executable, "-c", _BATCH, server.url, str(folder), str(Path(place, f"painted-{i}"))]
            said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
            kept.append(float(said[0]))
            memory.append(int(said[1]))
    return statistics.median(borne), statistics.median(kept), max(memory)


def _installation(upgraded: bool) -> tuple[str, int, float]:
    """By the pip that comes with Python, or the newest: its version, and bytes and seconds of the client alone."""
    with tempfile.TemporaryDirectory() as place:
        subprocess.run([sys.executable, "-m", "venv", *(["--upgrade-deps"] if upgraded else []), place], check=True)
        pip = [str(Path(place, "bin", "python")), "-m", "pip"]
        version = subprocess.run([*pip, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
        before, since = _bytes(Path(place)), time.perf_counter()
        wish = ["--quiet", "--disable-pip-version-check", "--constraint", "constraints.txt", "."]
        subprocess.run([*pip, "install", *wish], cwd=ROOT, check=True)
        return version, _bytes(Path(place)) - before, time.perf_counter() - since


def _bytes(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


if __name__ == "__main__":
    run_command(main)

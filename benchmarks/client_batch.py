"""Measures `stylize_many` on a folder of photos: its rate compared with that of plain callers, and its memory.

    python -m benchmarks.client_batch [--photos 500] [--rounds 3] [--table docs/benchmarks.md]

Each round runs three loads on one server, in alternating order: 16 callers and 32 callers that always send the same photo and
obey Retry-After, and `stylize_many` on a folder in its own process. The larger rate of the callers is the capacity of the
service. The client is a fresh installation in its own environment, not the checkout. The size and time of this installation
are measured with the pip of this Python and with the newest pip.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.markdown import Markdown

from benchmarks.command import run_command
from benchmarks.provenance import measured_on
from benchmarks.serving.contestants import CONTESTANTS
from benchmarks.serving.load import closed_loop
from benchmarks.serving.workloads import WORKLOADS, photo
from benchmarks.tables import replace_section
from ganvas.cpus import available_cpus
from service.settings import ROOT

SECTION = "client"
_CALLERS = (16, 32)
_BATCH = """
import importlib.util, resource, sys
import ganvas
url, photos, painted, alone = sys.argv[1:]
if alone:
    assert ganvas.__file__.startswith(sys.prefix), ganvas.__file__
    others = [name for name in ("numpy", "bentoml", "onnxruntime", "torch") if importlib.util.find_spec(name)]
    assert not others, f"the client's environment has {others}"
with ganvas.Client(url) as client:
    report = client.stylize_many(photos, painted, style="the-scream", max_side=512, progress=False)
assert report.ok, report.failures
print(report.made / report.seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


class Installation(NamedTuple):
    """A measured installation: version of pip, bytes and seconds."""

    pip: str
    size: int
    seconds: float


def main(
    photos: Annotated[int, typer.Option(min=1, help="Photos in the folder.")] = 500,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; the median counts.")] = 3,
    seconds: Annotated[float, typer.Option(min=1, help="Seconds of the callers in each round.")] = 20,
    installations: Annotated[
        int,
        typer.Option(
            min=0, help="Installations with each pip; they need a package index. 0 uses the client of this environment."
        ),
    ] = 3,
    table: Annotated[Path | None, typer.Option(help="Markdown file. The section of this benchmark is replaced.")] = None,
) -> None:
    """Measure the client on a folder of photos."""
    lines = [measured_on(CONTESTANTS["ganvas"].version), "", "| | median | lowest | highest |", "| --- | ---: | ---: | ---: |"]
    with tempfile.TemporaryDirectory() as place:
        by_pip = [
            [_installation(Path(place, f"{upgraded}-{i}"), upgraded) for i in range(installations)]
            for upgraded in (False, True)
        ]
        python = str(Path(place, f"True-{installations - 1}", "bin", "python")) if installations else sys.executable
        lines += _rates(python, bool(installations), photos, rounds, seconds)
    for measured in filter(None, by_pip):
        lines.append(_row(f"installed by pip {measured[0].pip}, seconds", [one.seconds for one in measured], "{:.1f}"))
        lines.append(_row(f"installed by pip {measured[0].pip}, MB", [one.size / 1e6 for one in measured], "{:.1f}"))
    text = "\n".join(lines)
    Console().print(Markdown(text))
    if table:
        replace_section(table, SECTION, text)


def _rates(python: str, alone: bool, photos: int, rounds: int, seconds: float) -> list[str]:
    """Rows of the table: images per second of the callers and of the client, and memory of the client."""
    ganvas, workload = CONTESTANTS["ganvas"], WORKLOADS["stylize"]
    borne: dict[int, list[float]] = {callers: [] for callers in _CALLERS}
    kept: list[float] = []
    memory: list[float] = []
    with ganvas.serving(workload, available_cpus()) as server, tempfile.TemporaryDirectory() as place:
        folder = Path(place, "photos")
        folder.mkdir()
        for i in range(photos):
            (folder / f"{i:05d}.jpg").write_bytes(photo())
        for i in range(rounds):
            turns = (*_CALLERS, None)
            for callers in turns if i % 2 == 0 else reversed(turns):
                if callers is not None:
                    load = closed_loop(server.url, ganvas.request(workload), seconds, callers)
                    borne[callers].append(asyncio.run(load).rate())
                    continue
                arguments = [server.url, str(folder), str(Path(place, f"painted-{i}")), "alone" * alone]
                # -I ignores the checkout and PYTHONPATH.
                command = [python, *(["-I"] * alone), "-c", _BATCH, *arguments]
                where = place if alone else ROOT
                said = subprocess.run(command, cwd=where, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
                kept.append(float(said[0]))
                memory.append(int(said[1]) / 2**20)
    most = [max(rates) for rates in zip(*borne.values(), strict=True)]
    return [
        *(_row(f"{callers} callers, images/s", rates) for callers, rates in borne.items()),
        _row(f"`stylize_many` of {photos} photos, images/s", kept),
        _row("ratio to the larger rate of the callers in each round", [k / m for k, m in zip(kept, most, strict=True)]),
        _row("memory of the client, MiB", memory, "{:.0f}"),
    ]


def _row(title: str, values: Sequence[float], shown: str = "{:.2f}") -> str:
    numbers = (statistics.median(values), min(values), max(values))
    return f"| {title} | {' | '.join(map(shown.format, numbers))} |"


def _installation(place: Path, upgraded: bool) -> Installation:
    """Install only the client into a new environment, with the pip of this Python or with the newest pip."""
    subprocess.run([sys.executable, "-m", "venv", *(["--upgrade-deps"] if upgraded else []), str(place)], check=True)
    pip = [str(place / "bin" / "python"), "-m", "pip"]
    version = subprocess.run([*pip, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    wish = ["--quiet", "--disable-pip-version-check", "--constraint", "constraints.txt", "."]
    before = _bytes(place)
    since = time.perf_counter()
    subprocess.run([*pip, "install", *wish], cwd=ROOT, check=True)
    taken = time.perf_counter() - since
    return Installation(version, _bytes(place) - before, taken)


def _bytes(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


if __name__ == "__main__":
    run_command(main)

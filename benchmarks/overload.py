"""Twice the load that the service can bear: are accepted requests still quick, the rest refused at once, memory bounded?

    python -m benchmarks.overload [--seconds 20] [--workload sample-16 --workload stylize] [--table docs/benchmarks.md]

Measured one after the other on one server: a single caller (unloaded), 16 callers (what it bears), requests at twice that rate
whether or not answered, and a single caller again, a second after.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown

from benchmarks.command import run_command
from benchmarks.serving.contestants import CONTESTANTS
from benchmarks.serving.load import Answers, closed_loop, open_loop
from benchmarks.serving.workloads import WORKLOADS
from benchmarks.tables import replace_section

SECTION = "overload"
_TIMES = 2.0  # what it bears
_COLUMNS = (
    "p99 unloaded, ms", "bears, requests/s", "accepted at twice that", "their p99, ms", "p99 of 429, ms",
    "p99 a second after, ms", "memory before, MiB", "most, MiB",
)  # fmt: skip


def main(
    seconds: Annotated[float, typer.Option(min=1, help="Of the overload; the other parts take half of it.")] = 20,
    workload: Annotated[list[str], typer.Option(help="Repeatable.")] = ["sample-16", "stylize"],  # noqa: B006
    table: Annotated[Path | None, typer.Option(help="Markdown file whose section is replaced.")] = None,
) -> None:
    """Overload the service."""
    ganvas = CONTESTANTS["ganvas"]
    lines = [f"| | {' | '.join(_COLUMNS)} |", "| --- |" + " ---: |" * len(_COLUMNS)]
    for name in workload:
        one = WORKLOADS[name]
        request = ganvas.request(one)
        with ganvas.serving(one, os.cpu_count() or 1) as server:
            asyncio.run(closed_loop(server.url, request, 2, 16))
            alone = asyncio.run(closed_loop(server.url, request, seconds / 2, 1))
            borne = asyncio.run(closed_loop(server.url, request, seconds / 2, 16))
            before = server.memory()
            with _Peak(server.memory) as peak:
                flood = asyncio.run(open_loop(server.url, request, seconds, _TIMES * borne.rate()))
            time.sleep(1)
            after = asyncio.run(closed_loop(server.url, request, seconds / 2, 1))
        strange = {status: len(times) for status, times in flood.times.items() if status not in (200, 429)}
        if strange:
            raise RuntimeError(f"Neither accepted nor refused: {strange}.")
        sent = sum(map(len, flood.times.values()))
        cells = [_ms(alone), f"{borne.rate():.1f}", f"{flood.count()} of {sent}", _ms(flood), _ms(flood, 429), _ms(after)]
        cells += [f"{size / 2**20:,.0f}" for size in (before, peak.most)]
        lines.append(f"| {one.title} | {' | '.join(cells)} |")
    text = "\n".join(lines)
    Console().print(Markdown(text))
    if table:
        replace_section(table, SECTION, text)


def _ms(answers: Answers, status: int = 200) -> str:
    return f"{1000 * answers.percentile(99, status):,.0f}"


class _Peak:
    """The most that a measure says while the block runs."""

    def __init__(self, measure: Callable[[], int], every_s: float = 0.2) -> None:
        self.most = 0
        self._measure, self._every = measure, every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "_Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(self._every):
            self.most = max(self.most, self._measure())


if __name__ == "__main__":
    run_command(main)

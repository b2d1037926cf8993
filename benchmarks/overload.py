"""Sends twice the load that the service can carry. Measures accepted requests, rejections and memory.

    python -m benchmarks.overload [--seconds 20] [--workload sample-16 --workload stylize] [--table docs/benchmarks.md]

One server gets four loads in turn: a single caller (unloaded); 16 callers that obey Retry-After (its capacity); requests at
twice that rate, whether or not earlier ones are answered; and one second later a single caller again. All of this runs with
the default of GANVAS_MAX_QUEUE_WAIT_S, and again with the unloaded p99 as its value.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown

from benchmarks.command import run_command
from benchmarks.provenance import measured_on
from benchmarks.serving.contestants import CONTESTANTS
from benchmarks.serving.load import Responses, closed_loop, open_loop
from benchmarks.serving.workloads import WORKLOADS, Workload
from benchmarks.tables import replace_section
from ganvas.cpus import available_cpus
from service.settings import Settings

SECTION = "overload"
_TIMES = 2.0  # the capacity
_COLUMNS = (
    "GANVAS_MAX_QUEUE_WAIT_S", "p99 unloaded, ms", "capacity, requests/s", "accepted at twice that", "their p99, ms",
    "limit: 3 x unloaded + wait, ms", "p99 of 429, ms", "p99 1 s later, ms", "memory before, MiB", "peak, MiB",
)  # fmt: skip


def main(
    seconds: Annotated[float, typer.Option(min=1, help="Seconds of overload. The other loads take half of it.")] = 20,
    workload: Annotated[list[str], typer.Option(help="Measure only this; may be repeated.")] = ["sample-16", "stylize"],  # noqa: B006
    table: Annotated[Path | None, typer.Option(help="Markdown file. The section of this benchmark is replaced.")] = None,
) -> None:
    """Overload the service."""
    how = f"{seconds:g} s of overload per row; the other loads take half of it."
    lines = [f"{measured_on(CONTESTANTS['ganvas'].version)} {how}", ""]
    lines += [f"| | {' | '.join(_COLUMNS)} |", "| --- |" + " ---: |" * len(_COLUMNS)]
    for name in workload:
        queue_s = Settings.model_fields["max_queue_wait_s"].default
        for _ in range(2):
            alone, cells = _overload(WORKLOADS[name], seconds, queue_s)
            lines.append(f"| {WORKLOADS[name].title} | {' | '.join(cells)} |")
            queue_s = round(alone, 3)
    text = "\n".join(lines)
    Console().print(Markdown(text))
    if table:
        replace_section(table, SECTION, text)


def _overload(workload: Workload, seconds: float, queue_s: float) -> tuple[float, list[str]]:
    """Overload one server with GANVAS_MAX_QUEUE_WAIT_S set to `queue_s`. Returns the unloaded p99 in seconds and the row."""
    ganvas = CONTESTANTS["ganvas"]
    request = ganvas.request(workload)
    with ganvas.serving(workload, available_cpus(), max_queue_wait_s=queue_s) as server:
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
        raise RuntimeError(f"Some requests were neither accepted nor rejected with 429: {strange}.")
    sent = sum(map(len, flood.times.values()))
    unloaded = alone.percentile(99)
    cells = [f"{queue_s:g}", _ms(alone), f"{borne.rate():.1f}", f"{flood.count()} of {sent}", _ms(flood)]
    cells += [f"{1000 * (3 * unloaded + queue_s):,.0f}", _ms(flood, 429), _ms(after)]
    cells += [f"{size / 2**20:,.0f}" for size in (before, peak.most)]
    return unloaded, cells


def _ms(responses: Responses, status: int = 200) -> str:
    return f"{1000 * responses.percentile(99, status):,.0f}"


class _Peak:
    """Maximum of a measure while the block runs."""

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

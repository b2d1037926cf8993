"""Compares the images per second of this service, of the bare model in a loop, and of other servers.

    python -m benchmarks.serving [--seconds 8] [--rounds 5] [--only ganvas --only starlette] [--table docs/benchmarks.md]

All servers share the cores of the machine with the load. They run one after the other in each round, each in its own
environment under .bench/, with the same exported model, the same onnxruntime and the same number of threads. Ratios are taken
within a round, so a slow moment of the machine affects both sides. The mean rows per batch come from the metrics of the
service.
"""

import asyncio
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress

from benchmarks.command import run_command
from benchmarks.provenance import measured_on
from benchmarks.serving.contestants import CONTESTANTS, Contestant, bare_loop
from benchmarks.serving.load import closed_loop
from benchmarks.serving.workloads import WORKLOADS, Workload
from benchmarks.tables import replace_section
from ganvas.cpus import available_cpus

CONNECTIONS = 16
_WARM_S = 1.5
SECTION = "serving"


class Round(NamedTuple):
    """One measurement of one server.

    Attributes:
        bare: images per second of the bare loop just before.
        rate: images per second of the server.
        tail: p99 in seconds.
        rows: mean rows per batch; None if the server does not report them.
    """

    bare: float
    rate: float
    tail: float
    rows: float | None


Rounds = dict[tuple[str, str], list[Round]]
"""Workload and server -> the rounds."""


def main(
    seconds: Annotated[float, typer.Option(min=1, help="Seconds of each measurement.")] = 8,
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each session.")] = available_cpus(),
    only: Annotated[list[str], typer.Option(help="Measure only this server. May be repeated.")] = [],  # noqa: B006
    workload: Annotated[list[str], typer.Option(help="Measure only this workload. May be repeated.")] = [],  # noqa: B006
    table: Annotated[Path | None, typer.Option(help="Markdown file. The section of this benchmark is replaced.")] = None,
) -> None:
    """Compare the service with other servers."""
    contestants = [CONTESTANTS[_known(name, CONTESTANTS)] for name in only or CONTESTANTS]
    workloads = [WORKLOADS[_known(name, WORKLOADS)] for name in workload or WORKLOADS]
    for contestant in contestants:
        contestant.python()
    found: Rounds = defaultdict(list)
    with Progress(transient=True) as progress:
        task = progress.add_task("Measuring", total=rounds * len(workloads) * len(contestants))
        for _ in range(rounds):
            for one in workloads:
                for contestant in contestants:
                    if one.name not in contestant.skips:
                        found[one.name, contestant.name].append(_measure(contestant, one, threads, seconds))
                    progress.advance(task)
    turns, many = f"{rounds} round{'s' * (rounds != 1)}", f"{threads} thread{'s' * (threads != 1)}"
    how = f"{CONNECTIONS} connections on the same cores; {turns} of {seconds:g} s, {many} per session."
    peers = ", ".join(f"{one.title} {one.version()}" for one in contestants if one.script)
    head = [f"{measured_on(CONTESTANTS['ganvas'].version)} {how}"]
    head += [f"Other servers, with the same onnxruntime: {peers}."] if peers else []
    text = "\n".join([*head, *tables(found, contestants, workloads)])
    Console().print(Markdown(text))
    if table:
        replace_section(table, SECTION, text)


def _known(name: str, known: dict[str, Contestant] | dict[str, Workload]) -> str:
    if name not in known:
        raise typer.BadParameter(f"There is no {name!r}. Known: {', '.join(known)}.")
    return name


def _measure(contestant: Contestant, workload: Workload, threads: int, seconds: float) -> Round:
    request = contestant.request(workload)
    bare = bare_loop(workload, threads, seconds)
    # The other servers reject no request, so this service should not either.
    with contestant.serving(workload, threads, max_queue_wait_s=60) as server:
        asyncio.run(closed_loop(server.url, request, _WARM_S, CONNECTIONS))
        before = server.batches(workload.model)
        responses = asyncio.run(closed_loop(server.url, request, seconds, CONNECTIONS))
        after = server.batches(workload.model)
    if responses.count() < sum(map(len, responses.times.values())):
        raise RuntimeError(
            f"{contestant.title} failed: { ({status: len(times) for status, times in responses.times.items()}) }"
        )
    rows = (after[0] - before[0]) / (after[1] - before[1]) if before and after else None
    return Round(bare, responses.rate() * workload.images, responses.percentile(99), rows)


def tables(found: Rounds, contestants: list[Contestant], workloads: list[Workload]) -> list[str]:
    """One Markdown table per workload, as lines."""
    lines = [
        "Each ratio compares with the bare loop just before; medians, with the lowest and highest round in brackets.",
        "",
    ]
    for workload in workloads:
        bare = [each.bare for one in contestants for each in found.get((workload.name, one.name), [])]
        lines += [
            f"**{workload.title}** ({workload.model}); the bare loop makes {statistics.median(bare):,.0f} images/s.",
            "",
            "| | images/s | ratio to the bare loop | p99, ms | mean rows per batch |",
            "| --- | ---: | ---: | ---: | ---: |",
        ]
        for one in contestants:
            if turns := found.get((workload.name, one.name)):
                ratios = [each.rate / each.bare for each in turns]
                rate, tail = statistics.median(each.rate for each in turns), statistics.median(each.tail for each in turns)
                spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
                reported = [each.rows for each in turns if each.rows is not None]
                rows = f"{statistics.median(reported):.1f}" if reported else ""
                lines.append(f"| {one.title} | {rate:,.0f} | {spread} | {1000 * tail:,.0f} | {rows} |")
        lines.append("")
    return lines


if __name__ == "__main__":
    run_command(main)

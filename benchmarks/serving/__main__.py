"""Pictures a second of this service, of the bare model in a loop, and of what a user would pick instead.

    python -m benchmarks.serving [--seconds 8] [--rounds 5] [--only ganvas --only starlette] [--table docs/benchmarks.md]

All share the machine's cores with the load, run one after the other in each round, each in an environment of its own under
.bench/, with the same exported model and as many threads. Ratios are taken within a round, so that a slow
moment of the machine meets both sides.
"""

import asyncio
import os
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress

from benchmarks.command import run_command
from benchmarks.provenance import measured_on
from benchmarks.serving.contestants import CONTESTANTS, Contestant, bare_loop
from benchmarks.serving.load import Answers, closed_loop
from benchmarks.serving.workloads import WORKLOADS, Workload
from benchmarks.tables import replace_section

CONNECTIONS = 16
_WARM_S = 1.5
SECTION = "serving"

Rates = dict[tuple[str, str], list[tuple[float, float]]]
"""(workload, contestant) -> pictures a second of the bare loop and of the contestant, a pair a round."""


def main(
    seconds: Annotated[float, typer.Option(min=1, help="Of each measurement.")] = 8,
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    threads: Annotated[int, typer.Option(min=1, help="Of each model's session.")] = os.cpu_count() or 1,
    only: Annotated[list[str], typer.Option(help="Only this one. Repeatable.")] = [],  # noqa: B006
    workload: Annotated[list[str], typer.Option(help="Only this workload. Repeatable.")] = [],  # noqa: B006
    table: Annotated[Path | None, typer.Option(help="Markdown file whose section is replaced.")] = None,
) -> None:
    """Measure the service beside its peers."""
    contestants = [CONTESTANTS[_known(name, CONTESTANTS)] for name in only or CONTESTANTS]
    workloads = [WORKLOADS[_known(name, WORKLOADS)] for name in workload or WORKLOADS]
    for contestant in contestants:
        contestant.python()
    rates: Rates = defaultdict(list)
    tails: dict[tuple[str, str], list[float]] = defaultdict(list)
    with Progress(transient=True) as progress:
        task = progress.add_task("Measuring", total=rounds * len(workloads) * len(contestants))
        for _ in range(rounds):
            for one in workloads:
                for contestant in contestants:
                    if one.name not in contestant.skips:
                        bare = bare_loop(one, threads, seconds)
                        answers = _measure(contestant, one, threads, seconds)
                        rates[one.name, contestant.name].append((bare, answers.rate() * one.pictures))
                        tails[one.name, contestant.name].append(answers.percentile(99))
                    progress.advance(task)
    text = _page(rates, tails, contestants, workloads, f"{rounds} rounds of {seconds:g} s, {threads} threads a session")
    Console().print(Markdown(text))
    if table:
        replace_section(table, SECTION, text)


def _known(name: str, known: dict[str, Contestant] | dict[str, Workload]) -> str:
    if name not in known:
        raise typer.BadParameter(f"There is no {name!r}. Known: {', '.join(known)}.")
    return name


def _measure(contestant: Contestant, workload: Workload, threads: int, seconds: float) -> Answers:
    request = contestant.request(workload)
    # Its peers refuse nobody: all wait for as long as it takes.
    with contestant.serving(workload, threads, max_queue_s=60) as server:
        asyncio.run(closed_loop(server.url, request, _WARM_S, CONNECTIONS))
        answers = asyncio.run(closed_loop(server.url, request, seconds, CONNECTIONS))
    if answers.count() < sum(map(len, answers.times.values())):
        raise RuntimeError(f"{contestant.title} failed: { ({status: len(times) for status, times in answers.times.items()}) }")
    return answers


def _page(
    rates: Rates, tails: dict[tuple[str, str], list[float]], contestants: list[Contestant], workloads: list[Workload], how: str
) -> str:
    versions = ", ".join(f"{one.title} {one.version()}" for one in contestants if one.script)
    lines = [
        f"{measured_on(CONTESTANTS['ganvas'].version)} {CONNECTIONS} connections on the same cores; {how}.",
        *([f"The peers, with the same onnxruntime: {versions}."] if versions else []),
        "A ratio compares with the bare loop just before it; medians, and in brackets the lowest and the highest round.",
        "",
    ]
    for workload in workloads:
        bare = [pair[0] for one in contestants for pair in rates.get((workload.name, one.name), [])]
        lines += [
            f"**{workload.title}** ({workload.model}); the bare loop makes {statistics.median(bare):,.0f} pictures/s.",
            "",
            "| | pictures/s | of the bare loop | p99, ms |",
            "| --- | ---: | ---: | ---: |",
        ]
        for one in contestants:
            if pairs := rates.get((workload.name, one.name)):
                ratios = [mine / bare for bare, mine in pairs]
                rate, tail = statistics.median(mine for _, mine in pairs), statistics.median(tails[workload.name, one.name])
                spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
                lines.append(f"| {one.title} | {rate:,.0f} | {spread} | {1000 * tail:,.0f} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    run_command(main)

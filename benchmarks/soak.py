"""Sends mixed load for a long time. Checks that memory stays flat and that each request is answered.

    python -m benchmarks.soak --minutes 30 [--table docs/benchmarks.md]

Four callers sample 1 and 16 images, stylize photos of different sizes and send invalid requests. Memory is read every 5
seconds. The mean of the last fifth of the time is compared with that of the second fifth. During the first fifth, caches and
pools fill.
"""

import asyncio
import io
import json
import random
import statistics
import time
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from benchmarks.command import run_command
from benchmarks.provenance import measured_on
from benchmarks.serving.contestants import CONTESTANTS, Server
from benchmarks.serving.load import Request, Responses, closed_loop
from benchmarks.serving.workloads import WORKLOADS, photo
from benchmarks.tables import replace_section
from ganvas.cpus import available_cpus

SECTION = "soak"
_EVERY_S = 5.0
_SLICE_S = 2.0


def main(
    minutes: Annotated[float, typer.Option(min=0.5)] = 30,
    table: Annotated[Path | None, typer.Option(help="Markdown file. The section of this benchmark is replaced.")] = None,
) -> None:
    """Load the service and watch its memory."""
    with CONTESTANTS["ganvas"].serving(WORKLOADS["stylize"], available_cpus()) as server:
        statuses, memory = asyncio.run(_soak(server, 60 * minutes))
    fifth = len(memory) // 5
    early, late = statistics.mean(memory[fifth : 2 * fifth]), statistics.mean(memory[-fifth:])
    responses = ", ".join(f"{count:,} with {status}" for status, count in sorted(statuses.items()))
    text = (
        f"{measured_on(CONTESTANTS['ganvas'].version)}\n\n"
        f"{minutes:g} minutes of mixed load: {sum(statuses.values()):,} requests, answered {responses}. "
        f"Resident memory {early / 2**20:,.0f} MiB early, {late / 2**20:,.0f} MiB late ({late / early - 1:+.1%})."
    )
    Console().print(text)
    if table:
        replace_section(table, SECTION, text)


async def _soak(server: Server, seconds: float) -> tuple[dict[int, int], list[int]]:
    statuses: dict[int, int] = {}
    memory: list[int] = []
    end = time.monotonic() + seconds
    with Progress(transient=True) as progress:
        task = progress.add_task("Soaking", total=seconds)

        async def caller(seed: int) -> None:
            chance = random.Random(seed)
            while time.monotonic() < end:
                responses: Responses = await closed_loop(server.url, _some_request(chance), _SLICE_S, 1)
                for status, times in responses.times.items():
                    statuses[status] = statuses.get(status, 0) + len(times)

        async def watch() -> None:
            while (left := end - time.monotonic()) > 0:
                memory.append(server.memory())
                progress.update(task, completed=seconds - left)
                await asyncio.sleep(min(_EVERY_S, left))

        await asyncio.gather(watch(), *(caller(seed) for seed in range(4)))
    return statuses, memory


def _some_request(chance: random.Random) -> Request:
    kind = chance.choice(("sample-1", "sample-16", "stylize", "stylize", "refused"))
    if kind == "refused":
        body = chance.choice((b'{"n": 0}', b"{", json.dumps({"model": "none"}).encode()))
        return Request("/v1/sample", body, {"Content-Type": "application/json"})
    if kind != "stylize":
        return WORKLOADS[kind].json()
    request = CONTESTANTS["ganvas"].request(WORKLOADS["stylize"])
    width, height = chance.randrange(64, 640), chance.randrange(64, 640)
    with Image.open(io.BytesIO(photo())) as image:
        file = io.BytesIO()
        image.resize((width, height)).save(file, "JPEG")
    return Request(request.path, request.body.replace(photo(), file.getvalue()), request.headers)


if __name__ == "__main__":
    run_command(main)

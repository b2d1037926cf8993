"""Stops the service under load and kills its worker. Counts lost requests and measures when the service serves again.

    python -m benchmarks.shutdown [--terms 50] [--kills 5] [--table docs/benchmarks.md]

Callers sample and stylize continuously on open connections. Then the service receives SIGTERM. Each sent request must be
answered with images, 429 or 503. Only new connections may fail, after the service has exited. Then the worker is killed, and
the benchmark measures the time until a request is answered with images again.
"""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import aiohttp
import typer
from rich.console import Console
from rich.progress import track

from benchmarks.command import run_command
from benchmarks.processes import ServiceProcess, service_process
from benchmarks.provenance import measured_on
from benchmarks.serving.contestants import CONTESTANTS
from benchmarks.serving.load import Request
from benchmarks.serving.workloads import WORKLOADS
from benchmarks.tables import replace_section

SECTION = "shutdown"
CALLERS = 8
_AGAIN_S = 60.0
_PAUSE_S = 0.05  # after a 429 or a 503


def main(
    terms: Annotated[int, typer.Option(min=0, help="Number of stops under load.")] = 50,
    kills: Annotated[int, typer.Option(min=0, help="Number of kills of the worker.")] = 5,
    table: Annotated[Path | None, typer.Option(help="Markdown file. The section of this benchmark is replaced.")] = None,
) -> None:
    """Stop the service under load and kill its worker."""
    lines = [measured_on(), ""]
    if terms:
        responses: Counter[str] = Counter()
        seconds = []
        for seed in track(range(terms), "Stopping it"):
            with service_process() as service:
                counts, taken = asyncio.run(end_under_load(service, requests(), seed))
            responses += counts
            seconds.append(taken)
        summary = ", ".join(f"{count:,} {name}" for name, count in sorted(responses.items()))
        lines.append(f"SIGTERM under load, {terms} times: {summary}. It exited within {max(seconds):.1f} s.")
    if kills:
        with service_process() as service:
            again = [asyncio.run(serve_again_s(service, requests()[0])) for _ in track(range(kills), "Killing it")]
        lines.append(f"SIGKILL of the worker, {kills} times: it served again within {max(again):.1f} s.")
    text = "\n".join(lines)
    Console().print(text)
    if table:
        replace_section(table, SECTION, text)


def requests() -> list[Request]:
    """The requests of the callers, for the shipped models."""
    return [WORKLOADS["sample-1"].json(), WORKLOADS["sample-16"].json(), CONTESTANTS["ganvas"].request(WORKLOADS["stylize"])]


async def end_under_load(service: ServiceProcess, sent: list[Request], seed: int = 0) -> tuple[Counter[str], float]:
    """Send SIGTERM under load. Returns how many requests were answered, rejected or lost, and the seconds until the exit.

    Raises:
        RuntimeError: the exit code was not 0, or a response had another status.
    """
    responses: Counter[str] = Counter()
    chance = random.Random(seed)
    async with asyncio.TaskGroup() as callers:
        for _ in range(CALLERS):
            callers.create_task(_call_until_gone(service.url, sent, responses, chance))
        await asyncio.sleep(1 + chance.random())
        begun = time.monotonic()
        code = await asyncio.to_thread(service.stop)
        taken = time.monotonic() - begun
    if code:
        raise RuntimeError(f"The service exited with code {code}:\n{service.log.read_text()[-2000:]}")
    return responses, taken


async def _call_until_gone(url: str, sent: list[Request], responses: Counter[str], chance: random.Random) -> None:
    async with aiohttp.ClientSession() as session:
        while True:
            request = chance.choice(sent)
            try:
                async with session.post(url + request.path, data=request.body, headers=request.headers) as response:
                    await response.read()
                    status = response.status
            except aiohttp.ClientConnectorError:  # the service has exited, so nothing was sent
                return
            except aiohttp.ClientError:
                responses["lost"] += 1
                continue
            if status not in (200, 429, 503):
                raise RuntimeError(f"The service answered with {status}.")
            responses["answered" if status == 200 else f"rejected with {status}"] += 1
            if status != 200:
                await asyncio.sleep(_PAUSE_S)


async def serve_again_s(service: ServiceProcess, request: Request) -> float:
    """Kill the worker and return the seconds until a request is answered with images.

    Raises:
        RuntimeError: no request was answered within a minute.
    """
    os.kill(service.worker(), signal.SIGKILL)
    begun = time.monotonic()
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < begun + _AGAIN_S:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.post(service.url + request.path, data=request.body, headers=request.headers) as response:
                    await response.read()
                    if response.status == 200:
                        return time.monotonic() - begun
            await asyncio.sleep(0.02)
    raise RuntimeError("The service did not serve again within a minute.")


if __name__ == "__main__":
    run_command(main)

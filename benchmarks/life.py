"""Ending under load: is any accepted request lost? And killed: how soon does it serve again?

    python -m benchmarks.life [--terms 50] [--kills 5] [--table docs/benchmarks.md]

Callers sample and restyle without pause, each on a connection that it keeps. In their midst the service gets SIGTERM: every
request that was sent must be answered, with its pictures, 429 or 503; only connecting may fail, once the service is gone.
Then the worker is killed: a caller keeps trying, and the time until it gets its pictures is taken.
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

SECTION = "life"
CALLERS = 8
_AGAIN_S = 60.0
_PAUSE_S = 0.05  # after a 429 or a 503


def main(
    terms: Annotated[int, typer.Option(min=0, help="How often it is ended under load.")] = 50,
    kills: Annotated[int, typer.Option(min=0, help="How often its worker is killed.")] = 5,
    table: Annotated[Path | None, typer.Option(help="Markdown file whose section is replaced.")] = None,
) -> None:
    """End the service under load, and kill its worker."""
    lines = [measured_on(), ""]
    if terms:
        answers: Counter[str] = Counter()
        seconds = []
        for seed in track(range(terms), "Ending it"):
            with service_process() as service:
                told, taken = asyncio.run(end_under_load(service, requests(), seed))
            answers += told
            seconds.append(taken)
        told_of = ", ".join(f"{count:,} {name}" for name, count in sorted(answers.items()))
        lines.append(f"SIGTERM under load, {terms} times: {told_of}. It was gone after {max(seconds):.1f} s at most.")
    if kills:
        with service_process() as service:
            again = [asyncio.run(serve_again_s(service, requests()[0])) for _ in track(range(kills), "Killing it")]
        lines.append(f"SIGKILL of the worker, {kills} times: it served again after {max(again):.1f} s at most.")
    text = "\n".join(lines)
    Console().print(text)
    if table:
        replace_section(table, SECTION, text)


def requests() -> list[Request]:
    """What callers send, with the shipped models."""
    return [WORKLOADS["sample-1"].json(), WORKLOADS["sample-16"].json(), CONTESTANTS["ganvas"].request(WORKLOADS["stylize"])]


async def end_under_load(service: ServiceProcess, sent: list[Request], seed: int = 0) -> tuple[Counter[str], float]:
    """Send SIGTERM amid requests: how many were answered, refused with 429 or 503, or lost; and the seconds until it was gone.

    Raises:
        RuntimeError: it ended with another exit code than 0, or answered something else.
    """
    answers: Counter[str] = Counter()
    chance = random.Random(seed)
    async with asyncio.TaskGroup() as callers:
        for _ in range(CALLERS):
            callers.create_task(_call_until_gone(service.url, sent, answers, chance))
        await asyncio.sleep(1 + chance.random())
        begun = time.monotonic()
        code = await asyncio.to_thread(service.stop)
        taken = time.monotonic() - begun
    if code:
        raise RuntimeError(f"It ended with exit code {code}:\n{service.log.read_text()[-2000:]}")
    return answers, taken


async def _call_until_gone(url: str, sent: list[Request], answers: Counter[str], chance: random.Random) -> None:
    async with aiohttp.ClientSession() as session:
        while True:
            request = chance.choice(sent)
            try:
                async with session.post(url + request.path, data=request.body, headers=request.headers) as response:
                    await response.read()
                    status = response.status
            except aiohttp.ClientConnectorError:  # nobody listens any more: nothing was sent
                return
            except aiohttp.ClientError:
                answers["lost"] += 1
                continue
            if status not in (200, 429, 503):
                raise RuntimeError(f"It answered {status}.")
            answers["answered" if status == 200 else f"refused with {status}"] += 1
            if status != 200:
                await asyncio.sleep(_PAUSE_S)


async def serve_again_s(service: ServiceProcess, request: Request) -> float:
    """Kill the worker; the seconds until a request is answered with pictures.

    Raises:
        RuntimeError: none was, in a minute.
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
    raise RuntimeError("It did not serve again.")


if __name__ == "__main__":
    run_command(main)

"""Load on a server, and what came of it: as fast as it answers (closed loop), or at a fixed rate (open loop)."""

import asyncio
import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
import numpy as np

_LIMIT = aiohttp.ClientTimeout(total=120)


@dataclass(frozen=True)
class Request:
    """One HTTP request, sent again and again."""

    path: str
    body: bytes
    headers: Mapping[str, str]


@dataclass
class Answers:
    """What came back: the time of each answer in seconds, by status. -1 is a connection that broke."""

    seconds: float = 0.0
    times: dict[int, list[float]] = field(default_factory=dict)

    def add(self, status: int, taken: float) -> None:
        """Count one answer."""
        self.times.setdefault(status, []).append(taken)

    def count(self, status: int = 200) -> int:
        """Answers with this status."""
        return len(self.times.get(status, []))

    def rate(self) -> float:
        """Good answers a second."""
        return self.count() / self.seconds

    def percentile(self, q: float, status: int = 200) -> float:
        """Seconds under which `q` of 100 answers with this status came; NaN without any."""
        times = self.times.get(status)
        return float(np.percentile(times, q)) if times else float("nan")


async def closed_loop(url: str, request: Request, seconds: float, connections: int) -> Answers:
    """So many connections, each sending its next request once the last is answered, and waiting after a 429 as it is told."""
    answers = Answers()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=_LIMIT) as session:
        begin = time.perf_counter()

        async def caller() -> None:
            while time.perf_counter() < begin + seconds:
                if after := await _send(session, url, request, answers):
                    await asyncio.sleep(after)

        await asyncio.gather(*(caller() for _ in range(connections)))
        answers.seconds = time.perf_counter() - begin
    return answers


async def open_loop(url: str, request: Request, seconds: float, rate: float) -> Answers:
    """Requests at even distances, whether or not the ones before are answered: as independent callers send them."""
    answers = Answers()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=_LIMIT) as session:
        begin = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for i in itertools.count():
                due = begin + i / rate
                if due > begin + seconds:
                    break
                await asyncio.sleep(max(due - time.perf_counter(), 0))
                group.create_task(_send(session, url, request, answers))
        answers.seconds = time.perf_counter() - begin
    return answers


async def _send(session: aiohttp.ClientSession, url: str, request: Request, answers: Answers) -> float:
    """Count what came, and return the seconds after which to send again."""
    since, after = time.perf_counter(), 0.0
    try:
        async with session.post(url + request.path, data=request.body, headers=request.headers) as response:
            await response.read()
            status = response.status
            after = float(response.headers.get("Retry-After", 0))
    except aiohttp.ClientError:
        status = -1
    answers.add(status, time.perf_counter() - since)
    return after

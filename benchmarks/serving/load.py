"""Sends load to a server: as fast as it answers (closed loop) or at a fixed rate (open loop)."""

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
    """One HTTP request that is sent repeatedly."""

    path: str
    body: bytes
    headers: Mapping[str, str]


@dataclass
class Responses:
    """The time of each response in seconds, by status. Status -1 is a broken connection."""

    seconds: float = 0.0
    times: dict[int, list[float]] = field(default_factory=dict)

    def add(self, status: int, taken: float) -> None:
        """Count one response."""
        self.times.setdefault(status, []).append(taken)

    def count(self, status: int = 200) -> int:
        """Number of responses with a status."""
        return len(self.times.get(status, []))

    def rate(self) -> float:
        """Responses with status 200 per second."""
        return self.count() / self.seconds

    def percentile(self, q: float, status: int = 200) -> float:
        """The q-th percentile, in seconds, of the responses with a status. NaN if there are none."""
        times = self.times.get(status)
        return float(np.percentile(times, q)) if times else float("nan")


async def closed_loop(url: str, request: Request, seconds: float, connections: int) -> Responses:
    """Send requests on several connections. Each sends the next one after a response, and after a 429 waits for Retry-After."""
    responses = Responses()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=_LIMIT) as session:
        begin = time.perf_counter()

        async def caller() -> None:
            while time.perf_counter() < begin + seconds:
                if after := await _send(session, url, request, responses):
                    await asyncio.sleep(after)

        await asyncio.gather(*(caller() for _ in range(connections)))
        responses.seconds = time.perf_counter() - begin
    return responses


async def open_loop(url: str, request: Request, seconds: float, rate: float) -> Responses:
    """Send requests at a fixed rate, as independent callers do, whether or not earlier ones are answered."""
    responses = Responses()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=_LIMIT) as session:
        begin = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for i in itertools.count():
                due = begin + i / rate
                if due > begin + seconds:
                    break
                await asyncio.sleep(max(due - time.perf_counter(), 0))
                group.create_task(_send(session, url, request, responses))
        responses.seconds = time.perf_counter() - begin
    return responses


async def _send(session: aiohttp.ClientSession, url: str, request: Request, responses: Responses) -> float:
    """Count the response and return the seconds to wait before the next request."""
    since, after = time.perf_counter(), 0.0
    try:
        async with session.post(url + request.path, data=request.body, headers=request.headers) as response:
            await response.read()
            status = response.status
            after = float(response.headers.get("Retry-After", 0))
    except aiohttp.ClientError:
        status = -1
    responses.add(status, time.perf_counter() - since)
    return after

"""Asynchronous work of a command: batches, and many pictures at once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ganvas.client import AsyncClient

T = TypeVar("T")


def with_client(url: str, work: Callable[[AsyncClient], Awaitable[T]]) -> T:
    """Give the work a client; Ctrl-C ends both at once."""

    async def run() -> T:
        async with AsyncClient(url) as client:
            return await work(client)

    return asyncio.run(run())

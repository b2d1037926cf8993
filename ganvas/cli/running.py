"""Asynchronous work of a command: batches, and several requests at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ganvas.client import AsyncClient

T = TypeVar("T")


def with_client(url: str | None, work: Callable[[AsyncClient], Awaitable[T]]) -> T:
    """Run `work` with a client. Ctrl-C cancels it and closes the client."""

    async def run() -> T:
        async with AsyncClient(url) as client:
            return await work(client)

    return asyncio.run(run())

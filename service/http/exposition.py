"""The text of /metrics. It takes tens of milliseconds, so a thread makes it, and callers at the same time share it."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from service.engine.metrics import QUEUES


class Exposition:
    """Prometheus's text, of this process or, if BentoML runs several workers, of all. Used on one event loop."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="metrics")
        self._running: asyncio.Future[bytes] | None = None
        self._next: asyncio.Future[bytes] | None = (
            None  # begins when the running one ends, so it is new for all who wait for it
        )

    async def text(self) -> bytes:
        """The text, with everything that happened before the call."""
        if self._next is None:
            self._next = asyncio.ensure_future(self._make(self._running))
        return await asyncio.shield(self._next)

    async def _make(self, before: asyncio.Future[bytes] | None) -> bytes:
        if before is not None:
            await asyncio.wait({before})
        self._running, self._next = self._next, None
        return await asyncio.get_running_loop().run_in_executor(self._thread, _exposition)


def _exposition() -> bytes:
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        registry.register(QUEUES)
    return generate_latest(registry)

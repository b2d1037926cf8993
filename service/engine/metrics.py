"""The engine's metrics for Prometheus. The labels are names of served models and fixed reasons, so their number is bounded.

If PROMETHEUS_MULTIPROC_DIR is set, as `bentoml serve` does, prometheus_client adds the metrics of all workers.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from prometheus_client import REGISTRY, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128)
BY_MODEL = ("model",)

WAIT = Histogram(
    "ganvas_queue_wait_seconds", "Time from the queueing of a job to the start of its batch.", BY_MODEL, buckets=SECONDS
)
BATCH = Histogram("ganvas_batch_rows", "Rows in a batch.", BY_MODEL, buckets=ROWS)
DEVICE = Histogram("ganvas_device_seconds", "Time that a batch ran on the device.", BY_MODEL, buckets=SECONDS)
REJECTED = Counter("ganvas_rejections", "Requests that were not served, by reason.", ("model", "reason"))
DROPPED = Counter("ganvas_dropped_rows", "Rows that never ran because their request was cancelled or timed out.", BY_MODEL)
FAILED = Counter("ganvas_failed_batches", "Batches that failed. Each of their jobs runs again alone.", BY_MODEL)

REASONS = ("queue_full", "caller_full", "queue_slow", "memory_full", "memory_exceeded")
"""Why a request for a model is rejected."""

OTHER_REASONS = ("uploads_full", "timed_out", "draining")
"""Why a request is rejected before its model is known; the label `model` is empty."""

for _reason in OTHER_REASONS:
    REJECTED.labels("", _reason)  # shown as 0 from the start, so that Prometheus can compute a rate


def rejected(reason: str, model: str = "") -> None:
    """Count a request that was not served. The reason is one of the above."""
    REJECTED.labels(model, reason).inc()


class Queue(Protocol):
    """What the gauges read."""

    def waiting(self) -> int:
        """What waits, in the unit of `max_queue`."""

    def waiting_rows(self) -> int:
        """The rows that wait for the device."""

    def busy_s(self) -> float:
        """How long the oldest batch has been running, in seconds."""

    @property
    def max_queue(self) -> int:
        """The bound of `waiting`."""


class Queues(Collector):
    """The gauges of every queue, read when Prometheus asks."""

    def __init__(self) -> None:
        self._queues: dict[str, Queue] = {}

    def add(self, model: str, queue: Queue) -> None:
        """Show a queue in place of an earlier one of the same model."""
        self._queues[model] = queue

    def remove(self, model: str, queue: Queue) -> None:
        """Stop showing a queue, unless another has replaced it already."""
        if self._queues.get(model) is queue:
            del self._queues[model]

    def collect(self) -> Iterator[Metric]:
        """Yield the current values."""
        rows = GaugeMetricFamily("ganvas_queue_rows", "Rows that wait for the device.", labels=BY_MODEL)
        used = GaugeMetricFamily(
            "ganvas_queue_used_ratio", "What is accepted and not on the device, as a fraction of the limit.", labels=BY_MODEL
        )
        busy = GaugeMetricFamily("ganvas_device_busy_seconds", "How long the oldest batch has been running.", labels=BY_MODEL)
        for model, queue in list(self._queues.items()):
            rows.add_metric([model], queue.waiting_rows())
            used.add_metric([model], queue.waiting() / queue.max_queue)
            busy.add_metric([model], queue.busy_s())
        yield from (rows, used, busy)


QUEUES = Queues()
REGISTRY.register(QUEUES)


@dataclass(frozen=True)
class Total:
    """A number of events and the seconds that they took together."""

    count: int = 0
    seconds: float = 0.0

    def __add__(self, seconds: float) -> "Total":
        return Total(self.count + 1, self.seconds + seconds)


@dataclass(frozen=True)
class Totals:
    """What one version of a model did since it was loaded.

    Attributes:
        served: requests that were accepted and answered, from the reservation in the queue until the response was made.
        failed: requests that were accepted and then failed, were cancelled or timed out.
        waited: jobs that were taken into a batch, from their queueing until then.
        ran: batches, and their time on the device.
        rows: that were made.
        last: when the last batch finished, in seconds since the epoch; None before the first.
    """

    served: Total = field(default_factory=Total)
    failed: Total = field(default_factory=Total)
    waited: Total = field(default_factory=Total)
    ran: Total = field(default_factory=Total)
    rows: int = 0
    last: float | None = None


class ModelMetrics:
    """The metrics of one model, with its label already looked up."""

    def __init__(self, model: str, queue: Queue) -> None:
        self._model, self._queue = model, queue
        self._wait, self._batch, self._device = WAIT.labels(model), BATCH.labels(model), DEVICE.labels(model)
        self._rejected = {reason: REJECTED.labels(model, reason) for reason in REASONS}
        self._dropped, self._failed = DROPPED.labels(model), FAILED.labels(model)
        self._lock = threading.Lock()  # guards the totals
        self.totals = Totals()
        QUEUES.add(model, queue)

    def waited(self, seconds: float) -> None:
        """A job was taken into a batch after this time."""
        self._wait.observe(seconds)
        with self._lock:
            self.totals = replace(self.totals, waited=self.totals.waited + seconds)

    def ran(self, rows: int, seconds: float, made: int) -> None:
        """A batch ran, and made the images of some of its rows: of all, unless jobs failed."""
        self._batch.observe(rows)
        self._device.observe(seconds)
        with self._lock:
            totals = self.totals
            self.totals = replace(totals, ran=totals.ran + seconds, rows=totals.rows + made, last=time.time())

    def answered(self, seconds: float, *, failed: bool) -> None:
        """An accepted request ended after this time."""
        with self._lock:
            if failed:
                self.totals = replace(self.totals, failed=self.totals.failed + seconds)
            else:
                self.totals = replace(self.totals, served=self.totals.served + seconds)

    def rejected(self, reason: str) -> None:
        """A request was not accepted."""
        self._rejected[reason].inc()

    def dropped(self, rows: int) -> None:
        """Rows were removed from the queue before they ran."""
        self._dropped.inc(rows)

    def failed(self) -> None:
        """A batch failed."""
        self._failed.inc()

    def forget(self) -> None:
        """Remove the gauges of this queue, unless another queue of the same model has replaced them."""
        QUEUES.remove(self._model, self._queue)

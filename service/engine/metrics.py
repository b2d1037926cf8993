"""What the engine counts, by model, for Prometheus. Labels are names of served models and words of ours, so they are bounded.

The metrics are prometheus_client's own: with PROMETHEUS_MULTIPROC_DIR set (as `bentoml serve` does) they add up over workers.
"""

from collections.abc import Iterator
from typing import Protocol

from prometheus_client import REGISTRY, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128)
BY_MODEL = ("model",)

WAIT = Histogram("ganvas_queue_wait_seconds", "From a job's queueing to its batch.", BY_MODEL, buckets=SECONDS)
BATCH = Histogram("ganvas_batch_rows", "Rows of a batch.", BY_MODEL, buckets=ROWS)
DEVICE = Histogram("ganvas_device_seconds", "Time of a batch on the device.", BY_MODEL, buckets=SECONDS)
REJECTED = Counter("ganvas_rejections", "Requests not served for want of room or time, by reason.", ("model", "reason"))
DROPPED = Counter("ganvas_dropped_rows", "Rows never run: their client left, or their time was up.", BY_MODEL)
FAILED = Counter("ganvas_failed_batches", "Batches that failed; their jobs are run again, each alone.", BY_MODEL)

REASONS = ("queue_full", "queue_slow", "decode_full")
"""Why a request for a model is refused."""

OTHER_REASONS = ("uploads_full", "timed_out", "draining")
"""Why a request is not served, whatever model it may be for; their label `model` is empty."""

for _reason in OTHER_REASONS:
    REJECTED.labels("", _reason)  # shown as 0 until it happens: a rate needs a beginning


def rejected(reason: str, model: str = "") -> None:
    """A request was not served, for one of the reasons above."""
    REJECTED.labels(model, reason).inc()


class Queue(Protocol):
    """What a queue says of itself when it is asked."""

    def waiting(self) -> int:
        """What waits, in the unit of its bound."""

    def waiting_rows(self) -> int:
        """The rows that wait for the device."""

    def busy_s(self) -> float:
        """For how long the device has been at its batch, in seconds."""

    @property
    def max_queue(self) -> int:
        """The bound."""


class Queues(Collector):
    """The gauges of every queue, read when Prometheus asks."""

    def __init__(self) -> None:
        self._queues: dict[str, Queue] = {}

    def add(self, model: str, queue: Queue) -> None:
        """Show a queue, in place of an earlier one of that model."""
        self._queues[model] = queue

    def remove(self, model: str, queue: Queue) -> None:
        """Show a queue no more, unless another has taken its place already."""
        if self._queues.get(model) is queue:
            del self._queues[model]

    def collect(self) -> Iterator[Metric]:
        """Prometheus asks."""
        rows = GaugeMetricFamily("ganvas_queue_rows", "Rows that wait for the device.", labels=BY_MODEL)
        used = GaugeMetricFamily("ganvas_queue_used_ratio", "Accepted and not on the device: 1 is full.", labels=BY_MODEL)
        busy = GaugeMetricFamily("ganvas_device_busy_seconds", "How long the oldest batch has been running.", labels=BY_MODEL)
        for model, queue in list(self._queues.items()):
            rows.add_metric([model], queue.waiting_rows())
            used.add_metric([model], queue.waiting() / queue.max_queue)
            busy.add_metric([model], queue.busy_s())
        yield from (rows, used, busy)


QUEUES = Queues()
REGISTRY.register(QUEUES)


class ModelMetrics:
    """The metrics of one model, with its label already looked up."""

    def __init__(self, model: str, queue: Queue) -> None:
        self._model, self._queue = model, queue
        self._wait, self._batch, self._device = WAIT.labels(model), BATCH.labels(model), DEVICE.labels(model)
        self._rejected = {reason: REJECTED.labels(model, reason) for reason in REASONS}
        self._dropped, self._failed = DROPPED.labels(model), FAILED.labels(model)
        QUEUES.add(model, queue)

    def waited(self, seconds: float) -> None:
        """A job's wait is over."""
        self._wait.observe(seconds)

    def ran(self, rows: int, seconds: float) -> None:
        """A batch has run."""
        self._batch.observe(rows)
        self._device.observe(seconds)

    def rejected(self, reason: str) -> None:
        """A request was not let in."""
        self._rejected[reason].inc()

    def dropped(self, rows: int) -> None:
        """Rows left the queue before they ran."""
        self._dropped.inc(rows)

    def failed(self) -> None:
        """A batch failed."""
        self._failed.inc()

    def forget(self) -> None:
        """This queue takes no new work: its gauges go, unless those of another already stand in their place."""
        QUEUES.remove(self._model, self._queue)

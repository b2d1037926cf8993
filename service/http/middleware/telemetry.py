"""Around everything: each request gets its id, is counted, timed and, where wished, logged.

It takes the place of BentoML's own metrics and tracing layers, whose `endpoint` label is whatever path was asked for.
"""

import itertools
import logging
import re
import time
from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import BaseRoute, Mount, compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ganvas.api import REQUEST_ID_HEADER
from service.http.request_ids import REQUEST_ID, request_id_of
from service.process.lifecycle import Lifecycle

logger = logging.getLogger("ganvas.access")

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"

REQUESTS = Counter("ganvas_http_requests", "Requests answered.", ("route", "method", "status"))
DURATION = Histogram(
    "ganvas_http_request_seconds", "From a request's head until its answer is made.", ("route",), buckets=SECONDS
)
UNDER_WAY = Gauge("ganvas_http_requests_under_way", "Requests whose answers are not sent yet.", multiprocess_mode="livesum")


class Observer:
    """ASGI middleware that names, counts, times and logs every request.

    Args:
        app: what lies inside.
        lifecycle: counts the requests in flight.
        routes: the application's; a request's label is that of its route, whatever its path, so labels are bounded.
        access_log: whether every request is logged; else only those that fail on our side.
    """

    def __init__(self, app: ASGIApp, lifecycle: Lifecycle, routes: Iterable[BaseRoute], *, access_log: bool) -> None:
        self.app = app
        self.lifecycle = lifecycle
        self.labels = Labels(routes)
        self.access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass on what is not HTTP."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = time.perf_counter()
        request_id = request_id_of(Headers(scope=scope).get(REQUEST_ID_HEADER))
        token = REQUEST_ID.set(request_id)
        status = 499  # nobody was there to answer
        bytes_sent = 0
        answered: float | None = None

        async def observed_send(message: Message) -> None:
            nonlocal status, bytes_sent, answered
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID_HEADER] = request_id
                if self.lifecycle.draining:
                    headers["Connection"] = "close"
            else:
                bytes_sent += len(message.get("body", b""))
            answered = time.perf_counter()  # a caller who is slow to read does not make the service slow
            await send(message)

        self.lifecycle.in_flight += 1
        UNDER_WAY.inc()
        try:
            await self.app(scope, receive, observed_send)
        finally:
            self.lifecycle.in_flight -= 1
            UNDER_WAY.dec()
            taken = (answered or time.perf_counter()) - begun
            route = self.labels.of(scope["path"])
            method = scope["method"] if scope["method"] in METHODS else OTHER
            REQUESTS.labels(route, method, status).inc()
            DURATION.labels(route).observe(taken)
            if self.access_log or status >= 500:
                fields = {"method": method, "route": route, "status": status, "ms": round(taken * 1000, 1), "bytes": bytes_sent}
                level = logging.WARNING if status >= 500 else logging.INFO
                logger.log(level, "%s %s %d", method, route, status, extra=fields)
            REQUEST_ID.reset(token)


class Labels:
    """From a path to its route, as metrics and logs name it.

    Args:
        routes: an application's, mounted ones included.
    """

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._fixed: set[str] = set()
        self._patterns: list[tuple[str, re.Pattern[str]]] = []
        self._mounts: list[str] = []
        self._add(routes)

    def of(self, path: str) -> str:
        """The route that takes a path; `other` where none does."""
        if path in self._fixed:
            return path
        named = (route for route, pattern in self._patterns if pattern.match(path))
        mounted = (mount for mount in self._mounts if path.startswith(f"{mount}/"))
        return next(itertools.chain(named, mounted), OTHER)

    def _add(self, routes: Iterable[BaseRoute]) -> None:
        for route in routes:
            path = getattr(route, "path", "")
            if isinstance(route, Mount) and route.routes:
                self._add(route.routes)
            elif isinstance(route, Mount):
                self._mounts.append(path)
            elif "{" in path:
                self._patterns.append((path, compile_path(path)[0]))
            else:
                self._fixed.add(path)

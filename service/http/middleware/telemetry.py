"""The outermost middleware: gives each request its id, counts and times it, and logs it if configured.

It replaces BentoML's metrics and tracing layers. Their label `endpoint` is the requested path, so any client could add labels.
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
from service.http.lifecycle import Lifecycle
from service.http.request_ids import REQUEST_ID, request_id_of

logger = logging.getLogger("ganvas.access")

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"

REQUESTS = Counter("ganvas_http_requests", "Finished requests.", ("route", "method", "status"))
DURATION = Histogram(
    "ganvas_http_request_seconds", "Time from a request's head until its response is made.", ("route",), buckets=SECONDS
)
IN_FLIGHT = Gauge(
    "ganvas_http_requests_in_flight", "Requests whose responses are not sent completely.", multiprocess_mode="livesum"
)


class Telemetry:
    """ASGI middleware that identifies, counts, times and logs every request.

    Args:
        app: the next layer.
        lifecycle: counts the requests in flight.
        routes: the application's routes. A request's label is its route, not its path, so the number of labels is bounded.
        access_log: whether to log every request; if not, only those that fail with a status of 500 or above.
    """

    def __init__(self, app: ASGIApp, lifecycle: Lifecycle, routes: Iterable[BaseRoute], *, access_log: bool) -> None:
        self.app = app
        self.lifecycle = lifecycle
        self.labels = RouteLabels(routes)
        self.access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Observe one HTTP request; pass on everything else."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = time.perf_counter()
        request_id = request_id_of(Headers(scope=scope).get(REQUEST_ID_HEADER))
        token = REQUEST_ID.set(request_id)
        status = 499  # if no response starts, the client has disconnected
        bytes_sent = 0
        responded: float | None = None

        async def observed_send(message: Message) -> None:
            nonlocal status, bytes_sent, responded
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID_HEADER] = request_id
                if self.lifecycle.draining:
                    headers["Connection"] = "close"
            else:
                bytes_sent += len(message.get("body", b""))
            responded = time.perf_counter()  # before sending: a client that reads slowly does not make the service slow
            await send(message)

        self.lifecycle.in_flight += 1
        IN_FLIGHT.inc()
        try:
            await self.app(scope, receive, observed_send)
        finally:
            self.lifecycle.in_flight -= 1
            IN_FLIGHT.dec()
            seconds = (responded or time.perf_counter()) - start
            route = self.labels.of(scope["path"])
            method = scope["method"] if scope["method"] in METHODS else OTHER
            REQUESTS.labels(route, method, status).inc()
            DURATION.labels(route).observe(seconds)
            if self.access_log or status >= 500:
                fields = {
                    "method": method,
                    "route": route,
                    "status": status,
                    "ms": round(seconds * 1000, 1),
                    "bytes": bytes_sent,
                }
                level = logging.WARNING if status >= 500 else logging.INFO
                logger.log(level, "%s %s %d", method, route, status, extra=fields)
            REQUEST_ID.reset(token)


class RouteLabels:
    """Maps a path to its route, for metrics and logs.

    Args:
        routes: of an application, with the routes of its mounts.
    """

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._fixed: set[str] = set()
        self._patterns: list[tuple[str, re.Pattern[str]]] = []
        self._mounts: list[str] = []
        self._add(routes)

    def of(self, path: str) -> str:
        """Return the route of a path, or `other` if no route matches."""
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

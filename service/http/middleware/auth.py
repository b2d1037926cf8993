"""Rejects every request during shutdown, and requests for /v1 without a valid API key.

Health checks, metrics, the API's description and the studio need no key: only routes below /v1 make or show images.
"""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.engine.metrics import rejected
from service.http.api_keys import ApiKeys
from service.http.lifecycle import Lifecycle
from service.http.problems import Problem, Unauthorized, Unavailable

GUARDED = "/v1"
PROBES = frozenset({"/livez", "/healthz", "/readyz", "/metrics"})


class Authentication:
    """ASGI middleware that responds with 503 during shutdown, and with 401 to a request without a valid key.

    Args:
        app: the next layer.
        lifecycle: says whether the service is shutting down.
        keys: the keys that open /v1; None if /v1 is open.
    """

    def __init__(self, app: ASGIApp, lifecycle: Lifecycle, keys: ApiKeys | None) -> None:
        self.app = app
        self.lifecycle = lifecycle
        self.keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or reject it."""
        problem = self._problem(scope) if scope["type"] == "http" else None
        await (problem.response() if problem else self.app)(scope, receive, send)

    def _problem(self, scope: Scope) -> Problem | None:
        path = scope["path"]
        if self.lifecycle.draining and path not in PROBES:
            self.lifecycle.rejected()
            rejected("draining")
            return Unavailable("The service is shutting down. Retry.")
        if self.keys and (path == GUARDED or path.startswith(f"{GUARDED}/")) and not self.keys.accept(Headers(scope=scope)):
            return Unauthorized("Send an API key of this service, as `Authorization: Bearer KEY` or `X-API-Key: KEY`.")
        return None

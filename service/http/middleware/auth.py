"""The door: nobody new while the service drains, and only with a key where keys are wanted.

Health, metrics, the API's description and the page stay open: whatever makes or shows pictures is under /v1.
"""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.engine.metrics import rejected
from service.http.api_keys import Keys
from service.http.problems import Problem, Unauthorized, Unavailable
from service.process.lifecycle import Lifecycle

GUARDED = "/v1"
PROBES = frozenset({"/livez", "/healthz", "/readyz", "/metrics"})


class Admission:
    """ASGI middleware that answers 503 while the service drains, and 401 to whoever brings no key.

    Args:
        app: what lies inside.
        lifecycle: says whether the service drains.
        keys: those that open /v1; None: it is open.
    """

    def __init__(self, app: ASGIApp, lifecycle: Lifecycle, keys: Keys | None) -> None:
        self.app = app
        self.lifecycle = lifecycle
        self.keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request in, or not."""
        problem = self._problem(scope) if scope["type"] == "http" else None
        await (problem.response() if problem else self.app)(scope, receive, send)

    def _problem(self, scope: Scope) -> Problem | None:
        path = scope["path"]
        if self.lifecycle.draining and path not in PROBES:
            self.lifecycle.refused()
            rejected("draining")
            return Unavailable("The service is shutting down; try again")
        if self.keys and (path == GUARDED or path.startswith(f"{GUARDED}/")) and not self.keys.admits(Headers(scope=scope)):
            return Unauthorized("Send an API key of this service, as `Authorization: Bearer KEY` or `X-API-Key: KEY`")
        return None

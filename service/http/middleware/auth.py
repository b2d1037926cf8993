"""Rejects every request during shutdown, and requests without a valid API key. Tells the engine who the caller is.

Health checks, metrics, the API's description and the studio need no key: only routes below /v1 and /v2 make or show images.
"""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ganvas import api
from service.engine.callers import CALLER
from service.engine.metrics import rejected
from service.http.api_keys import ApiKeys, key_of
from service.http.callers import Network, caller_of
from service.http.lifecycle import Lifecycle
from service.http.problems import Problem, Unauthorized, Unavailable
from service.http.v2_errors import is_below

GUARDED = ("/v1", api.V2)
PROBES = frozenset({"/livez", "/healthz", "/readyz", "/metrics", api.V2_LIVE, api.V2_READY})


class Authentication:
    """ASGI middleware that responds with 503 during shutdown, and with 401 to a request without a valid key.

    Args:
        app: the next layer.
        lifecycle: says whether the service is shutting down.
        keys: the keys that open /v1; None if /v1 and /v2 are open.
        proxies: the networks of the proxies whose X-Forwarded-For is believed.
    """

    def __init__(self, app: ASGIApp, lifecycle: Lifecycle, keys: ApiKeys | None, proxies: Sequence[Network]) -> None:
        self.app = app
        self.lifecycle = lifecycle
        self.keys = keys
        self.proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or reject it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        problem = self._problem(scope)
        if problem:
            await problem.response()(scope, receive, send)
            return
        key = key_of(Headers(scope=scope)) if self.keys and _is_guarded(scope["path"]) else None
        token = CALLER.set(caller_of(scope, key, self.proxies))
        try:
            await self.app(scope, receive, send)
        finally:
            CALLER.reset(token)

    def _problem(self, scope: Scope) -> Problem | None:
        path = scope["path"]
        if self.lifecycle.draining and path not in PROBES:
            self.lifecycle.rejected()
            rejected("draining")
            return Unavailable("The service is shutting down. Retry.")
        if self.keys and _is_guarded(path) and not self.keys.accept(Headers(scope=scope)):
            return Unauthorized("Send an API key of this service, as `Authorization: Bearer KEY` or `X-API-Key: KEY`.")
        return None


def _is_guarded(path: str) -> bool:
    return path not in PROBES and any(is_below(path, root) for root in GUARDED)

"""The member `error` of error documents below /v2, where clients of the Open Inference Protocol expect it."""

from contextvars import ContextVar
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from ganvas.api import V2

_IS_V2: ContextVar[bool] = ContextVar("is_v2", default=False)
"""Whether the current request is for a route of the protocol."""


class V2Errors:
    """ASGI middleware that notes whether a request is for a path below /v2.

    Args:
        app: the next layer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        token = _IS_V2.set(is_below(scope.get("path", ""), V2))
        try:
            await self.app(scope, receive, send)
        finally:
            _IS_V2.reset(token)


def is_below(path: str, root: str) -> bool:
    """Whether a path is that of a root, or below it."""
    return path == root or path.startswith(f"{root}/")


def with_error(document: dict[str, Any]) -> dict[str, Any]:
    """Add `error` to a problem document if the current request is for a path below /v2."""
    return {**document, "error": document["detail"]} if _IS_V2.get() else document

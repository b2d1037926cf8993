"""JSON as every route and every problem document writes it."""

from typing import Any

from starlette.responses import JSONResponse


class JsonResponse(JSONResponse):
    """Starlette's, with a line end after the document. Otherwise curl leaves a terminal's prompt on the same line."""

    def render(self, content: Any) -> bytes:
        """The body."""
        return super().render(content) + b"\n"

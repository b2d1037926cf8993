"""The errors of the HTTP API as RFC 9457 problem documents, one class for each status.

    Problem
    ├── Malformed        400  the request cannot be read: not JSON, not multipart
    ├── Unauthorized     401  the API key is missing or unknown
    ├── NotFound         404  no such route, model or style; `detail` lists the known ones
    ├── NotAllowed       405  the route exists, the method does not
    ├── TooLarge         413  too many bytes or pixels, or images that need too much memory
    ├── Unsupported      415  unsupported content type or image format
    ├── Invalid          422  a field holds a value that is not allowed: `errors` says which and why
    ├── QueueFull        429  too much work or memory is in use; retry after Retry-After seconds
    ├── Internal         500  a failure of the service; the log has the traceback, the response does not
    ├── Unavailable      503  no model is served, or the service is shutting down
    └── TimedOut         504  the request took longer than GANVAS_TIMEOUT_S

Below /v2, the document also has `error`, the detail, which clients of the Open Inference Protocol read.

A problem may be raised anywhere below an endpoint. Its response is `application/problem+json` with `type`, `title`, `status`,
`detail` and the request's id, which is also in the log. It is a Starlette HTTPException, so every Starlette application
responds with its status.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, cast

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ganvas import api
from service.engine.errors import (
    ClosedError,
    ImageTooLargeError,
    InvalidValueError,
    NoModelError,
    NotFoundError,
    OtherKindError,
    QueueFullError,
    RequestError,
    RequestTooLargeError,
    UnreadableImageError,
)
from service.http.json_response import JsonResponse
from service.http.request_ids import REQUEST_ID
from service.http.v2_errors import with_error

MEDIA_TYPE = "application/problem+json"
FIELDS_SHOWN = 10  # a body with a million wrong numbers gets a short response
FAILED = "The service failed. Its log says why."
ROUTES = {"generator": (api.SAMPLE, api.INTERPOLATE), "stylizer": (api.STYLIZE,)}
"""The routes of each kind of model."""


class Problem(HTTPException):
    """An error response; `detail` says what went wrong, what is allowed and what to do."""

    status: ClassVar[int]
    title: ClassVar[str]

    def __init__(self, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(self.status, detail, dict(headers or {}))

    def document(self) -> dict[str, Any]:
        """Return the problem document of RFC 9457."""
        slug = self.title.lower().replace(" ", "-")
        document = {"type": f"urn:ganvas:{slug}", "title": self.title, "status": self.status, "detail": self.detail}
        return with_error({**document, "request_id": REQUEST_ID.get()})

    def response(self) -> Response:
        """Return the problem as a response."""
        return JsonResponse(self.document(), self.status, self.headers, media_type=MEDIA_TYPE)


class Malformed(Problem):
    """The request cannot be read."""

    status, title = 400, "Malformed request"


class Unauthorized(Problem):
    """The API key is missing or unknown."""

    status, title = 401, "Unauthorized"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, {"WWW-Authenticate": "Bearer"})


class NotFound(Problem):
    """No such route, model or style."""

    status, title = 404, "Not found"


class NotAllowed(Problem):
    """The route does not support this method."""

    status, title = 405, "Method not allowed"


class TooLarge(Problem):
    """The body or an image is larger than the limit, or the images of the request need too much memory."""

    status, title = 413, "Too large"


class Unsupported(Problem):
    """The content type or the image format is not supported."""

    status, title = 415, "Unsupported media type"


class Invalid(Problem):
    """A field's value is not allowed.

    `errors` has one object for each wrong field: its name as in the request (`latents[0][3]`), and `detail`.
    """

    status, title = 422, "Invalid request"

    def __init__(self, errors: Iterable[tuple[str, str]]) -> None:
        listed = list(errors)
        self.errors = [{"field": field, "detail": detail} for field, detail in listed[:FIELDS_SHOWN]]
        more = f"; and {len(listed) - FIELDS_SHOWN} more" if len(listed) > FIELDS_SHOWN else ""
        super().__init__("; ".join(f"{e['field']}: {e['detail']}" for e in self.errors) + more)

    def document(self) -> dict[str, Any]:
        """Return the problem document of RFC 9457, with `errors`."""
        return {**super().document(), "errors": self.errors}


class QueueFull(Problem):
    """Too much work waits already, in all or of this caller, or requests in flight fill the memory."""

    status, title = 429, "Queue full"

    def __init__(self, detail: str, retry_after_s: int = 1) -> None:
        super().__init__(detail, {"Retry-After": str(retry_after_s)})


class Internal(Problem):
    """The service failed. The log says why, the response does not."""

    status, title = 500, "Internal error"


class Unavailable(Problem):
    """The service cannot serve this request now."""

    status, title = 503, "Unavailable"

    def __init__(self, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail, {"Retry-After": "1", **(headers or {})})


class TimedOut(Problem):
    """The request took too long."""

    status, title = 504, "Timed out"


BY_STATUS: dict[int, type[Problem]] = {
    c.status: c for c in (Malformed, NotFound, NotAllowed, TooLarge, Unsupported, Internal, Unavailable, TimedOut)
}
"""Problems that need only a detail."""


def problem_of(error: Problem | RequestError) -> Problem:
    """Map an error of the engine to its problem; a problem is returned unchanged."""
    match error:
        case Problem():
            return error
        case InvalidValueError():
            return Invalid([(error.field, error.detail)])
        case QueueFullError():
            return QueueFull(str(error), error.retry_after_s)
        case OtherKindError():
            return NotFound(f"{error} For a {error.kind}, use {' or '.join(ROUTES[error.kind])}.")
        case NotFoundError():
            return NotFound(str(error))
        case ImageTooLargeError() | RequestTooLargeError():
            return TooLarge(str(error))
        case UnreadableImageError():
            return Unsupported(str(error))
        case NoModelError() | ClosedError():
            return Unavailable(str(error))
        case _:
            raise NotImplementedError(f"{type(error).__name__} has no problem document") from error


async def problem_response(_: Request, error: Exception) -> Response:
    """Starlette's exception handler for `Problem` and `RequestError`."""
    return problem_of(cast("Problem | RequestError", error)).response()

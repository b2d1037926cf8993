"""Everything that can go wrong with a request, as RFC 9457 problem documents: one class a status.

    Problem
    ├── Malformed        400  the request cannot be read: not JSON, not multipart
    ├── Unauthorized     401  no API key, or one that is not known
    ├── NotFound         404  no such route, model or style; it lists the known ones
    ├── NotAllowed       405  the route exists, the method does not
    ├── TooLarge         413  body or pixels over the limit
    ├── Unsupported      415  a content type or a picture format that is not read here
    ├── Invalid          422  a field with a value that is not allowed: `errors` says which and why
    ├── QueueFull        429  more than can be done or held: come back after Retry-After seconds
    ├── HeadTooLarge     431  the request's headers are over the limit
    ├── Internal         500  our fault; the log has the traceback, the caller does not
    ├── Unavailable      503  no model, or shutting down
    └── TimedOut         504  not done within GANVAS_TIMEOUT_S

A problem is raised anywhere below an endpoint and leaves as `application/problem+json` with `type`, `title`, `status`,
`detail` and the request's id, by which the log names it. It is a Starlette HTTPException, so every Starlette application
answers it with its own status.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, cast

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from service.engine.errors import (
    ClosedError,
    ImageTooLargeError,
    InvalidValueError,
    NoModelError,
    NotFoundError,
    QueueFullError,
    RequestError,
    UnreadableImageError,
)
from service.http.request_ids import REQUEST_ID

MEDIA_TYPE = "application/problem+json"
FIELDS_SHOWN = 10  # of a body with a million wrong numbers, the first few say enough


class Problem(HTTPException):
    """A request that gets an error for an answer; `detail` says what was wrong, what is allowed and what to do."""

    status: ClassVar[int]
    title: ClassVar[str]

    def __init__(self, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(self.status, detail, dict(headers or {}))

    def document(self) -> dict[str, Any]:
        """The problem as RFC 9457 has it."""
        slug = self.title.lower().replace(" ", "-")
        document = {"type": f"urn:ganvas:{slug}", "title": self.title, "status": self.status, "detail": self.detail}
        return {**document, "request_id": REQUEST_ID.get()}

    def response(self) -> Response:
        """The problem as an HTTP answer."""
        return JSONResponse(self.document(), self.status, self.headers, media_type=MEDIA_TYPE)


class Malformed(Problem):
    """The request cannot be read."""

    status, title = 400, "Malformed request"


class Unauthorized(Problem):
    """No API key, or one that is not known."""

    status, title = 401, "Unauthorized"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, {"WWW-Authenticate": "Bearer"})


class NotFound(Problem):
    """No such route, model or style."""

    status, title = 404, "Not found"


class NotAllowed(Problem):
    """The route does not know this method."""

    status, title = 405, "Method not allowed"


class TooLarge(Problem):
    """The body or a picture is over the limit."""

    status, title = 413, "Too large"


class Unsupported(Problem):
    """A content type or a picture format that is not read here."""

    status, title = 415, "Unsupported media type"


class Invalid(Problem):
    """A field's value is not allowed.

    `errors` holds one object per wrong field: `field`, written as in the request (`latents[0][3]`), and `detail`.
    """

    status, title = 422, "Invalid request"

    def __init__(self, errors: Iterable[tuple[str, str]]) -> None:
        listed = list(errors)
        self.errors = [{"field": field, "detail": detail} for field, detail in listed[:FIELDS_SHOWN]]
        more = f"; and {len(listed) - FIELDS_SHOWN} more" if len(listed) > FIELDS_SHOWN else ""
        super().__init__("; ".join(f"{e['field']}: {e['detail']}" for e in self.errors) + more)

    def document(self) -> dict[str, Any]:
        """The problem as RFC 9457 has it, with `errors`."""
        return {**super().document(), "errors": self.errors}


class QueueFull(Problem):
    """There is as much waiting, or in hand, as there may be."""

    status, title = 429, "Queue full"

    def __init__(self, detail: str, retry_after_s: int = 1) -> None:
        super().__init__(detail, {"Retry-After": str(retry_after_s)})


class HeadTooLarge(Problem):
    """The request's headers are over the limit."""

    status, title = 431, "Head too large"


class Internal(Problem):
    """Our fault. What happened is in the log, not in the answer."""

    status, title = 500, "Internal error"


class Unavailable(Problem):
    """Nothing can be served now."""

    status, title = 503, "Unavailable"

    def __init__(self, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail, {"Retry-After": "1", **(headers or {})})


class TimedOut(Problem):
    """Not done in time."""

    status, title = 504, "Timed out"


BY_STATUS: dict[int, type[Problem]] = {
    c.status: c for c in (Malformed, NotFound, NotAllowed, TooLarge, Unsupported, Internal, Unavailable, TimedOut)
}
"""The problems that a bare status is enough for; the rest need their own arguments."""


def problem_of(error: Problem | RequestError) -> Problem:
    """Map an error of the engine to its problem; a problem is returned unchanged."""
    match error:
        case Problem():
            return error
        case InvalidValueError():
            return Invalid([(error.field, error.detail)])
        case QueueFullError():
            return QueueFull(str(error), error.retry_after_s)
        case NotFoundError():
            return NotFound(str(error))
        case ImageTooLargeError():
            return TooLarge(str(error))
        case UnreadableImageError():
            return Unsupported(str(error))
        case NoModelError() | ClosedError():
            return Unavailable(str(error))
        case _:
            raise NotImplementedError(f"{type(error).__name__} has no problem document") from error


async def answer_problem(_: Request, error: Exception) -> Response:
    """Starlette's exception handler for `Problem` and `RequestError`."""
    return problem_of(cast("Problem | RequestError", error)).response()

"""What can go wrong between a caller and the service.

    GanvasError                       every error of this package
    ├── NoResponseError                 nobody answered: connection refused or lost, or too slow; retries are used up
    ├── UnexpectedResponseError         somebody answered, but not a Ganvas service of a version that this client knows
    └── ProblemError                  the service's problem document (RFC 9457), or a bare error status
        ├── MalformedError        400  the request cannot be read
        ├── UnauthorizedError     401  no API key, or one that is not known
        ├── NotFoundError         404  no such route, model or style; `detail` lists the known ones
        ├── NotAllowedError       405  the route exists, the method does not
        ├── TooLargeError         413  body or pixels over the limit
        ├── UnsupportedError      415  not a picture that the service reads
        ├── InvalidError          422  a field's value is not allowed: `errors` says which and why
        ├── QueueFullError        429  come back after `retry_after` seconds; retries are used up
        ├── HeadTooLargeError     431  the request's headers are over the service's limit
        ├── InternalError         500  the service failed; its log says why, look there for `request_id`
        ├── UnavailableError      503  starting, shutting down, or without a model
        └── TimedOutError         504  not done within the service's own time limit

A file that cannot be read is the usual OSError; an argument that is no picture, TypeError or ValueError.
"""

import http
from dataclasses import dataclass
from typing import ClassVar

import httpx

from ganvas.api import REQUEST_ID_HEADER


class GanvasError(Exception):
    """Every error of this package; its message says what was wrong and, where that is known, what to do.

    Attributes:
        request_id: what to look for in the service's log and a gateway's, if they saw the request; None of what is no request.
    """

    def __init__(self, *args: object, request_id: str | None = None) -> None:
        super().__init__(*args)
        self.request_id = request_id

    @property
    def message(self) -> str:
        """The message, without the request id."""
        return super().__str__()

    def __str__(self) -> str:
        return f"{self.message} [request {self.request_id}]" if self.request_id else self.message


class NoResponseError(GanvasError):
    """Nobody answered: the connection was refused or lost, or it took too long."""


class UnexpectedResponseError(GanvasError):
    """An answer that this client cannot read: another service at this URL, or a newer one than the client."""


@dataclass(frozen=True)
class FieldError:
    """One wrong field of a request: its name as in the API (`latents[0][3]`), and what is allowed."""

    field: str
    detail: str


class ProblemError(GanvasError):
    """The service refused or failed. Errors with a class of their own are raised as that.

    Attributes:
        status: the HTTP status.
        title: the kind of problem, in two words.
        detail: what was wrong, what is allowed, what to do.
        type: the problem's URN, such as `urn:ganvas:not-found`; `about:blank` where the answer named none.
        errors: one a wrong field; empty but for 422.
        retry_after: seconds that the service asks to wait, or None.
        request_id: what to look for in the service's log.
    """

    statuses: ClassVar[tuple[int, ...]] = ()

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        type: str = "about:blank",  # noqa: A002  the field's name in RFC 9457
        errors: tuple[FieldError, ...] = (),
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(status, title, detail, request_id=request_id)
        self.status = status
        self.title = title
        self.detail = detail
        self.type = type
        self.errors = errors
        self.retry_after = retry_after

    @property
    def message(self) -> str:
        """Title, status and detail."""
        return f"{self.title} ({self.status}): {self.detail}"


class MalformedError(ProblemError):
    """The request cannot be read."""

    statuses = (400,)


class UnauthorizedError(ProblemError):
    """The service wants an API key: pass `api_key`, or set GANVAS_API_KEY."""

    statuses = (401, 403)


class NotFoundError(ProblemError):
    """No such route, model or style; the detail lists the known ones."""

    statuses = (404,)


class NotAllowedError(ProblemError):
    """The route does not know this method."""

    statuses = (405,)


class TooLargeError(ProblemError):
    """The body or a picture is over the service's limit."""

    statuses = (413,)


class UnsupportedError(ProblemError):
    """Not a picture of a format that the service reads."""

    statuses = (415,)


class InvalidError(ProblemError):
    """A field's value is not allowed; `errors` holds one entry a wrong field."""

    statuses = (422,)


class QueueFullError(ProblemError):
    """The model has as much waiting for it as it may have."""

    statuses = (429,)


class HeadTooLargeError(ProblemError):
    """The request's headers are over the service's limit."""

    statuses = (431,)


class InternalError(ProblemError):
    """The service failed; its log says why."""

    statuses = (500,)


class UnavailableError(ProblemError):
    """Nothing can be served now: the service starts, shuts down or has no model, or the gateway cannot reach it."""

    statuses = (502, 503)


class TimedOutError(ProblemError):
    """Not done within the service's time limit."""

    statuses = (504,)


BY_STATUS: dict[int, type[ProblemError]] = {status: cls for cls in ProblemError.__subclasses__() for status in cls.statuses}


def problem_of(response: httpx.Response) -> ProblemError:
    """Read an error's answer, body loaded, whoever wrote it: the service, or a gateway before it that knows no problems."""
    status = response.status_code
    document = _document(response)
    title = document.get("title") or _phrase(status)
    errors = document.get("errors")
    listed = errors if isinstance(errors, list) else []
    return BY_STATUS.get(status, ProblemError)(
        status,
        str(title),
        str(document.get("detail") or _plain(response) or title),
        type=str(document.get("type") or "about:blank"),
        errors=tuple(FieldError(str(e.get("field")), str(e.get("detail"))) for e in listed if isinstance(e, dict)),
        retry_after=_seconds(response.headers.get("Retry-After", "")),
        request_id=request_id_of(response),
    )


def request_id_of(response: httpx.Response) -> str | None:
    """The service's name for a request, or the one that it was sent with."""
    named: str | None = response.headers.get(REQUEST_ID_HEADER) or response.request.headers.get(REQUEST_ID_HEADER)
    return named


def _document(response: httpx.Response) -> dict[str, object]:
    if "json" not in response.headers.get("Content-Type", ""):
        return {}
    try:
        document = response.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _plain(response: httpx.Response) -> str:
    """What a gateway said, if it is short and plain text."""
    is_plain = response.headers.get("Content-Type", "").startswith("text/plain")
    return response.text.strip()[:500] if is_plain else ""


def _seconds(retry_after: str) -> float | None:
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() else None

"""What can go wrong between a caller and the service.

    GanvasError                        every error of this package
    ├── ConfigurationError             the URL, the API key, a proxy or a certificate file cannot be used; also a ValueError
    ├── NoResponseError                no response: the connection failed or was lost, or the request timed out
    ├── UnexpectedResponseError        the response is not from a Ganvas service of a version that this client knows
    └── ProblemError                   the service's problem document (RFC 9457), or an error status without one
        ├── MalformedError        400  the request cannot be read
        ├── UnauthorizedError     401  the API key is missing or unknown
        ├── NotFoundError         404  no such route, model or style; `detail` lists the known ones
        ├── NotAllowedError       405  the route does not accept this method
        ├── TooLargeError         413  the body or an image is over the limit
        ├── UnsupportedError      415  the image is not of a format that the service reads
        ├── InvalidError          422  the value of a field is not allowed; `errors` lists each field with the reason
        ├── QueueFullError        429  the queue is full; retry after `retry_after` seconds
        ├── HeadTooLargeError     431  the request's headers are over the limit
        ├── InternalError         500  the service failed; search its log for `request_id`
        ├── UnavailableError      503  the service is starting or shutting down, or has no model
        └── TimedOutError         504  the request exceeded the service's time limit

After a lost connection, 429, 502, 503 or 504, the client raises an error only when its retries are used up. A file that cannot
be read raises OSError, and an argument that is not an image raises TypeError or ValueError.
"""

import http
import json
import re
from dataclasses import dataclass
from typing import ClassVar

import httpx

from ganvas.api import REQUEST_ID_HEADER
from ganvas.text import printable

MAX_TITLE = 100
MAX_DETAIL = 2000
MAX_REQUEST_ID = 128
MAX_FIELD_ERRORS = 100
MAX_RETRY_AFTER_S = 86_400.0
"""What the client keeps of an error. Lengths are in characters."""


class GanvasError(Exception):
    """Base of all errors of this package. The message says what went wrong and, if known, what to do.

    Attributes:
        request_id: identifies the request in the logs of the service and of gateways. None if the error is not about a request.
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


class ConfigurationError(GanvasError, ValueError):
    """The URL, the API key, the timeout, a proxy or a certificate file cannot be used. No request was sent.

    Attributes:
        setting: the argument of the client or the environment variable, such as `url` or `ALL_PROXY`.
        value: its value, without passwords.
        reason: what is wrong, what is allowed, what to do.
    """

    def __init__(self, setting: str, value: str, reason: str) -> None:
        super().__init__(setting, value, reason)
        self.setting = setting
        self.value = value
        self.reason = reason

    @property
    def message(self) -> str:
        """The setting, its value and the reason."""
        return f"{self.setting} is {self.value!r}. {self.reason}"


class NoResponseError(GanvasError):
    """No response: the connection was refused or lost, or the request timed out."""


class UnexpectedResponseError(GanvasError):
    """The client cannot read the response: another service runs at this URL, or the service is newer than the client."""


@dataclass(frozen=True)
class FieldError:
    """One wrong field of a request: its name in the API (`latents[0][3]`), and what is allowed."""

    field: str
    detail: str


class ProblemError(GanvasError):
    """The service rejected the request or failed. A status with its own class is raised as that class.

    Attributes:
        status: the HTTP status.
        title: the kind of problem, in two words.
        detail: what went wrong, what is allowed, what to do.
        type: the problem's URN, such as `urn:ganvas:not-found`; `about:blank` if the response names none.
        errors: one entry per wrong field of a 422; otherwise empty.
        retry_after: seconds that the service asks to wait, or None.
        request_id: identifies the request in the service's log.
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
    """The service requires a valid API key: pass `api_key`, or set GANVAS_API_KEY."""

    statuses = (401, 403)


class NotFoundError(ProblemError):
    """No such route, model or style. The detail lists the known ones."""

    statuses = (404,)


class NotAllowedError(ProblemError):
    """The route does not accept this method."""

    statuses = (405,)


class TooLargeError(ProblemError):
    """The body or an image is over the service's limit."""

    statuses = (413,)


class UnsupportedError(ProblemError):
    """The image is not of a format that the service reads, or is broken."""

    statuses = (415,)


class InvalidError(ProblemError):
    """The value of a field is not allowed. `errors` holds one entry per wrong field."""

    statuses = (422,)


class QueueFullError(ProblemError):
    """The queue of the model is full. Retry after `retry_after` seconds."""

    statuses = (429,)


class HeadTooLargeError(ProblemError):
    """The request's headers are over the service's limit."""

    statuses = (431,)


class InternalError(ProblemError):
    """The service failed. Its log says why."""

    statuses = (500,)


class UnavailableError(ProblemError):
    """The service is starting or shutting down, has no model, or cannot be reached by its gateway."""

    statuses = (502, 503)


class TimedOutError(ProblemError):
    """The request exceeded the service's time limit."""

    statuses = (504,)


BY_STATUS: dict[int, type[ProblemError]] = {status: cls for cls in ProblemError.__subclasses__() for status in cls.statuses}


def problem_of(response: httpx.Response) -> ProblemError:
    """Read an error response, with its body loaded, of the service or of a gateway that sends no problem documents."""
    status = response.status_code
    document = _document(response)
    title = _text(document.get("title"), MAX_TITLE) or _phrase(status)
    errors = document.get("errors")
    listed = errors[:MAX_FIELD_ERRORS] if isinstance(errors, list) else []
    return BY_STATUS.get(status, ProblemError)(
        status,
        title,
        _text(document.get("detail"), MAX_DETAIL) or _plain(response) or title,
        type=_text(document.get("type"), MAX_TITLE) or "about:blank",
        errors=tuple(
            FieldError(_text(e.get("field"), MAX_TITLE), _text(e.get("detail"), MAX_DETAIL))
            for e in listed
            if isinstance(e, dict)
        ),
        retry_after=seconds_of(response.headers.get("Retry-After", "")),
        request_id=request_id_of(response),
    )


def request_id_of(response: httpx.Response) -> str | None:
    """The request id that the service returned, or else the one that was sent."""
    named = response.headers.get(REQUEST_ID_HEADER) or response.request.headers.get(REQUEST_ID_HEADER)
    return printable(named, MAX_REQUEST_ID) if named else None


def seconds_of(retry_after: str) -> float | None:
    """The seconds of a Retry-After, at most a day. None for a date, which gateways rarely send, and for anything else."""
    text = retry_after.strip()
    if not re.fullmatch(r"[0-9]+", text):
        return None
    return float(text) if len(text) < 6 else MAX_RETRY_AFTER_S


def _document(response: httpx.Response) -> dict[str, object]:
    if "json" not in response.headers.get("Content-Type", ""):
        return {}
    try:
        document = json.loads(response.content)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _plain(response: httpx.Response) -> str:
    """A plain-text body, as gateways send it, cut to 500 characters. The charset of the response could name a slow decoder."""
    is_plain = response.headers.get("Content-Type", "").startswith("text/plain")
    return printable(response.content[:2000].decode("utf-8", "replace").strip(), 500) if is_plain else ""


def _text(value: object, limit: int) -> str:
    return printable(value, limit) if isinstance(value, str) else ""

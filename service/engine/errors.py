"""The engine's errors. The engine knows no HTTP; `service.http.problems.problem_of` maps each `RequestError` to a response.

    EngineError
    ├── RequestError             one request cannot be served; the others can
    │   ├── NotFoundError        no such model or style; the message lists the known ones
    │   │   └── OtherKindError   the named model is of another kind
    │   ├── InvalidValueError    a field of the request holds a value that is not allowed
    │   ├── ImageTooLargeError   an uploaded image has too many pixels
    │   ├── UnreadableImageError an upload is not an image of a format that is read, or is broken
    │   ├── RequestTooLargeError the images of a request need more memory than all requests together may take
    │   ├── QueueFullError       too much work waits already; retry after `retry_after_s` seconds
    │   ├── NoModelError         no model of this kind is served
    │   └── ClosedError          the engine is shutting down
    └── LoadError                a model cannot be loaded
        ├── RefusedError         the file cannot be served
        │   └── UnreadableError  the file cannot be read now; it may be readable later
        └── DeviceError          the device does not work on this machine

The message of an error is a sentence for the caller: what went wrong, what is allowed and what to do.
"""


class EngineError(Exception):
    """Base of all errors that the engine raises on purpose."""


class RequestError(EngineError):
    """One request cannot be served; the others can."""


class NotFoundError(RequestError):
    """No such model or style. The message lists the known ones."""


class OtherKindError(NotFoundError):
    """The named model is of another kind than the request needs.

    Attributes:
        kind: of the named model.
    """

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


class InvalidValueError(RequestError):
    """A field of the request holds a value that is not allowed.

    Attributes:
        field: as a request names it.
        detail: what is wrong with its value.
    """

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        self.detail = detail


class ImageTooLargeError(RequestError):
    """An uploaded image has too many pixels. Nothing of it was decoded."""


class UnreadableImageError(RequestError):
    """An upload is not an image of a format that is read, or is broken."""


class RequestTooLargeError(RequestError):
    """The images of a request need more memory than all requests together may take. Nothing was decoded or made."""


class QueueFullError(RequestError):
    """Too much work waits already.

    Attributes:
        retry_after_s: when to try again, in seconds.
    """

    def __init__(self, detail: str, retry_after_s: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class NoModelError(RequestError):
    """No model of this kind is served."""


class ClosedError(RequestError):
    """The engine is shutting down."""


class LoadError(EngineError):
    """A model cannot be loaded."""


class RefusedError(LoadError):
    """The file cannot be served. The message says what is wrong with it."""


class UnreadableError(RefusedError):
    """The file cannot be read now; it may be readable later."""


class DeviceError(LoadError):
    """The device does not work on this machine."""

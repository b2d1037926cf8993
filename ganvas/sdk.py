"""The public names of the SDK. `import ganvas` offers all of them, such as `ganvas.Client`."""

from ganvas.api import AnimationFormat, ImageFormat, SampleFormat
from ganvas.batches.report import BatchReport, Failure
from ganvas.client import AsyncClient, Client
from ganvas.errors import (
    ConfigurationError,
    FieldError,
    GanvasError,
    HeadTooLargeError,
    InternalError,
    InvalidError,
    MalformedError,
    NoResponseError,
    NotAllowedError,
    NotFoundError,
    ProblemError,
    QueueFullError,
    TimedOutError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
    UnexpectedResponseError,
    UnsupportedError,
)
from ganvas.models import Model, Models
from ganvas.results import ImageResult
from ganvas.uploads import ImageSource

__all__ = [
    "AnimationFormat",
    "AsyncClient",
    "BatchReport",
    "Client",
    "ConfigurationError",
    "Failure",
    "FieldError",
    "GanvasError",
    "HeadTooLargeError",
    "ImageFormat",
    "ImageResult",
    "ImageSource",
    "InternalError",
    "InvalidError",
    "MalformedError",
    "Model",
    "Models",
    "NoResponseError",
    "NotAllowedError",
    "NotFoundError",
    "ProblemError",
    "QueueFullError",
    "SampleFormat",
    "TimedOutError",
    "TooLargeError",
    "UnauthorizedError",
    "UnavailableError",
    "UnexpectedResponseError",
    "UnsupportedError",
]

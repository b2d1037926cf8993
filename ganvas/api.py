"""The facts of the HTTP API, each stated once: routes, headers, formats, bounds and defaults.

The service, the client, the command line and the docs read them here. Bounds that an operator may change, such as the
largest n, are in `service.settings`. This module imports nothing but the standard library.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, TypeVar, get_args

N = TypeVar("N", bound=float)
F = TypeVar("F", bound=str)

# Routes.
SAMPLE = "/v1/sample"
INTERPOLATE = "/v1/interpolate"
STYLIZE = "/v1/stylize"
MODELS = "/v1/models"
MODEL = "/v1/models/{name}"
PREVIEW = "/v1/models/{name}/preview.png"

# Routes of the Open Inference Protocol, version 2. Each route of a model also exists below VERSION.
V2 = "/v2"
V2_LIVE = "/v2/health/live"
V2_READY = "/v2/health/ready"
V2_INDEX = "/v2/repository/index"
V2_STATISTICS = "/v2/models/stats"
V2_MODEL = "/v2/models/{name}"
V2_VERSION = "/v2/models/{name}/versions/{version}"

# Headers of a response, beside HTTP's own.
REQUEST_ID_HEADER = "X-Request-ID"  # of a request as well
MODEL_HEADER = "Ganvas-Model"  # NAME@VERSION
SEED_HEADER = "Ganvas-Seed"
SEEDS_HEADER = "Ganvas-Seeds"
JSON_LENGTH_HEADER = "Inference-Header-Content-Length"  # of a request as well: bytes of JSON before the tensors

# Formats that are written. To add one, add it to a Literal and to FILE_TYPES; an image format has Pillow's name in lower case
# and also needs its options in `service.engine.codecs`.
ImageFormat = Literal["png", "jpeg", "webp"]
SampleFormat = Literal[ImageFormat, "zip", "npy"]
AnimationFormat = Literal["webp", "gif", "zip", "npy"]

IMAGE_FORMATS: tuple[ImageFormat, ...] = get_args(ImageFormat)
SAMPLE_FORMATS: tuple[SampleFormat, ...] = get_args(SampleFormat)
ANIMATION_FORMATS: tuple[AnimationFormat, ...] = get_args(AnimationFormat)

# Image formats that are read, with Pillow's names in lower case, and in words. Their decoders see files of callers.
UPLOAD_FORMATS = ("jpeg", "png", "webp")
UPLOAD_FORMATS_TEXT = "JPEG, PNG or WebP"

DEFAULT_SAMPLE_FORMAT: SampleFormat = "png"
DEFAULT_ANIMATION_FORMAT: AnimationFormat = "webp"
DEFAULT_STYLIZE_FORMAT: ImageFormat = "jpeg"


class FileType(NamedTuple):
    """How a format is named in HTTP and in file names; the first suffix is the one that is written."""

    media_type: str
    suffixes: tuple[str, ...]

    @property
    def suffix(self) -> str:
        """The suffix that is written, with its dot."""
        return self.suffixes[0]


FILE_TYPES: dict[str, FileType] = {
    "png": FileType("image/png", (".png",)),
    "jpeg": FileType("image/jpeg", (".jpg", ".jpeg", ".jpe", ".jfif")),
    "webp": FileType("image/webp", (".webp",)),
    "gif": FileType("image/gif", (".gif",)),
    "zip": FileType("application/zip", (".zip",)),
    "npy": FileType("application/x-npy", (".npy",)),
}

UPLOAD_SUFFIXES = tuple(suffix for image_format in UPLOAD_FORMATS for suffix in FILE_TYPES[image_format].suffixes)
"""Suffixes of the image files that are read."""


def formats_by_suffix(formats: Iterable[F]) -> dict[str, F]:
    """Map each suffix of a file, with its dot, to its format."""
    return {suffix: name for name in formats for suffix in FILE_TYPES[name].suffixes}


@dataclass(frozen=True)
class Bounds(Generic[N]):
    """The smallest and the largest value of a field, both allowed, and the default. As text: `0 to 1`."""

    minimum: N
    maximum: N
    default: N

    def __str__(self) -> str:
        return f"{self.minimum} to {self.maximum}"


# Bounds on the structure of an uploaded image, far above what cameras and programs write. docs/api.md states them.
MAX_SCANS = 100  # of a JPEG; each is a pass over all pixels, and progressive files have about ten
MAX_SCANS_OF_LARGE = 25  # of a JPEG of 50 million pixels or more; between 12.5 and 50, scans times pixels are bounded
MAX_SEGMENTS = 4_096  # of a JPEG; even large profiles and XMP have at most 255 each
MAX_CHUNKS = 65_536  # of a PNG or a WebP; usual programs split the pixels of a PNG into chunks of 8 KiB or more
MAX_UPLOAD_SIDE = 65_535  # pixels, as in a JPEG; each row costs time and memory, so 1 x 49,000,000 pixels take half a minute

# Bounds of the fields.
TRUNCATION = Bounds[float](0, 1, default=1)
STRENGTH = Bounds[float](0, 1, default=1)
KEEP_COLOR = Bounds[float](0, 1, default=0)
BRUSH = Bounds[float](0.5, 2, default=1)  # size of the strokes, as a factor
KEYS = Bounds[int](2, 8, default=2)  # images that an interpolation passes through
STEPS = Bounds[int](2, 120, default=24)  # frames from one key to the next
FPS = Bounds[float](1, 60, default=24)
DEFAULT_N = 1
SEED_LIMIT = 2**32  # seeds are 0 to SEED_LIMIT - 1, what `numpy.random.RandomState` takes
MAX_LATENT = 1000  # a latent is -MAX_LATENT to MAX_LATENT
MIN_SIDE = 16  # pixels; the smallest max_side
MAX_MODEL_NAME = 64  # characters
MAX_STYLE = 4096  # characters of a style or a blend
MAX_CLASS = 64  # characters of the name of a class

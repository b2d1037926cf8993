"""The core of both clients: the request of each method, and how its response is read. Nothing here sends a request.

    call = sample(n=4, seed=7)        # the method, the path, the body
    call.read(response)               # an ImageResult

`Client` and `AsyncClient` take their methods from here, signatures and docstrings included.
"""

import json
import urllib.parse
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Generic, Protocol, TypeVar

import httpx

from ganvas import api
from ganvas.api import AnimationFormat, ImageFormat, SampleFormat
from ganvas.errors import problem_of
from ganvas.limits import JSON_BYTES, Limit, images_limit, stylized_limit
from ganvas.models import Model, Models, model_of, models_of
from ganvas.responses import images_in, parsed, unexpected
from ganvas.results import ImageResult
from ganvas.text import class_stem, file_stem, printable
from ganvas.uploads import ImageSource, upload_of

T = TypeVar("T")


class Listable(Protocol):
    """Arrays of numpy and of other libraries."""

    def tolist(self) -> Any:
        """Return the numbers as lists of lists."""


Latents = Sequence[Sequence[float]] | Listable


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, how its response is read, and `max_bytes`, the limit of the response."""

    method: str
    path: str
    reads: Callable[[httpx.Response], T]
    content: bytes = b""
    content_type: str = ""
    max_bytes: int = JSON_BYTES

    def read(self, response: httpx.Response) -> T:
        """Read a response.

        Raises:
            ProblemError: the response is an error.
            UnexpectedResponseError: the response is not from a Ganvas service.
        """
        if response.status_code >= 400:
            raise problem_of(response)
        if response.status_code != 200:
            target = response.headers.get("Location")
            redirect = f" and redirects to {printable(target, 200)}, which the client does not follow" if target else ""
            raise unexpected(response, f"responded with status {response.status_code}{redirect}")
        return self.reads(response)


def models() -> Call[Models]:
    """List the served models and, in `refused`, the files that the service refuses to serve.

    The cards come without the thumbnails and vectors of styles; `model(name)` includes them. A model whose card this client
    cannot read is in `unreadable`.
    """
    return Call("GET", api.MODELS, lambda response: parsed(models_of, response))


def model(name: str) -> Call[Model]:
    """Get one model's card and version.

    Raises:
        NotFoundError: no model has this name; the detail lists the known ones.
    """
    path = api.MODEL.format(name=urllib.parse.quote(name, safe="", errors="replace"))
    return Call("GET", path, lambda response: parsed(model_of, response))


def sample(
    n: int | None = None,
    *,
    model: str | None = None,
    seed: int | None = None,
    seeds: Sequence[int] | None = None,
    latents: Latents | None = None,
    class_: str | Sequence[str] | None = None,
    truncation: float = api.TRUNCATION.default,
    format: SampleFormat = "npy",
) -> Call[ImageResult]:
    """Make images from one seed, from one seed per image, or from latents.

    Args:
        n: number of images, 1 by default. With `seeds`, `latents` or a list of classes, there is one image for each.
        model: a generator. Needed if several are served, unless only one has the class.
        seed: 0 to 2**32 - 1, random by default; `result.seed` returns it. The same seed gives the same images, and a larger n
            adds images to them.
        seeds: instead of `seed`, one seed per image. Each image is the first image of its seed.
        latents: instead of seeds, numbers [n, latent_size].
        class_: one of the card's `classes` for all images, or a list with one for each image. By default, the latents choose.
            A seed and a class give one image; the class changes nothing if the seed gives an image of it anyway.
        truncation: 0 to 1, 1 by default. Below 1, images are more typical and less varied.
        format: `npy` and `zip` hold every image without loss. `png`, `jpeg` and `webp` hold one image, or a contact sheet.

    Returns:
        n images of the card's height, width and channels, or one contact sheet. JPEG shows transparency on white.

    Raises:
        NotFoundError: there is no such generator.
        InvalidError: a value is out of bounds, or the generator does not have the class; the detail lists the known ones.
    """
    return _post_json(
        api.SAMPLE,
        images_limit(_count(seeds, latents, class_) or n),
        (),
        class_,
        n=n,
        model=model,
        seed=seed,
        seeds=_integers(seeds),
        latents=_rows(latents),
        truncation=truncation,
        format=format,
    )


def interpolate(
    seeds: Sequence[int] | None = None,
    *,
    model: str | None = None,
    latents: Latents | None = None,
    class_: str | Sequence[str] | None = None,
    steps: int = api.STEPS.default,
    truncation: float = api.TRUNCATION.default,
    loop: bool = True,
    fps: float = api.FPS.default,
    format: AnimationFormat = api.DEFAULT_ANIMATION_FORMAT,
) -> Call[ImageResult]:
    """Make a walk from image to image through the latents between them.

    Args:
        seeds: 2 to 8 keys of the walk: the first image of each seed. Two random seeds by default; `result.seeds` returns them.
        model: as for `sample`.
        latents: instead of seeds, numbers [2 to 8, latent_size].
        class_: one of the card's `classes` for every frame, or a list with one for each key. From a key of one class to a key
            of another, the first half of the frames is of the first class and the second half of the second.
        steps: frames from one key to the next, 2 to 120.
        truncation: as for `sample`.
        loop: whether the walk returns to the first key.
        fps: frames per second of an animation, 1 to 60.
        format: `webp` and `gif` are animations. `zip` and `npy` hold every frame without loss.

    Returns:
        The frames: k * steps for k keys in a loop, otherwise (k - 1) * steps + 1. Frame i * steps is key i. An animation may
        join equal frames into one that is shown for longer.

    Raises:
        NotFoundError: there is no such generator.
        InvalidError: a value is out of bounds, or the generator does not have the class; the detail lists the known ones.
    """
    keys = _count(seeds, latents, class_) or api.KEYS.default
    return _post_json(
        api.INTERPOLATE,
        images_limit(keys * steps if isinstance(steps, int) else None),
        ("walk",),
        class_,
        model=model,
        seeds=_integers(seeds),
        latents=_rows(latents),
        steps=steps,
        truncation=truncation,
        loop=loop,
        fps=fps,
        format=format,
    )


def stylize(
    image: ImageSource,
    *,
    style: str | None = None,
    model: str | None = None,
    strength: float = api.STRENGTH.default,
    keep_color: float = api.KEEP_COLOR.default,
    brush: float = api.BRUSH.default,
    max_side: int | None = None,
    format: ImageFormat = api.DEFAULT_STYLIZE_FORMAT,
) -> Call[ImageResult]:
    """Stylize an image in one style, or in a blend of several.

    Args:
        image: a path, the bytes of a JPEG, PNG or WebP file, an open file, a PIL image, or uint8 [h, w] or [h, w, 1, 3 or 4].
        style: a name, or a blend such as `starry-night:0.7,great-wave:0.3`. Needed if the model has several styles.
        model: a stylizer. Needed if several are served, unless only one has the style.
        strength: 0 to 1. 0 returns the image unchanged, 1 applies the style fully.
        keep_color: 0 to 1. 0 takes the colours of the style, 1 keeps those of the image.
        brush: 0.5 to 2, the size of the strokes. 1 is as trained, 2 is twice as large.
        max_side: a larger image is shrunk until its longer side has this length in pixels. The service sets the default.
        format: of the result.

    Returns:
        One image, RGB.

    Raises:
        OSError: the path of the image cannot be read.
        TypeError, ValueError: the image has a type or shape that is not accepted.
        NotFoundError: there is no such stylizer or style; the detail lists the known ones.
        UnsupportedError: the image is not of a format that the service reads, or is broken.
        TooLargeError: the image has too many bytes or pixels.
        InvalidError: a value is out of bounds.
    """
    fields = {"strength": strength, "keep_color": keep_color, "brush": brush, "max_side": max_side, "format": format}
    data = {name: _utf8(str(value)) for name, value in {"model": model, "style": style, **fields}.items() if value is not None}
    upload = upload_of(image)
    name = PurePath(upload.name).stem  # not `upload` in `read`: the call would hold the file twice, once in its form
    limit = stylized_limit(max_side)
    # The form is built as one body: httpx would send each field and each boundary separately.
    form = httpx.Request("POST", "http://form", data=data, files=[("image", upload)])

    def read(response: httpx.Response) -> ImageResult:
        return images_in(response, format, limit, lambda model, seeds: file_stem(name, model))

    return Call("POST", api.STYLIZE, read, form.read(), form.headers["Content-Type"], limit.bytes)


def ready() -> Call[None]:
    """Check whether the service is ready.

    Raises:
        UnavailableError: the service is starting or shutting down, or has no model.
    """
    return Call("GET", "readyz", lambda response: None)


def _post_json(
    path: str,
    limit: Limit,
    seedless: tuple[str, ...],
    class_: str | Sequence[str] | None,
    *,
    format: str,
    **fields: object,
) -> Call[ImageResult]:
    chosen = class_ if class_ is None or isinstance(class_, str) else [str(name) for name in class_]
    body = {name: value for name, value in {**fields, "class": chosen, "format": format}.items() if value is not None}
    of_class = chosen if isinstance(chosen, str) else None

    def read(response: httpx.Response) -> ImageResult:
        def stem(model: str, seeds: tuple[int, ...]) -> str:
            return file_stem(class_stem(model, of_class), *map(str, seeds or seedless))

        return images_in(response, format, limit, stem)

    return Call("POST", path, read, json.dumps(body).encode(), "application/json", limit.bytes)


def _utf8(text: str) -> str:
    """Replace what UTF-8 cannot encode: on Linux, an argument may contain any bytes."""
    return text.encode("utf-8", "replace").decode()


def _count(*lists: object) -> int | None:
    """The length of the first that is a list or an array; None if none is. A name of a class is for any number of images."""
    return next((len(given) for given in lists if isinstance(given, Sized) and not isinstance(given, str)), None)


def _integers(seeds: Sequence[int] | None) -> list[int] | None:
    return None if seeds is None else [int(seed) for seed in seeds]


def _rows(latents: Latents | None) -> list[list[float]] | None:
    if latents is None:
        return None
    rows = latents if isinstance(latents, Sequence) else latents.tolist()
    return [[float(number) for number in row] for row in rows]

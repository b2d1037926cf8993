"""The one core of both clients: what each method asks, and how its answer is read. Nothing here sends anything.

    call = sample(n=4, seed=7)        # the method, the path, the body
    call.read(response)               # an ImageResult

`Client` and `AsyncClient` take their methods from here, signatures and docstrings included.
"""

import json
import re
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from ganvas import api
from ganvas.api import AnimationFormat, ImageFormat, SampleFormat
from ganvas.errors import UnexpectedResponseError, problem_of, request_id_of
from ganvas.models import Listing, Model, Models
from ganvas.results import ImageResult
from ganvas.uploads import ImageSource, upload_of

T = TypeVar("T")

SUFFIX_OF = {file_type.media_type: file_type.suffix for file_type in api.FILE_TYPES.values()}


class Listable(Protocol):
    """What arrays have, numpy's and others'."""

    def tolist(self) -> Any:
        """The numbers as lists of lists."""


Latents = Sequence[Sequence[float]] | Listable


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, and how the body of its answer is read."""

    method: str
    path: str
    reads: Callable[[httpx.Response], T]
    content: bytes = b""
    content_type: str = ""

    def read(self, response: httpx.Response) -> T:
        """Read an answer.

        Raises:
            ProblemError: the answer is an error.
            UnexpectedResponseError: it is no answer of a Ganvas service.
        """
        if response.status_code >= 400:
            raise problem_of(response)
        if response.status_code != 200:
            raise UnexpectedResponseError(
                f"{response.request.url} answered {response.status_code}; is it the URL of a Ganvas service?",
                request_id=request_id_of(response),
            )
        return self.reads(response)


def models() -> Call[Models]:
    """List the served models and, in `refused`, the files that the service would not serve.

    Thumbnails are left out of the cards; `model(name)` has them.
    """
    return Call("GET", api.MODELS, _read_models)


def model(name: str) -> Call[Model]:
    """Get one model's card and version.

    Raises:
        NotFoundError: there is none of this name; the detail lists the known ones.
    """
    return Call("GET", api.MODEL.format(name=urllib.parse.quote(name, safe="")), lambda response: _parsed(_MODEL, response))


def sample(
    n: int | None = None,
    *,
    model: str | None = None,
    seed: int | None = None,
    seeds: Sequence[int] | None = None,
    latents: Latents | None = None,
    truncation: float = api.TRUNCATION.default,
    format: SampleFormat = "npy",
) -> Call[ImageResult]:
    """Make pictures from a seed, from a seed for each, or from latents of your own.

    Args:
        n: how many, 1 where it is left out; with seeds or latents, one each.
        model: a generator; may be left out where only one is served.
        seed: 0 to 2**32 - 1. The same seed gives the same pictures, and the first ones are the same for any n. Random where
            it is left out; the answer's `seed` says which.
        seeds: in place of a seed, one for each picture, which is the one that its seed makes alone.
        latents: in place of seeds, [n, latent_size] numbers.
        truncation: 0 to 1, what latents are multiplied by: below 1, less varied and more typical pictures.
        format: `npy` and `zip` carry each picture, without loss; `png`, `jpeg` and `webp` one, or a contact sheet of several.

    Returns:
        n pictures of the card's height, width and channels; or one contact sheet.

    Raises:
        NotFoundError: no such generator.
        InvalidError: a value out of its bounds.
    """
    return _post_json(
        api.SAMPLE,
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
    steps: int = api.STEPS.default,
    truncation: float = api.TRUNCATION.default,
    loop: bool = True,
    fps: float = api.FPS.default,
    format: AnimationFormat = api.DEFAULT_ANIMATION_FORMAT,
) -> Call[ImageResult]:
    """Walk from picture to picture through the latents between them.

    Args:
        seeds: 2 to 8 keys, the first picture of each seed. Two random ones where neither seeds nor latents are given; the
            answer's `seeds` says which.
        model: a generator; may be left out where only one is served.
        latents: in place of seeds, [2 to 8, latent_size] numbers.
        steps: frames from one key to the next, 2 to 120.
        truncation: 0 to 1, what latents are multiplied by.
        loop: whether it goes back to the first key.
        fps: frames a second of an animation, 1 to 60.
        format: `webp` and `gif` are animations; `zip` and `npy` carry each frame, without loss.

    Returns:
        The frames: k * steps of k keys in a loop, else (k - 1) * steps + 1. Frame i * steps is key i. An animation may hold
        fewer, for longer, where they are the same.

    Raises:
        NotFoundError: no such generator.
        InvalidError: a value out of its bounds.
    """
    return _post_json(
        api.INTERPOLATE,
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
    max_side: int | None = None,
    format: ImageFormat = api.DEFAULT_STYLIZE_FORMAT,
) -> Call[ImageResult]:
    """Paint a picture in a style, or in a blend of several.

    Args:
        image: a path, the bytes of a JPEG, PNG or WebP file, an open file, a PIL image, or uint8 [h, w] or [h, w, 1, 3 or 4].
        style: a name, or a blend such as `starry-night:0.7,great-wave:0.3`; may be left out where the model has only one.
        model: a stylizer; may be left out where only one is served.
        strength: 0, the picture as it is, to 1, the whole style.
        keep_color: 0, the style's colours, to 1, the picture's own.
        max_side: a picture whose longer side is larger, in pixels, is shrunk to it; the service's default where left out.
        format: of the answer.

    Returns:
        One picture, RGB.

    Raises:
        OSError: the image's path cannot be read.
        TypeError, ValueError: the image is none that is allowed.
        NotFoundError: no such stylizer or style; the detail lists the known ones.
        UnsupportedError: the image is no picture that the service reads.
        TooLargeError: it has too many bytes or pixels.
        InvalidError: a value out of its bounds.
    """
    fields = {"model": model, "style": style, "strength": strength, "keep_color": keep_color, "max_side": max_side}
    data = {name: str(value) for name, value in {**fields, "format": format}.items() if value is not None}
    # Written at once: httpx would send each field and each boundary by itself.
    form = httpx.Request("POST", "http://form", data=data, files=[("image", upload_of(image))])
    return Call("POST", api.STYLIZE, _read_images, form.read(), form.headers["Content-Type"])


def ready() -> Call[None]:
    """Ask whether the service can be used now.

    Raises:
        UnavailableError: it starts, shuts down, or has no model.
    """
    return Call("GET", "readyz", lambda response: None)


def _post_json(path: str, **fields: object) -> Call[ImageResult]:
    body = {name: value for name, value in fields.items() if value is not None}
    return Call("POST", path, _read_images, json.dumps(body).encode(), "application/json")


def _integers(seeds: Sequence[int] | None) -> list[int] | None:
    return None if seeds is None else [int(seed) for seed in seeds]


def _rows(latents: Latents | None) -> list[list[float]] | None:
    if latents is None:
        return None
    rows = latents if isinstance(latents, Sequence) else latents.tolist()
    return [[float(number) for number in row] for row in rows]


_LISTING = TypeAdapter(Listing)
_MODEL = TypeAdapter(Model)


def _read_models(response: httpx.Response) -> Models:
    listing = _parsed(_LISTING, response)
    return Models(listing.models, listing.refused)


def _parsed(adapter: TypeAdapter[T], response: httpx.Response) -> T:
    try:
        return adapter.validate_json(response.content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the answer"
        raise UnexpectedResponseError(
            f"{response.request.url} did not answer as a Ganvas service that this client knows ({place}: {first['msg']}); "
            "check the URL, or install a newer client",
            request_id=request_id_of(response),
        ) from None


def _read_images(response: httpx.Response) -> ImageResult:
    media_type = response.headers.get("Content-Type", "").partition(";")[0]
    name, _, version = response.headers.get(api.MODEL_HEADER, "").partition("@")
    if media_type not in SUFFIX_OF or not name:
        raise UnexpectedResponseError(
            f"{response.request.url} answered {media_type or 'something'}, not pictures; is it the URL of a Ganvas service?",
            request_id=request_id_of(response),
        )
    seeds = response.headers.get(api.SEEDS_HEADER) or response.headers.get(api.SEED_HEADER) or ""
    filename = re.search(r'filename="([^"/\\]+)"', response.headers.get("Content-Disposition", ""))
    return ImageResult(
        response.content,
        media_type,
        name,
        version,
        tuple(int(seed) for seed in seeds.split(",") if seed.strip().isdecimal()),
        filename[1] if filename else name + SUFFIX_OF[media_type],
        request_id_of(response),
    )

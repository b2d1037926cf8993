"""The bodies of the POST routes: fields, bounds, defaults and descriptions."""

from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import Field, FiniteFloat, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic_core import core_schema

from ganvas import api
from ganvas.api import AnimationFormat, Bounds, ImageFormat, SampleFormat
from ganvas.interpolation import frame_count
from service.engine.handlers.generator import Generator
from service.engine.models import models
from service.http.parsing import JSON_BYTES, FormBody, JsonBody, Upload
from service.settings import settings

ModelName = Annotated[str, Field(max_length=api.MAX_MODEL_NAME)]
Latent = Annotated[float, Field(ge=-api.MAX_LATENT, le=api.MAX_LATENT, allow_inf_nan=False)]
Row = Annotated[list[Latent], Field(fail_fast=True)]  # reports only the first of a million wrong numbers
Seed = Annotated[int, Field(ge=0, lt=api.SEED_LIMIT)]


@dataclass(frozen=True)
class _Names:
    """Validates `class`: one name, or a list of `least` to `most` names. A union's own errors would name its members."""

    least: int
    most: int

    def check(self, value: object) -> str | list[str]:
        if isinstance(value, str):
            return value
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise ValueError('Must be a name in quotes, such as "7", or a list of names')
        if not self.least <= len(value) <= self.most:
            raise ValueError(f"A list must have {self.least} to {self.most} names, not {len(value)}")
        return value

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        name = {"type": "string", "maxLength": api.MAX_CLASS}
        return {"anyOf": [name, {"type": "array", "items": name, "minItems": self.least, "maxItems": self.most}]}


_SAMPLES = Field(min_length=1, max_length=settings().max_n, fail_fast=True)
_KEYS = Field(min_length=api.KEYS.minimum, max_length=api.KEYS.maximum, fail_fast=True)

_GENERATOR = (
    "Name of a generator. May be left out if only one is served, if only one has the class, or if the service has a default "
    "(GANVAS_DEFAULT_MODELS)."
)
_TRUNCATION = "Below 1, images are more typical and less varied; 0 makes one image for all seeds."
_TRANSPARENCY = "If a model makes transparency, c is 4, and {} shows it on white."


def _list(names: str | list[str] | None) -> list[str]:
    """The names of a `class` that has one for each image; empty if it is for all images."""
    return names if isinstance(names, list) else []


def _require_one_each(names: str | list[str] | None, count: int, given: str) -> None:
    """Check that a list of classes has one for each image.

    Raises:
        ValueError: it has another number of names.
    """
    if isinstance(names, list) and len(names) != count:
        raise ValueError(
            f"class has {_counted(len(names), 'name')}, but the request has {given}; give one name, or one for each"
        )


def _counted(count: int, noun: str) -> str:
    """`1 seed`, `2 seeds`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


NUMBER_BYTES = 32  # one number of a latent in JSON: 17 digits, sign, point, exponent, comma, and some white space


def _json_bytes(rows: int) -> int:
    """Bytes of a JSON body with this number of seeds, or of latents for the largest served generator."""
    sizes = [model.card.latent_size for model in models().all() if isinstance(model, Generator)]
    return JSON_BYTES + rows * NUMBER_BYTES * max(sizes, default=1)


def _number(bounds: Bounds[Any], description: str) -> Any:
    return Field(bounds.default, ge=bounds.minimum, le=bounds.maximum, description=description)


class SampleRequest(JsonBody):
    """What to sample: images of one seed, one image for each of several seeds, or images of latents."""

    model: ModelName | None = Field(None, description=_GENERATOR)
    n: int = Field(api.DEFAULT_N, ge=1, le=settings().max_n, description="Number of images.")
    seed: Seed | None = Field(
        None,
        description="The same seed gives the same images, and the first images do not depend on n. If left out, the seed is "
        f"random. The header {api.SEED_HEADER} returns the seed that was used.",
    )
    seeds: Annotated[list[Seed], _SAMPLES] | None = Field(
        None,
        description="Instead of seed: one seed for each image. Each image is the one that its seed gives with n = 1. The "
        f"header {api.SEEDS_HEADER} returns the seeds.",
    )
    latents: Annotated[list[Row], _SAMPLES] | None = Field(
        None, description="Instead of seed: n rows of latent_size numbers each; the model's card has latent_size."
    )
    class_: Annotated[str | list[str], _Names(1, settings().max_n)] | None = Field(
        None,
        alias="class",
        description="Name of a class of images that the model's card lists, for all images; or a list with a name for each "
        "image. A seed and a class give one image, and the class changes nothing if the seed gives an image of it anyway. If "
        "left out, the latents choose the classes.",
    )
    truncation: FiniteFloat = _number(api.TRUNCATION, _TRUNCATION)
    format: SampleFormat = Field(
        api.DEFAULT_SAMPLE_FORMAT,
        description=f"{', '.join(api.IMAGE_FORMATS)}: one image, or one contact sheet if n > 1. zip: one PNG for each image. "
        f"npy: uint8 [n, h, w, c]. {_TRANSPARENCY.format('jpeg')}",
    )

    @classmethod
    def max_bytes(cls) -> int:
        """Enough for the latents of every image."""
        return _json_bytes(settings().max_n)

    @property
    def count(self) -> int:
        """Number of images."""
        return len(self.latents or self.seeds or _list(self.class_)) or self.n

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        if sum(source is not None for source in (self.seed, self.seeds, self.latents)) > 1:
            raise ValueError("Give only one of seed, seeds and latents")
        if "n" in self.model_fields_set and self.n != self.count:
            raise ValueError(f"n is {self.n}, but the request has {self._given}; leave n out")
        _require_one_each(self.class_, self.count, self._given)
        return self

    @property
    def _given(self) -> str:
        """What the request has one of for each image."""
        if self.latents is not None:
            return f"{_counted(self.count, 'row')} of latents"
        return _counted(self.count, "class name" if self.seeds is None else "seed")


class InterpolateRequest(JsonBody):
    """The images to interpolate between, and the format of the frames."""

    model: ModelName | None = Field(None, description=_GENERATOR)
    seeds: Annotated[list[Seed], _KEYS] | None = Field(
        None,
        description="The keys: images to pass through, in order. Each is the image that /v1/sample makes of its seed. If left "
        f"out, two random seeds are taken. The header {api.SEEDS_HEADER} returns the seeds that were used.",
    )
    latents: Annotated[list[Row], _KEYS] | None = Field(
        None, description="Instead of seeds: rows of latent_size numbers each; the model's card has latent_size."
    )
    class_: Annotated[str | list[str], _Names(api.KEYS.minimum, api.KEYS.maximum)] | None = Field(
        None,
        alias="class",
        description="Name of a class of images that the model's card lists, for every frame; or a list with a name for each "
        "key. Between keys of two classes, the first half of the frames is of the first class and the second half of the "
        "second. If left out, the latents choose the class of each frame.",
    )
    steps: int = _number(
        api.STEPS,
        f"Frames from one key to the next. All frames together are at most {settings().max_frames} frames: steps x keys in a "
        "loop, otherwise steps x (keys - 1) + 1.",
    )
    truncation: FiniteFloat = _number(api.TRUNCATION, _TRUNCATION)
    loop: bool = Field(True, description="Whether the last frames lead back to the first key.")
    fps: FiniteFloat = _number(
        api.FPS,
        "Frames per second of an animation. A GIF shows each frame for a whole number of hundredths of a second, at least two.",
    )
    format: AnimationFormat = Field(
        api.DEFAULT_ANIMATION_FORMAT,
        description="webp, gif: an animation. zip: one PNG for each frame. npy: uint8 [frames, h, w, c]. "
        + _TRANSPARENCY.format("gif"),
    )

    @classmethod
    def max_bytes(cls) -> int:
        """Enough for the latents of every key."""
        return _json_bytes(api.KEYS.maximum)

    @property
    def key_count(self) -> int:
        """Number of keys."""
        return len(self.latents or self.seeds or _list(self.class_) or range(api.KEYS.default))

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        if self.latents is not None and self.seeds is not None:
            raise ValueError("Give seeds or latents, not both")
        _require_one_each(self.class_, self.key_count, f"{self.key_count} keys")
        frames = frame_count(self.key_count, self.steps, loop=self.loop)
        if frames > settings().max_frames:
            raise ValueError(
                f"The result would have {frames} frames; at most {settings().max_frames} are allowed. Reduce steps"
            )
        return self


class StylizeRequest(FormBody):
    """The images to paint, and the style."""

    image: list[Upload] = Field(
        min_length=1,
        max_length=settings().max_images,
        description=f"One or more {api.UPLOAD_FORMATS_TEXT} files, a JPEG of at most "
        f"{api.MAX_SCANS} scans ({api.MAX_SCANS_OF_LARGE} from 50 million pixels on) and {api.MAX_SEGMENTS:,} segments, a PNG "
        f"or WebP of at most {api.MAX_CHUNKS:,} chunks. A side may have at most {api.MAX_UPLOAD_SIDE:,} pixels. Only the first "
        "image of a file is read. The end of a file may be missing if it contains no pixels.",
    )
    model: ModelName | None = Field(
        None,
        description="Name of a stylizer. May be left out if only one is served, if only one has the style or all styles of the "
        "blend, or if the service has a default (GANVAS_DEFAULT_MODELS).",
    )
    style: str | None = Field(
        None,
        max_length=api.MAX_STYLE,
        description="Name of a style, or a blend such as starry-night:0.7,great-wave:0.3. The weights are scaled to a sum of "
        "1. May be left out if the model has only one style.",
    )
    strength: FiniteFloat = _number(api.STRENGTH, "0 returns the uploaded image, 1 applies the full style.")
    keep_color: FiniteFloat = _number(api.KEEP_COLOR, "1 keeps the colours of the uploaded image, 0 takes those of the style.")
    brush: FiniteFloat = _number(
        api.BRUSH,
        "Size of the strokes: 1 as trained, 2 twice as large. In images over the model's stroke_side, strokes grow with the "
        "image.",
    )
    max_side: int = Field(
        settings().default_side,
        ge=api.MIN_SIDE,
        le=settings().max_side,
        description="Longest side in pixels. A larger image is shrunk to it.",
    )
    format: ImageFormat = Field(
        api.DEFAULT_STYLIZE_FORMAT, description="Format of each image. Several images are returned in a zip."
    )

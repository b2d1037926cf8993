"""What the POST routes take: the fields with their bounds."""

from typing import Annotated, Any, Self

from pydantic import Field, FiniteFloat, model_validator

from ganvas import api
from ganvas.api import AnimationFormat, Bounds, ImageFormat, SampleFormat
from service.engine.latents import frame_count
from service.http.parsing import FormBody, JsonBody, Upload
from service.settings import settings

ModelName = Annotated[str, Field(max_length=api.MAX_MODEL_NAME)]
Latent = Annotated[float, Field(ge=-api.MAX_LATENT, le=api.MAX_LATENT, allow_inf_nan=False)]
Row = Annotated[list[Latent], Field(fail_fast=True)]  # of a million wrong numbers, the first is enough
Seed = Annotated[int, Field(ge=0, lt=api.SEED_LIMIT)]

_SAMPLES = Field(min_length=1, max_length=settings().max_n, fail_fast=True)
_KEYS = Field(min_length=api.KEYS.minimum, max_length=api.KEYS.maximum, fail_fast=True)


def _number(bounds: Bounds[Any], description: str) -> Any:
    return Field(bounds.default, ge=bounds.minimum, le=bounds.maximum, description=description)


class SampleRequest(JsonBody):
    """What to sample: from a seed, from a seed for each picture, or from latents of your own."""

    model: ModelName | None = Field(None, description="A generator; may be left out where there is only one.")
    n: int = Field(api.DEFAULT_N, ge=1, le=settings().max_n, description="How many pictures.")
    seed: Seed | None = Field(
        None,
        description="The same seed gives the same pictures, and the first ones are the same for any n. Random when "
        "left out; the seed used comes back in the header Ganvas-Seed.",
    )
    seeds: Annotated[list[Seed], _SAMPLES] | None = Field(
        None,
        description="In place of a seed: one for each picture, which is the one that its seed makes alone. They come back in "
        "the header Ganvas-Seeds.",
    )
    latents: Annotated[list[Row], _SAMPLES] | None = Field(
        None, description="In place of seeds: n rows of as many numbers as the model's latent_size."
    )
    truncation: FiniteFloat = _number(api.TRUNCATION, "Multiplies the latents: below 1, less varied and more typical pictures.")
    format: SampleFormat = Field(
        api.DEFAULT_SAMPLE_FORMAT,
        description="png, jpeg, webp: one picture, or one contact sheet when n > 1; zip: one PNG a picture; "
        "npy: uint8 [n, h, w, c].",
    )

    @property
    def pictures(self) -> int:
        """How many pictures it makes."""
        return len(self.latents or self.seeds or ()) or self.n

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if sum(origin is not None for origin in (self.seed, self.seeds, self.latents)) > 1:
            raise ValueError("Give a seed, seeds or latents, only one of them")
        if "n" in self.model_fields_set and self.n != self.pictures:
            rows = "seeds" if self.latents is None else "rows of latents"
            raise ValueError(f"n is {self.n}, but there are {self.pictures} {rows}; leave n out")
        return self


class InterpolateRequest(JsonBody):
    """Which pictures to walk between, and how the walk is shown."""

    model: ModelName | None = Field(None, description="A generator; may be left out where there is only one.")
    seeds: Annotated[list[Seed], _KEYS] | None = Field(
        None,
        description="The pictures to walk between, in order: the ones that /v1/sample makes of these seeds. Two random ones "
        "when left out; the seeds used come back in the header Ganvas-Seeds.",
    )
    latents: Annotated[list[Row], _KEYS] | None = Field(
        None, description="In place of seeds: rows of as many numbers as the model's latent_size."
    )
    steps: int = _number(
        api.STEPS,
        "Frames from one picture to the next. With them a walk has at most "
        f"{settings().max_frames} frames: steps x pictures in a loop, else steps x (pictures - 1) + 1.",
    )
    truncation: FiniteFloat = _number(api.TRUNCATION, "Multiplies the latents: below 1, less varied and more typical pictures.")
    loop: bool = Field(True, description="Whether the walk leads back to the first picture.")
    fps: FiniteFloat = _number(
        api.FPS,
        "Frames a second of an animation. A GIF holds its frames for whole hundredths of a second, at least two.",
    )
    format: AnimationFormat = Field(
        api.DEFAULT_ANIMATION_FORMAT, description="webp, gif: an animation; zip: one PNG a frame; npy: uint8 [frames, h, w, c]."
    )

    @property
    def keys(self) -> int:
        """How many pictures the walk leads through."""
        return len(self.latents or self.seeds or range(api.KEYS.default))

    @model_validator(mode="after")
    def _seeds_or_latents(self) -> Self:
        if self.latents is not None and self.seeds is not None:
            raise ValueError("Give seeds or latents, not both")
        frames = frame_count(self.keys, self.steps, loop=self.loop)
        if frames > settings().max_frames:
            raise ValueError(f"It would have {frames} frames, more than {settings().max_frames}; take fewer steps")
        return self


class StylizeRequest(FormBody):
    """Which pictures to restyle, and how."""

    image: list[Upload] = Field(
        min_length=1, max_length=settings().max_images, description="One or more JPEG, PNG or WebP files."
    )
    model: ModelName | None = Field(None, description="A stylizer; may be left out where there is only one.")
    style: str | None = Field(
        None,
        max_length=api.MAX_STYLE,
        description="A style's name, or a blend such as starry-night:0.7,great-wave:0.3, whose weights are scaled to a "
        "sum of 1. May be left out where the model has only one.",
    )
    strength: FiniteFloat = _number(api.STRENGTH, "0 gives the picture back, 1 is the whole style.")
    keep_color: FiniteFloat = _number(api.KEEP_COLOR, "1 keeps the picture's own colours, 0 takes the style's.")
    max_side: int = Field(
        settings().default_side,
        ge=api.MIN_SIDE,
        le=settings().max_side,
        description="A picture whose longer side is larger, in pixels, is shrunk to it.",
    )
    format: ImageFormat = Field(
        api.DEFAULT_STYLIZE_FORMAT, description="Format of each picture; several pictures come in a zip."
    )


# Set by BentoML from the fields' types, among which it looks for paths and PIL images only.
StylizeRequest.multipart_fields = ["image"]

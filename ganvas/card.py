"""The model card: what one exported model says of itself.

An exported model is one ONNX file. Its card is one JSON string in the file's metadata under `METADATA_KEY`, written by
`training.export` and read by `service`. It is the only thing that the two share, so neither guesses: sizes, styles,
licence, training data and measured metrics are all here. After Mitchell et al. 2019, "Model Cards for Model Reporting".

    card = parse_card(session.get_modelmeta().custom_metadata_map[METADATA_KEY])
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, model_validator

METADATA_KEY = "ganvas.card"
OUTPUT = "pictures"
"""The one output of every exported model; it cannot be `images`, which a stylizer's input is: ONNX allows a name once."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
"""A name that is safe in a URL, a file name and a command line: lower-case letters, digits and inner hyphens."""

Text = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TrainingData(_Part):
    """One source of pictures that the model was trained on."""

    title: Text
    source: Text
    licence: Text


class Metric(_Part):
    """One measured number, and how it was measured."""

    name: Text
    value: float
    method: Text


class Style(_Part):
    """One style of a stylizer: column i of `styles` weighs `card.styles[i]`."""

    name: Name
    title: Text
    artist: Text
    year: int | None = None
    licence: Text
    thumbnail: str = Field(default="", description="A small JPEG of the painting, base64.")


class _Card(_Part):
    schema_version: Literal[1] = 1
    name: Name
    title: Text
    summary: Text
    architecture: Text
    licence: Text
    training_data: tuple[TrainingData, ...]
    training_config: dict[str, JsonValue]
    metrics: tuple[Metric, ...] = ()


class GeneratorCard(_Card):
    """A GAN's generator: `latents` float32 [n, latent_size] -> `pictures` uint8 [n, height, width, channels]."""

    kind: Literal["generator"] = "generator"
    latent_size: int = Field(ge=1)
    height: int = Field(ge=1)
    width: int = Field(ge=1)
    channels: Literal[1, 3]


class StylizerCard(_Card):
    """A style network: pictures in, the same pictures in the manner of its styles out.

    `images` uint8 [n, h, w, 3], `styles` float32 [n, k] (each row sums to 1), `strength` float32 [n] and `keep_color`
    float32 [n] (both 0 to 1) -> `pictures` uint8 [n, h, w, 3]. h and w are multiples of `size_multiple` and at least
    `min_side`.
    """

    kind: Literal["stylizer"] = "stylizer"
    size_multiple: int = Field(ge=1)
    min_side: int = Field(ge=1)
    styles: tuple[Style, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _style_names_differ(self) -> "StylizerCard":
        names = [style.name for style in self.styles]
        if len(set(names)) != len(names):
            raise ValueError(f"two styles share a name: {sorted(names)}")
        return self


Card = Annotated[GeneratorCard | StylizerCard, Field(discriminator="kind")]

_ADAPTER: TypeAdapter[GeneratorCard | StylizerCard] = TypeAdapter(Card)


def parse_card(text: str | bytes) -> GeneratorCard | StylizerCard:
    """Read a card from its JSON.

    Raises:
        pydantic.ValidationError: the text is no card of a schema version that this code knows.
    """
    return _ADAPTER.validate_json(text)


def dump_card(card: GeneratorCard | StylizerCard) -> str:
    """Write a card as JSON: what `parse_card` reads."""
    return card.model_dump_json()

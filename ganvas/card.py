"""The model card: what an exported model says about itself.

An exported model is one ONNX file. Its card is one JSON string in the file's metadata under `METADATA_KEY`. `training` writes
the card and `service` reads it. They share nothing but the file. The card states the contract of its kind (its tensors and
which sizes fit), the styles, the licence, the training data and the measured metrics. After Mitchell et al. 2019, "Model Cards
for Model Reporting".

    card = parse_card(session.get_modelmeta().custom_metadata_map[METADATA_KEY])
    card.inputs, card.output       # the tensors; see `ganvas.tensors`

A new kind of model is one more subclass of `Card`, added to `AnyCard`.
"""

import base64
import json
import math
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, model_validator

from ganvas.api import MAX_CLASS
from ganvas.tensors import ROWS, Dimension, Tensor

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ganvas.tensors import Array

    Floats = npt.NDArray[np.float32]

METADATA_KEY = "ganvas.card"

OUTPUT = "pictures"
"""Name of the output of every exported model. A stylizer's input is called `images`, and ONNX allows a name only once."""

LATENTS = "latents"
TRUNCATION = "truncation"
IMAGES = "images"
STYLES = "styles"
STRENGTH = "strength"
KEEP_COLOR = "keep_color"

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
"""A name that is safe in a URL, a file name and a command line: lower-case letters, digits and inner hyphens, at most 63."""

StyleSpace = Annotated[str, Field(pattern=r"^([0-9a-f]{16})?$")]
"""Names what style vectors mean: a hash of the weights that all styles of a network share."""

Text = Annotated[str, Field(min_length=1)]

MAX_CARD = 4 * 2**20
"""Largest card, in bytes of JSON. Three hundred styles with thumbnails of 4 KB and vectors of 2,800 numbers fit."""

MAX_SIDE = 4096
"""Largest side that a card may state, in pixels. A model that names a larger one could fill the memory when it is tried."""

STROKE_SIDE = 512
"""`stroke_side` of stylizers whose card does not state it, in pixels."""

MAX_LATENT_SIZE = 2**16
MAX_STYLES = 1000
MAX_CLASSES = 1000

Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]
"""A side of an image, in pixels."""


def _finite(config: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Refuse NaN and infinity, which Python reads from JSON although JSON has no such numbers."""
    json.dumps(config, allow_nan=False)
    return config


def _halves(vector: str) -> str:
    """Refuse a vector that is not base64 of finite float16 numbers."""
    data = base64.b64decode(vector, validate=True)
    if len(data) % 2 or not all(map(math.isfinite, struct.unpack(f"<{len(data) // 2}e", data))):
        raise ValueError("a style's vector must be base64 of finite float16 numbers")
    return vector


def _printable(name: str) -> str:
    """Refuse what a terminal or a client would show differently."""
    if not name.isprintable() or name != name.strip():
        raise ValueError("a name of a class has no control characters and no space at its ends")
    return name


ClassName = Annotated[str, Field(min_length=1, max_length=MAX_CLASS), AfterValidator(_printable)]
"""The name of a class of images, usually that of its folder: any text in one line."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TrainingData(_Part):
    """One source of images that the model was trained on."""

    title: Text
    source: Text
    licence: Text


class Metric(_Part):
    """One measured number, how it was measured, and what to compare it with."""

    name: Text
    value: float
    method: Text = Field(description="The network that measured, the number of images, and what else the value depends on.")
    real: float | None = Field(
        default=None,
        description="What real images score in place of the model's images, measured in the same way. Null if not measured.",
    )


class Style(_Part):
    """One named style of a stylizer."""

    name: Name
    title: Text
    artist: Text
    year: int | None = None
    licence: Text
    thumbnail: str = Field(default="", description="A small JPEG of the painting, base64.")
    vector: Annotated[str, AfterValidator(_halves)] = Field(
        default="",
        description="The numbers that make the network paint in this style: little-endian float16, base64. Empty in older "
        "models, whose input `styles` has a weight for each named style.",
    )

    @property
    def size(self) -> int:
        """The length of the vector; 0 without one."""
        return len(base64.b64decode(self.vector)) // 2


class Card(_Part):
    """What the cards of all kinds say. A subclass names its kind and its tensors."""

    schema_version: Literal[1] = 1
    kind: str
    name: Name
    title: Text
    summary: Text
    architecture: Text
    licence: Text
    training_data: tuple[TrainingData, ...]
    training_config: Annotated[dict[str, JsonValue], AfterValidator(_finite)]
    metrics: tuple[Metric, ...] = ()

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The inputs of this model's graph, in its order. Requests may leave out those with a neutral value."""
        raise NotImplementedError

    @property
    def output(self) -> Tensor:
        """The model's one output, named `OUTPUT`."""
        raise NotImplementedError

    @property
    def dimensions(self) -> dict[str, Dimension]:
        """Every dimension of the inputs whose size a caller chooses, by name; `n`, the rows, first."""
        return {d.name: d for tensor in self.inputs for d in tensor.shape if isinstance(d, Dimension)}

    def example(self, rows: int, sizes: Mapping[str, int] | None = None, seed: int = 0) -> "dict[str, Array]":
        """Random inputs that the model accepts, each row different. Needs numpy.

        Args:
            rows: size of the first dimension.
            sizes: of other dimensions, by name; the smallest that fit if left out.
            seed: of the values.
        """
        import numpy as np

        chosen = {name: d.fit(1) for name, d in self.dimensions.items()} | dict(sizes or {}) | {ROWS.name: rows}
        rng = np.random.default_rng(seed)
        return {tensor.name: tensor.random(chosen, rng) for tensor in self.inputs}

    def with_neutral(self, feeds: "Mapping[str, Array]") -> "dict[str, Array]":
        """All inputs in the order of the graph: those of `feeds`, and the neutral value of each that it leaves out.

        Needs numpy.

        Raises:
            KeyError: an input without a neutral value is missing, or the model has no input of a name in `feeds`.
        """
        import numpy as np

        if unknown := feeds.keys() - {tensor.name for tensor in self.inputs}:
            raise KeyError(f"{self.name} has no input {', '.join(sorted(unknown))}")
        rows = len(next(iter(feeds.values())))
        return {
            tensor.name: feeds[tensor.name]
            if tensor.name in feeds or tensor.neutral is None
            else np.full(tensor.sizes({ROWS.name: rows}), tensor.neutral, tensor.dtype)
            for tensor in self.inputs
        }


class GeneratorCard(Card):
    """A GAN's generator: latents in, images out.

    `latents` float32 [n, latent_size] -> `pictures` uint8 [n, height, width, channels]. If `optional_inputs` has it, also
    `truncation` float32 [n]: 1 changes nothing, and 0 makes the mean image. With k `classes`, an image is of class i if number
    i is the largest of its first k latents, the first of equal ones. A fourth channel is
    straight alpha, as in a PNG.
    """

    kind: Literal["generator"] = "generator"
    latent_size: int = Field(ge=1, le=MAX_LATENT_SIZE)
    height: Side
    width: Side
    channels: Literal[1, 3, 4] = Field(description="1: grey. 3: RGB. 4: RGB and straight alpha, as in a PNG.")
    optional_inputs: tuple[Literal["truncation"], ...] = Field(
        default=(),
        max_length=1,
        description="Inputs beside the latents. A model without `truncation` truncates by multiplying the latents.",
    )
    classes: tuple[ClassName, ...] = Field(
        default=(),
        max_length=MAX_CLASSES,
        description="Names of the classes of images that `class` may ask for. With k classes, the largest of the first k "
        "latents chooses the class: latent i that of classes[i]. Empty if the model has no classes by name.",
    )

    @model_validator(mode="after")
    def _classes_fit(self) -> "GeneratorCard":
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"two classes share a name: {sorted(self.classes)}")
        if len(self.classes) > self.latent_size:
            raise ValueError(f"{len(self.classes)} classes need a latent_size of at least {len(self.classes)}")
        return self

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """`latents` and, in some models, `truncation`."""
        latents = Tensor(LATENTS, "float32", (ROWS, self.latent_size), "normal")
        return (latents, *(Tensor(name, "float32", (ROWS,), "unit", neutral=1.0) for name in self.optional_inputs))

    @property
    def output(self) -> Tensor:
        """Images of one size."""
        return Tensor(OUTPUT, "uint8", (ROWS, self.height, self.width, self.channels), "pixels")


class StylizerCard(Card):
    """A style network: images in, the same images in the manner of its styles out.

    `images` uint8 [n, h, w, 3], `styles` float32 [n, m], `strength` float32 [n] and `keep_color` float32 [n] (both 0 to 1) ->
    `pictures` uint8 [n, h, w, 3]. h and w are multiples of `size_multiple` and at least `min_side`. A style is a vector of m
    numbers. A blend is a weighted sum of vectors, whose weights sum to 1.
    """

    kind: Literal["stylizer"] = "stylizer"
    size_multiple: Side
    min_side: Side
    stroke_side: Side = Field(
        default=STROKE_SIDE,
        description="Longer side in pixels up to which an image is painted at its own size with brush 1. A larger image is "
        "painted at this size and brought to its own size, so its strokes stay in proportion to the image.",
    )
    styles: tuple[Style, ...] = Field(min_length=1, max_length=MAX_STYLES)
    style_space: StyleSpace = Field(
        default="",
        description="Style files with the same value fit this model. Empty in older models, which take none.",
    )

    @model_validator(mode="after")
    def _style_names_differ(self) -> "StylizerCard":
        names = [style.name for style in self.styles]
        if len(set(names)) != len(names):
            raise ValueError(f"two styles share a name: {sorted(names)}")
        if len({style.size for style in self.styles}) > 1:
            raise ValueError("the vectors of the styles must have the same length, or all be empty")
        return self

    @property
    def style_size(self) -> int:
        """The length of a style's vector, m."""
        return self.styles[0].size or len(self.styles)

    def style_vectors(self) -> "Floats":
        """The vectors of the named styles, float32 [k, m]. In older models, style i is the i-th unit vector. Needs numpy."""
        import numpy as np

        if not self.styles[0].vector:
            return np.eye(len(self.styles), dtype=np.float32)
        halves = [np.frombuffer(base64.b64decode(style.vector), "<f2") for style in self.styles]
        return np.stack(halves).astype(np.float32)

    def example(self, rows: int, sizes: Mapping[str, int] | None = None, seed: int = 0) -> "dict[str, Array]":
        """As in the base class. The styles are blends of the named ones: random vectors would paint noise."""
        import numpy as np

        feeds = super().example(rows, sizes, seed)
        weights = np.random.default_rng(seed).dirichlet(np.ones(len(self.styles)), rows).astype(np.float32)
        return feeds | {STYLES: weights @ self.style_vectors()}

    @property
    def height(self) -> Dimension:
        """Which heights fit, in pixels."""
        return Dimension("h", self.min_side, self.size_multiple)

    @property
    def width(self) -> Dimension:
        """Which widths fit, in pixels."""
        return Dimension("w", self.min_side, self.size_multiple)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """`images`, `styles`, `strength`, `keep_color`."""
        return (
            Tensor(IMAGES, "uint8", (ROWS, self.height, self.width, 3), "pixels"),
            Tensor(STYLES, "float32", (ROWS, self.style_size), "normal"),
            Tensor(STRENGTH, "float32", (ROWS,), "unit"),
            Tensor(KEEP_COLOR, "float32", (ROWS,), "unit"),
        )

    @property
    def output(self) -> Tensor:
        """Images as large as the input."""
        return Tensor(OUTPUT, "uint8", (ROWS, self.height, self.width, 3), "pixels")


AnyCard = Annotated[GeneratorCard | StylizerCard, Field(discriminator="kind")]

CARDS: tuple[type[Card], ...] = get_args(get_args(AnyCard)[0])
"""The classes of `AnyCard`."""

_ADAPTER: TypeAdapter[Card] = TypeAdapter(AnyCard)


def parse_card(text: str | bytes) -> Card:
    """Read a card from its JSON.

    Raises:
        pydantic.ValidationError: the text is not a card of a schema version that this code knows, or a size in it is too large.
        ValueError: the text is larger than `MAX_CARD`. (A ValidationError is a ValueError too.)
    """
    if len(text) > MAX_CARD:
        raise ValueError(f"the card has {len(text)} characters; at most {MAX_CARD} are allowed")
    return _ADAPTER.validate_json(text)


def dump_card(card: Card) -> str:
    """Write a card as JSON: what `parse_card` reads."""
    return card.model_dump_json()

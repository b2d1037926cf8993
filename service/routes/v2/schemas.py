"""The JSON of an inference request: its fields, bounds and defaults. Unknown fields and parameters are ignored."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from ganvas import api
from ganvas.api import ImageFormat
from ganvas.tensors import DType
from service.settings import settings

DATATYPES: dict[DType, str] = {"float32": "FP32", "uint8": "UINT8"}
"""The protocol's names of types."""

BYTES = "BYTES"
"""The protocol's type for elements of any length, here encoded images."""

MAX_TENSORS = 16  # inputs or outputs of a request; no model has as many
MAX_RANK = 8

Name = Annotated[str, Field(max_length=256)]
Size = Annotated[int, Field(ge=0, lt=2**31)]

_FORMAT = "png, jpeg or webp: the output is BYTES [n], one encoded image per row. If left out, it is the model's tensor."


class _Fields(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


class InputParameters(_Fields):
    """Parameters of one input."""

    binary_data_size: Size | None = Field(default=None, description="Bytes of this tensor after the JSON, in place of `data`.")
    shared_memory_region: None = Field(default=None, exclude=True)


class OutputParameters(_Fields):
    """Parameters of one output."""

    binary_data: bool | None = Field(default=None, description="Whether this tensor follows the JSON, in place of `data`.")
    format: ImageFormat | None = Field(default=None, description=_FORMAT)
    shared_memory_region: None = Field(default=None, exclude=True)
    classification: None = Field(default=None, exclude=True)


class RequestParameters(_Fields):
    """Parameters of the whole request."""

    binary_data_output: bool | None = Field(default=None, description="`binary_data` of outputs that do not set it.")
    format: ImageFormat | None = Field(default=None, description="`format` of outputs that do not set it.")
    style: str | None = Field(
        default=None,
        max_length=api.MAX_STYLE,
        description="Name of a style of a stylizer, or a blend, in place of the input `styles`; as in /v1/stylize.",
    )
    max_side: int | None = Field(
        default=None,
        ge=api.MIN_SIDE,
        le=settings().max_side,
        description=f"Of encoded images: a larger image is shrunk to this longer side. {settings().default_side} if left out.",
    )
    brush: FiniteFloat | None = Field(
        default=None,
        ge=api.BRUSH.minimum,
        le=api.BRUSH.maximum,
        description="Of encoded images: size of the strokes, as in /v1/stylize.",
    )


class InferInput(_Fields):
    """One input of an inference request."""

    name: Name
    datatype: Name = Field(description="FP32 or UINT8, as the model's metadata says; BYTES for encoded images.")
    shape: list[Size] = Field(max_length=MAX_RANK)
    parameters: InputParameters | None = None
    data: Any = Field(
        default=None,
        description="The numbers, nested or flat, in row-major order. Encoded images: base64.",
        json_schema_extra={"type": "array"},
    )


class InferOutput(_Fields):
    """One output that an inference request asks for."""

    name: Name
    parameters: OutputParameters | None = None


class InferFields(_Fields):
    """The JSON of an inference request."""

    id: Name | None = Field(default=None, description="Returned in the response.")
    inputs: list[InferInput] = Field(max_length=MAX_TENSORS, description="Each input of the model.")
    outputs: list[InferOutput] | None = Field(
        default=None, max_length=MAX_TENSORS, description="Which outputs to return, and how. If left out, all of them."
    )
    parameters: RequestParameters | None = None


class IndexFields(_Fields):
    """The JSON of a request for the index of models."""

    ready: bool | None = Field(default=None, description="Whether to list only models that are served.")

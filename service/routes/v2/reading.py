"""Reads the body of an inference request: JSON, then the bytes of those tensors that the JSON does not contain itself.

    {"inputs": [{"name": "latents", "datatype": "FP32", "shape": [2, 100], "data": [0.5, ...]}]}

A tensor with the parameter `binary_data_size` follows the JSON with this number of bytes, in the order of the inputs. The
header `Inference-Header-Content-Length` then says where the JSON ends. Numbers are little-endian and in row-major order. An
element of BYTES has four bytes with its length before it.
"""

import base64
import binascii
import itertools
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.datastructures import Headers

from ganvas import api
from ganvas.tensors import ROWS, Tensor
from service.engine.arrays import Array, Feeds
from service.engine.contract import check_values, sizes_of
from service.engine.errors import InvalidValueError
from service.engine.handlers.base import Handler
from service.http.parsing import JSON_BYTES, Upload, field_path
from service.http.problems import Invalid, Malformed, TooLarge
from service.routes.schemas import NUMBER_BYTES
from service.routes.v2.schemas import BYTES, DATATYPES, InferFields, InferInput, RequestParameters
from service.settings import settings

MAX_JSON = 4 * 2**20
"""The most bytes of JSON, for any model. Parsing holds Python's lock, for about 10 ms per MiB."""

_LENGTH = struct.Struct("<I")

F = TypeVar("F", bound=BaseModel)


@dataclass(frozen=True)
class Wanted:
    """How to return the output.

    Attributes:
        format: of encoded images; None for the model's tensor.
        binary: whether the tensor follows the JSON.
    """

    format: api.ImageFormat | None
    binary: bool


@dataclass(frozen=True)
class Asked:
    """A valid inference request.

    Attributes:
        id: to return.
        feeds: all inputs, as the card says, without that of `files`.
        sizes: of the dimensions that the caller chose, by name.
        files: encoded images, in place of the input that takes them; emptied when they are read.
        wanted: the output.
        max_side: for `files`.
        brush: for `files`.
    """

    id: str | None
    feeds: Feeds
    sizes: dict[str, int]
    files: list[Upload]
    wanted: Wanted
    max_side: int
    brush: float


def max_body(model: Handler) -> int:
    """The most bytes of a body, decompressed."""
    tensors = sum(_values(tensor, model.largest) * np.dtype(tensor.dtype).itemsize for tensor in model.card.inputs)
    largest = settings().max_body_mb * 2**20
    return largest if model.uploads else min(largest, max_json(model) + tensors)


def max_json(model: Handler) -> int:
    """The most bytes of JSON."""
    numbers = sum(_values(tensor, model.largest) for tensor in model.card.inputs)
    return min(MAX_JSON, JSON_BYTES + NUMBER_BYTES * numbers)


def _values(tensor: Tensor, sizes: Mapping[str, int]) -> int:
    return math.prod(tensor.sizes(sizes))


def json_length(headers: Headers, size: int) -> int:
    """How many bytes of a body are JSON.

    Args:
        headers: of the request.
        size: of the body, decompressed.

    Raises:
        Malformed: the header is not a number, or the body has fewer bytes.
    """
    written = headers.get(api.JSON_LENGTH_HEADER)
    if written is None:
        return size
    if not (written.isascii() and written.isdecimal() and len(written) < 16 and int(written) <= size):
        raise Malformed(f"{api.JSON_LENGTH_HEADER} is {written[:32]!r}; the body has {size} bytes.")
    return int(written)


def read_request(body: bytes | bytearray, length: int, model: Handler) -> Asked:
    """Read a request for a model. Blocks.

    Args:
        body: decompressed.
        length: of its JSON.
        model: that is asked.

    Raises:
        Malformed: the body cannot be parsed, or the tensors after the JSON have another length.
        TooLarge: the JSON is longer than `max_json`.
        Invalid: a field is missing, or out of its bounds.
        InvalidValueError: an input does not fit the model's card, or the model has no such output.
        NotFoundError: the model has no such style.
    """
    if length > max_json(model):
        raise TooLarge(f"The JSON is larger than the limit of {max_json(model)} bytes. Send binary tensors.")
    fields = parse_fields(InferFields, bytes(memoryview(body)[:length]))
    named = {given.name: given for given in fields.inputs}
    if len(named) < len(fields.inputs):
        raise InvalidValueError("inputs", "Two inputs have the same name")
    encoded = next((given.name for given in fields.inputs if given.datatype == BYTES), None)
    if encoded and not (model.uploads and encoded == model.uploads.upload_input):
        encoded = None  # the type is checked below
    shapes = {given.name: given.shape for given in fields.inputs}
    if encoded and shapes[encoded][1:] == [1]:  # some clients write each element as a row
        shapes[encoded] = shapes[encoded][:1]
    sizes = sizes_of(model.card, shapes, optional=model.optional, most=model.largest, encoded=encoded)
    binaries = _binaries(fields.inputs, memoryview(body)[length:])
    feeds = {
        tensor.name: _array(tensor, named[tensor.name], binaries.get(tensor.name))
        for tensor in model.card.inputs
        if tensor.name in named and tensor.name != encoded
    }
    parameters = fields.parameters or RequestParameters()
    return Asked(
        fields.id,
        model.complete(feeds, sizes[ROWS.name], parameters.style),
        sizes,
        _files(named[encoded], binaries.get(encoded), sizes[ROWS.name]) if encoded else [],
        _wanted(fields, parameters, model),
        settings().default_side if parameters.max_side is None else parameters.max_side,
        api.BRUSH.default if parameters.brush is None else parameters.brush,
    )


def parse_fields(fields: type[F], data: bytes) -> F:
    """Parse a JSON object.

    Raises:
        Malformed: the data is not JSON.
        Invalid: a field is missing or has a value that is not allowed.
    """
    try:
        return fields.model_validate(from_json(data))
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        raise Invalid((field_path(detail["loc"]), _MESSAGES.get(detail["type"], detail["msg"])) for detail in details) from None
    except ValueError as error:
        raise Malformed(f"The body is not valid JSON: {error}.") from None


_MESSAGES = {"missing": "Missing", "none_required": "Not supported", "model_type": "Must be a JSON object"}


def _binaries(inputs: Sequence[InferInput], rest: memoryview) -> dict[str, memoryview]:
    """The bytes of each tensor that follows the JSON."""
    found: dict[str, memoryview] = {}
    start = 0
    for given in inputs:
        size = given.parameters.binary_data_size if given.parameters else None
        if size is None:
            continue
        if given.data is not None:
            raise InvalidValueError(given.name[:64], "Has data and binary_data_size; only one is allowed")
        found[given.name] = rest[start : start + size]
        start += size
    if start != len(rest):
        hint = "" if len(rest) else f" The header {api.JSON_LENGTH_HEADER} says where the JSON ends."
        raise Malformed(f"{len(rest)} bytes follow the JSON; the inputs have a binary_data_size of {start} together.{hint}")
    return found


def _array(tensor: Tensor, given: InferInput, binary: memoryview | None) -> Array:
    """The array of a tensor whose shape is known to fit. One that follows the JSON may share the memory of the body."""
    name, datatype = tensor.name, DATATYPES[tensor.dtype]
    if given.datatype != datatype:
        raise InvalidValueError(f"{name}.datatype", f"Must be {datatype}, not {given.datatype[:64]}")
    count = math.prod(given.shape)
    dtype = np.dtype(tensor.dtype).newbyteorder("<")
    if binary is not None:
        if len(binary) != count * dtype.itemsize:
            wanted = f"the shape {given.shape} of {datatype} has {count * dtype.itemsize}"
            raise InvalidValueError(f"{name}.parameters.binary_data_size", f"Has {len(binary)} bytes; {wanted}")
        array: Array = np.frombuffer(binary, dtype)
        if dtype.itemsize > 1:
            array = array.astype(tensor.dtype)  # aligned, and in the byte order of this machine
    else:
        array = _numbers(name, given.data, given.shape, tensor.dtype)
    array = array.reshape(given.shape)
    check_values(tensor, array)
    return array


def _numbers(name: str, data: object, shape: Sequence[int], dtype: str) -> Array:
    """Turn the numbers of JSON, flat or nested, into a flat array."""
    field = f"{name}.data"
    if not isinstance(data, list):
        raise InvalidValueError(field, "Must be a list of numbers" if data is not None else "Missing")
    flat = data
    if any(isinstance(one, list) for one in flat):
        for i, size in enumerate(shape[1:], 1):
            if len(flat) != math.prod(shape[:i]) or any(not isinstance(one, list) or len(one) != size for one in flat):
                raise InvalidValueError(field, f"The lists must be nested as in the shape {list(shape)}, or not at all")
            flat = list(itertools.chain.from_iterable(flat))
    if len(flat) != math.prod(shape):
        raise InvalidValueError(field, f"Has {len(flat)} numbers; the shape {list(shape)} has {math.prod(shape)}")
    kinds = {type(one) for one in flat}
    if not kinds <= ({int} if dtype == "uint8" else {int, float}):
        kind = "integers" if dtype == "uint8" else "numbers"
        raise InvalidValueError(field, f"Must be a list of {kind}, or lists of them")
    if dtype == "uint8":
        if flat and not 0 <= min(flat) <= max(flat) <= 255:
            raise InvalidValueError(field, "Every number must be 0 to 255")
        return np.array(flat, np.uint8)
    try:
        with np.errstate(over="ignore"):  # infinity, which `check_values` rejects
            return np.array(flat, np.float64).astype(np.float32)
    except OverflowError:
        raise InvalidValueError(field, "A number is too large") from None


def _files(given: InferInput, binary: memoryview | None, count: int) -> list[Upload]:
    """The encoded images of an input of type BYTES."""
    field = f"{given.name}.data"
    if binary is not None:
        elements = _elements(field, binary, count)
    else:
        texts: Any = given.data
        if not isinstance(texts, list) or len(texts) != count or not all(isinstance(text, str) for text in texts):
            raise InvalidValueError(field, f"Must be a list of {count} files in base64")
        try:
            elements = [base64.b64decode(text, validate=True) for text in texts]
        except (binascii.Error, ValueError):
            raise InvalidValueError(field, "Is not valid base64") from None
    return [Upload(f"{given.name}[{i}]", element) for i, element in enumerate(elements)]


def _elements(field: str, binary: memoryview, count: int) -> list[bytes]:
    elements: list[bytes] = []
    start = 0
    while start + _LENGTH.size <= len(binary) and len(elements) < count:
        end = start + _LENGTH.size + _LENGTH.unpack_from(binary, start)[0]
        if end > len(binary):
            break
        elements.append(bytes(binary[start + _LENGTH.size : end]))
        start = end
    if start != len(binary) or len(elements) != count:
        raise InvalidValueError(
            field, f"Must have {count} elements, each with its length before it as 4 bytes, the lowest first"
        )
    return elements


def _wanted(fields: InferFields, parameters: RequestParameters, model: Handler) -> Wanted:
    """How to return the one output."""
    name = model.card.output.name
    outputs = fields.outputs or []
    for i, output in enumerate(outputs):
        if output.name != name:
            raise InvalidValueError(
                f"outputs[{i}].name", f"{model.card.name} has no output {output.name[:64]!r}, only {name!r}"
            )
    if len(outputs) > 1:
        raise InvalidValueError("outputs", f"{name} is listed {len(outputs)} times")
    of_output = outputs[0].parameters if outputs else None
    own = (of_output.format, of_output.binary_data) if of_output else (None, None)
    return Wanted(own[0] or parameters.format, bool(parameters.binary_data_output if own[1] is None else own[1]))

"""Reads the body of a request, JSON or a multipart form with files, and validates its fields.

BentoML asks an input model for `from_http_request`, which here returns the request unread. `service.bento` calls `read`
later, so that a `Problem` becomes a response. BentoML's own readers are never used: they fetch a URL that is given in place of
a file, guess the content type, and log a traceback for every bad request.
"""

import asyncio
import codecs
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeVar, get_args

from bentoml import IODescriptor
from pydantic import ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import ErrorDetails, core_schema, from_json
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from service.http.forms import MAX_PARAMETERS, read_form
from service.http.problems import Invalid, Malformed, Problem, TooLarge, Unsupported

JSON_BYTES = 16 * 2**10
"""Enough for every field of a JSON body but its long lists."""

MAX_JSON_ON_LOOP = 2**18
"""Largest JSON body in bytes that is parsed on the event loop: that takes a few milliseconds. A larger one goes to a thread."""

# A single thread: parsing holds Python's lock, so several large bodies at a time would stall the event loop.
_parser = ThreadPoolExecutor(1, thread_name_prefix="json")


CHARSETS = frozenset({"utf-8", "utf8", "us-ascii"})

BINARY = {"type": "string", "format": "binary"}

T = TypeVar("T")


@dataclass(frozen=True)
class Upload:
    """An uploaded file, in memory."""

    name: str
    data: bytes

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.is_instance_schema(cls)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, str]:
        # BentoML's client uploads a field whose type is "file". In OpenAPI, a file is a binary string.
        return {"type": "file", "format": "image"} if handler.mode == "validation" else BINARY


class RequestBody(IODescriptor):
    """The fields of a request body with their bounds, and `read`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # The endpoint gets the body as one object, which BentoML calls a root input. For a client the fields are the parameters.
    __root_input__: ClassVar[bool] = True

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        # BentoML's own method recognizes only paths and PIL images.
        types = {name: field.annotation for name, field in cls.model_fields.items()}
        cls.multipart_fields = [name for name, kind in types.items() if list[Upload] in (kind, *get_args(kind))]

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the schema of the fields, without BentoML's mark of a root input."""
        schema = super().model_json_schema(*args, **kwargs)
        schema.pop("root_input", None)
        return schema

    @classmethod
    async def from_http_request(cls, request: Request, serde: object) -> Any:
        """Return the request, unread."""
        return request

    @classmethod
    async def read(cls, request: Request) -> Self:
        """Read and validate the body.

        Raises:
            Malformed: the body cannot be parsed.
            Unsupported: the content type is not the route's.
            TooLarge: the body is larger than the limit.
            Invalid: a field is unknown, missing, or out of its bounds.
        """
        raise NotImplementedError


class JsonBody(RequestBody):
    """A request body in JSON."""

    @classmethod
    def max_bytes(cls) -> int:
        """Largest body in bytes. A parsed body takes far more memory, and parsing holds Python's lock."""
        return JSON_BYTES

    @classmethod
    async def read(cls, request: Request) -> Self:
        """Read a JSON object. An empty body counts as an empty object."""
        _check_content_type(
            request, "application/json", "curl -H 'Content-Type: application/json' -d '{\"truncation\": 0.7}' ..."
        )
        data = await _read_json(request, cls.max_bytes()) or b"{}"
        return await parse_json(lambda: cls._parse(data), len(data))

    @classmethod
    def _parse(cls, data: bytes) -> Self:
        try:
            fields = from_json(data.removeprefix(codecs.BOM_UTF8))
        except ValueError as error:
            raise Malformed(f"The body is not valid JSON: {error}.") from None
        if isinstance(fields, dict) and len(fields) > 2 * len(cls.model_fields):  # pydantic would list every field
            raise Invalid((field_path((name,)), _unknown_field(cls)) for name in fields if name not in _names(cls))
        try:
            # Strict: the string "4" and the number 4.5 are not accepted as integers.
            return cls.model_validate(fields, strict=True)
        except ValidationError as error:
            raise _invalid(error, cls) from None


class FormBody(RequestBody):
    """A request body in a multipart form: files in the fields of type `list[Upload]`, text in all others."""

    media_type: ClassVar[str | None] = "multipart/form-data"

    @classmethod
    async def read(cls, request: Request) -> Self:
        """Read a multipart form. Text may be plain or, as BentoML's client sends it, a JSON string."""
        _check_content_type(request, "multipart/form-data", "curl -F image=@photo.jpg ...")
        form = await read_form(request)
        try:
            fields = await _read_form_fields(form, cls)
        finally:
            await form.close()
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise _invalid(error, cls) from None


async def parse_json(parse: Callable[[], T], size: int) -> T:
    """Call a function that parses JSON: on the event loop if the JSON is short, otherwise in the thread for JSON.

    Args:
        parse: blocks and holds Python's lock.
        size: of the JSON, in bytes.
    """
    if size <= MAX_JSON_ON_LOOP:
        return parse()
    return await asyncio.get_running_loop().run_in_executor(_parser, parse)


async def _read_form_fields(form: FormData, body_type: type[RequestBody]) -> dict[str, object]:
    """Sort the fields of a form into uploads and text.

    Raises:
        Invalid: a text field has a file, a file field has text, or a text field appears twice.
    """
    fields: dict[str, object] = {}
    errors: list[tuple[str, str]] = []
    for name in form:
        values = form.getlist(name)
        uploads = [value for value in values if isinstance(value, UploadFile)]
        if name in body_type.multipart_fields:
            if len(uploads) < len(values):
                errors.append((name, "Must be an uploaded file, not text; URLs are never fetched"))
            fields[name] = [await _take(upload) for upload in uploads]
        elif uploads:
            errors.append(
                (name[:64], "Must be text, not a file" if name in body_type.model_fields else _unknown_field(body_type))
            )
        elif len(values) > 1:
            errors.append((name[:64], "Must be given only once"))
        elif (text := _unquote(str(values[0]))) is not None:
            fields[name] = text
    if errors:
        raise Invalid(errors)
    return fields


async def _take(upload: UploadFile) -> Upload:
    """Read an uploaded file, and free the form's copy of it at once."""
    data = await upload.read()
    await upload.close()
    return Upload((upload.filename or "image")[-100:], data)


async def _read_json(request: Request, max_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise TooLarge(f"The JSON body is larger than the limit of {max_bytes} bytes.")
    return bytes(body)


def _check_content_type(request: Request, media_type: str, example: str) -> None:
    """Compare the content type of a request with that of its route. For JSON, it may be missing.

    Raises:
        Unsupported: the content type is another or has too many parameters, the body is compressed, or its charset is not
            UTF-8. The charset is never looked up: Python has decoders that take minutes, and keeps unknown names forever.
        Invalid: the URL has query parameters, which no POST route reads.
    """
    if request.query_params:
        raise Invalid((name[:64] or "body", "Fields belong in the body, not in the URL") for name in request.query_params)
    header = request.headers.get("content-type", "")
    given = header.partition(";")[0].strip().lower()
    if given != media_type and (given or media_type != "application/json"):
        sent = f"The content type is {given}" if given else "The content type is missing"
        raise Unsupported(f"{sent}. This route takes {media_type}. Example: {example}")
    encoding = request.headers.get("content-encoding", "").strip() or "identity"
    if encoding.lower() != "identity":
        raise Unsupported(f"The body is compressed ({encoding[:64]}). Send it without compression.")
    if header.count(";") > MAX_PARAMETERS:
        raise Unsupported(f"The content type has more than {MAX_PARAMETERS} parameters. Example: {example}")
    for name, value in parse_options_header(header)[1].items():
        charset = value.decode("latin-1")
        if name.lower() == b"charset" and charset.lower() not in CHARSETS:
            raise Unsupported(f"The charset is {charset[:64]}. Only utf-8 is supported.")


def _unquote(text: str) -> str | None:
    """Return a form field's text without the quotes of a JSON string; None for JSON's null."""
    if text == "null":
        return None
    if text.startswith('"'):
        try:
            value = json.loads(text)
        except ValueError:
            return text
        return value if isinstance(value, str) else text
    return text


def _invalid(error: ValidationError, body_type: type[RequestBody]) -> Problem:
    """Describe pydantic's errors in the words of this API."""
    details = error.errors(include_url=False, include_input=False)
    return Invalid((field_path(detail["loc"]), _message(detail, body_type)) for detail in details)


def field_path(location: tuple[int | str, ...]) -> str:
    """Write the place of a field as in `latents[0][3]`."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part[:64]}" for part in location)
    return path.removeprefix(".") or "body"


def _message(detail: ErrorDetails, body_type: type[RequestBody]) -> str:
    match detail["type"]:
        case "extra_forbidden":
            return _unknown_field(body_type)
        case "missing":
            return "Missing"
        case "too_short":
            return f"Must have at least {detail['ctx']['min_length']} entries, not {detail['ctx']['actual_length']}"
        case "too_long":
            return f"Must have at most {detail['ctx']['max_length']} entries"
        case "model_type" | "model_attributes_type":
            return "Must be a JSON object"
        case _:
            return detail["msg"].removeprefix("Value error, ")


def _unknown_field(body_type: type[RequestBody]) -> str:
    return f"Unknown field; the fields are {', '.join(_names(body_type))}"


def _names(body_type: type[RequestBody]) -> list[str]:
    """The names of the fields in a request. `class`, a keyword of Python, is an alias."""
    return [field.alias or name for name, field in body_type.model_fields.items()]


def field_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a field's schema for OpenAPI, without the null that means "left out"."""
    options = [option for option in schema.get("anyOf", []) if option.get("type") != "null"]
    of_type = options[0] if len(options) == 1 else {"anyOf": options} if options else {}
    merged = {**of_type, **{k: v for k, v in schema.items() if k != "anyOf"}}
    if merged.get("default", ...) is None:
        del merged["default"]
    return merged

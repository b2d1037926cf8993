"""How a request's body is read and held against its fields: JSON, or a multipart form with files.

BentoML asks an input model for `from_http_request`, which here hands the request on unread; `service.http.bento` then calls
`read` where a `Problem` becomes an answer. BentoML's own readers are never used: they fetch a URL that stands where a
file is expected, guess the content type, and log a traceback for every bad request.
"""

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from bentoml import IODescriptor
from pydantic import ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import ErrorDetails, core_schema, from_json
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from service.http.problems import Invalid, Malformed, Problem, TooLarge, Unsupported

MAX_JSON = 4 * 2**20
"""Bytes of a JSON body: room for the latents of a hundred large samples. Parsed, a body takes far more memory."""

PARSED_AT_ONCE = 2**18
"""Bytes of a JSON body for which the event loop does not need a thread: a few milliseconds."""

# One, so that of many large bodies only one at a time keeps the event loop from Python's lock: parsing does not let go of it.
_parser = ThreadPoolExecutor(1, thread_name_prefix="json")


class Body(IODescriptor):
    """A request body: fields, bounds, and `read`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # The endpoint gets the body whole, which BentoML calls a root input; to a caller its fields are the parameters.
    __root_input__: ClassVar[bool] = True

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The schema of the fields, without BentoML's mark of a root input."""
        schema = super().model_json_schema(*args, **kwargs)
        schema.pop("root_input", None)
        return schema

    @classmethod
    async def from_http_request(cls, request: Request, serde: object) -> Any:
        """Hand the request on, unread."""
        return request

    @classmethod
    async def read(cls, http: Request) -> Self:
        """Read the body and check it.

        Raises:
            Malformed: it cannot be parsed.
            Unsupported: another content type than this route's.
            TooLarge: over the limit.
            Invalid: a field that is unknown, missing, or out of its bounds.
        """
        raise NotImplementedError


class JsonBody(Body):
    """A request body in JSON."""

    @classmethod
    async def read(cls, http: Request) -> Self:
        """Read a JSON object; an empty body is an empty object."""
        _expect(http, "application/json", "curl -H 'Content-Type: application/json' -d '{\"truncation\": 0.7}' ...")
        data = await _json_of(http) or b"{}"
        if len(data) <= PARSED_AT_ONCE:
            return cls._of(data)
        return await asyncio.get_running_loop().run_in_executor(_parser, cls._of, data)

    @classmethod
    def _of(cls, data: bytes) -> Self:
        try:
            fields = from_json(data)
        except ValueError as error:
            raise Malformed(f"The body is not JSON: {error}") from None
        if isinstance(fields, dict) and len(fields) > 2 * len(cls.model_fields):  # pydantic would list each
            raise Invalid((_field((name,)), _unknown(cls)) for name in fields if name not in cls.model_fields)
        try:
            # Strict: the string "4" and the number 4.5 are no counts.
            return cls.model_validate(fields, strict=True)
        except ValidationError as error:
            raise _problem_of(error, cls) from None


class FormBody(Body):
    """A request body in a multipart form: text, and files in the fields that `multipart_fields` names."""

    media_type: ClassVar[str | None] = "multipart/form-data"

    @classmethod
    async def read(cls, http: Request) -> Self:
        """Read a multipart form; text is taken as it is or, as BentoML's client writes it, as JSON."""
        _expect(http, "multipart/form-data", "curl -F image=@photo.jpg ...")
        try:
            form = await http.form()
        except Problem:
            raise
        except (HTTPException, ValueError) as error:  # ValueError: a charset that is none
            detail = error.detail if isinstance(error, HTTPException) else "unknown charset"
            raise Malformed(f"The body is no multipart form: {detail}") from None
        fields = await _fields_of(form, cls)
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise _problem_of(error, cls) from None


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
        # BentoML's client uploads what its schema calls a "file"; OpenAPI's word for it is a binary string.
        return {"type": "file", "format": "image"} if handler.mode == "validation" else BINARY


BINARY = {"type": "string", "format": "binary"}


async def _fields_of(form: FormData, body: type[Body]) -> dict[str, object]:
    """Sort a form into uploads and text.

    Raises:
        Invalid: a file where text belongs, text where a file does, or a text twice.
    """
    fields: dict[str, object] = {}
    errors: list[tuple[str, str]] = []
    for name in form:
        values = form.getlist(name)
        uploads = [value for value in values if isinstance(value, UploadFile)]
        if name in body.multipart_fields:
            if len(uploads) < len(values):
                errors.append((name, "Must be an uploaded file; text is not, and URLs are never fetched"))
            fields[name] = [Upload((upload.filename or "image")[-100:], await upload.read()) for upload in uploads]
        elif uploads:
            errors.append((name[:64], "Must be text, not a file" if name in body.model_fields else _unknown(body)))
        elif len(values) > 1:
            errors.append((name[:64], "Given more than once"))
        elif (text := _plain(str(values[0]))) is not None:
            fields[name] = text
    if errors:
        raise Invalid(errors)
    return fields


async def _json_of(http: Request) -> bytes:
    body = bytearray()
    async for chunk in http.stream():
        body += chunk
        if len(body) > MAX_JSON:
            raise TooLarge(f"A JSON body is over its limit of {MAX_JSON} bytes")
    return bytes(body)


def _expect(http: Request, media_type: str, example: str) -> None:
    """Hold a request's content type against the one of its route; a missing one will do for JSON.

    Raises:
        Unsupported: it is another.
        Invalid: there are fields in the URL, where nobody would read them.
    """
    if http.query_params:
        raise Invalid((name[:64] or "body", "Fields go into the body, not into the URL") for name in http.query_params)
    given = http.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != media_type and (given or media_type != "application/json"):
        raise Unsupported(f"This route takes {media_type}, not {given or 'a body without a type'}: {example}")


def _plain(text: str) -> str | None:
    """A form's text without the quotes that make it JSON; None for JSON's null."""
    if text == "null":
        return None
    if text.startswith('"'):
        try:
            value = json.loads(text)
        except ValueError:
            return text
        return value if isinstance(value, str) else text
    return text


def _problem_of(error: ValidationError, body: type[Body]) -> Problem:
    """Say in this service's words what pydantic found."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return Invalid((_field(detail["loc"]), _message(detail, body)) for detail in details)


def _field(location: tuple[int | str, ...]) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part[:64]}" for part in location)
    return path.removeprefix(".") or "body"


def _message(detail: ErrorDetails, body: type[Body]) -> str:
    match detail["type"]:
        case "extra_forbidden":
            return _unknown(body)
        case "missing":
            return "Missing"
        case "model_type" | "model_attributes_type":
            return "Must be a JSON object"
        case _:
            return detail["msg"].removeprefix("Value error, ")


def _unknown(body: type[Body]) -> str:
    return f"Unknown field; the fields are {', '.join(body.model_fields)}"


def field_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A field's schema as OpenAPI has it: without the null that stands for "left out"."""
    options = [option for option in schema.get("anyOf", []) if option.get("type") != "null"]
    merged = {**options[0], **{k: v for k, v in schema.items() if k != "anyOf"}} if options else dict(schema)
    if merged.get("default", ...) is None:
        del merged["default"]
    return merged

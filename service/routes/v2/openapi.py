"""The routes of the Open Inference Protocol in the OpenAPI document."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ganvas import api
from service.http.parsing import field_schema
from service.routes.v2.schemas import IndexFields, InferFields

TAG = "Open Inference Protocol"
TAG_TEXT = "The same models for clients of other inference servers. Each route of a model also exists for its version."

_LENGTH = {"schema": {"type": "integer"}, "description": "Bytes of JSON before the bytes of tensors, if any follow."}
_GET = {
    api.V2: ("Name, version and extensions of the service.", (401, 500)),
    api.V2_LIVE: ("Whether the process works, as /livez.", (500, 503)),
    api.V2_READY: ("Whether the service accepts requests, as /readyz.", (500, 503)),
    api.V2_STATISTICS: ("Statistics of all models.", (401, 500)),
    api.V2_MODEL: ("The inputs and outputs of a model. A size of -1 is chosen by the request.", (401, 404, 500)),
    f"{api.V2_MODEL}/ready": ("Whether a model accepts requests.", (401, 404, 500, 503)),
    f"{api.V2_MODEL}/config": ("The configuration of a model, as Triton writes it.", (401, 404, 500)),
    f"{api.V2_MODEL}/stats": (
        "Statistics of a model since its version was loaded: requests (success, fail), jobs that waited (queue), and batches "
        "(compute_infer), each with its number and its nanoseconds.",
        (401, 404, 500),
    ),
}
_INFER = (
    "Run a model on its own tensors, as its metadata lists them: numbers in JSON, or bytes after it. A stylizer also takes "
    "encoded images of any size as BYTES [n]."
)


def paths(problems: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """The routes.

    Args:
        problems: describes the responses for some statuses.
    """
    found = {path: {"get": _operation(path, text, problems(*statuses))} for path, (text, statuses) in _GET.items()}
    infer = _operation(f"{api.V2_MODEL}/infer", _INFER, problems(400, 401, 404, 413, 415, 422, 429, 500, 503, 504))
    infer["responses"]["200"]["content"]["application/octet-stream"] = {"schema": {"type": "string", "format": "binary"}}
    infer["responses"]["200"]["headers"] = {api.JSON_LENGTH_HEADER: _LENGTH}
    infer["requestBody"] = _body(InferFields, required=True)
    index = _operation(
        api.V2_INDEX, "Every model of the models folder, and why one is not served.", problems(400, 401, 413, 422, 500)
    )
    index["requestBody"] = _body(IndexFields, required=False)
    return {**found, f"{api.V2_MODEL}/infer": {"post": infer}, api.V2_INDEX: {"post": index}}


def schemas(ref_template: str) -> dict[str, Any]:
    """The objects in requests."""
    _, found = models_json_schema([(InferFields, "serialization")], ref_template=ref_template)
    return {name: _described(schema) for name, schema in found["$defs"].items() if name != InferFields.__name__}


def _operation(path: str, description: str, problems: dict[str, Any]) -> dict[str, Any]:
    success = {"description": "Success.", "content": {"application/json": {"schema": {"type": "object"}}}}
    operation = {"tags": [TAG], "description": description, "responses": {"200": success, **problems}}
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    return {**operation, "parameters": [name]} if "{name}" in path else operation


def _body(fields: type[BaseModel], *, required: bool) -> dict[str, Any]:
    schema = fields.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
    schema.pop("$defs", None)
    return {"required": required, "content": {"application/json": {"schema": _described(schema)}}}


def _described(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without nulls that mean "left out"."""
    properties = {name: field_schema(field) for name, field in schema["properties"].items()}
    return {**{key: value for key, value in schema.items() if key != "title"}, "properties": properties}

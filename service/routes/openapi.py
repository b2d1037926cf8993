"""The OpenAPI document: BentoML's own, completed with what BentoML does not know.

BentoML describes the inputs of the POST routes and the health checks. This module adds the GET routes, the media types and
headers of the responses, and one problem document for each status.
"""

from typing import Any

from pydantic.json_schema import models_json_schema

from ganvas import api
from ganvas.card import CARDS
from service.http.parsing import BINARY, RequestBody, field_schema
from service.http.problems import MEDIA_TYPE, Invalid, NotFound, Problem
from service.process.versions import versions
from service.routes.schemas import InterpolateRequest, SampleRequest, StylizeRequest
from service.routes.v2 import openapi as v2

REF = "#/components/schemas/{model}"
DESCRIPTION = "Images from generators and style networks. Every error is an RFC 9457 problem document."
VERSION_SCHEMA = {"type": "string", "description": "The first characters of the file's SHA-256."}
DEVICE_SCHEMA = {"enum": ["cpu", "cuda", "tensorrt"], "description": "Where the model runs."}
DEFAULTS_SCHEMA = {
    "type": "array",
    "items": {"type": "string"},
    "description": "Names in GANVAS_DEFAULT_MODELS that are served. A request without a model gets the first that fits.",
}
VERSIONS_SCHEMA = {
    "type": "object",
    "additionalProperties": {"type": "string"},
    "description": "Versions of this code and of its libraries.",
}
REQUEST_HEADER = {
    api.REQUEST_ID_HEADER: {
        "schema": {"type": "string"},
        "description": "The id of the request in the log: the client's own if it is 1 to 128 letters, digits and "
        "._~+/=:-, otherwise a new one.",
    }
}
MODEL_HEADER = {api.MODEL_HEADER: {"schema": {"type": "string"}, "description": "NAME@VERSION of the model."}}
SEED_HEADER = {api.SEED_HEADER: {"schema": {"type": "integer"}, "description": "The seed of all images, if they have one."}}
SEEDS_HEADER = {
    api.SEEDS_HEADER: {
        "schema": {"type": "string"},
        "description": "The seeds of the images, separated by commas, if each has its own.",
    }
}

UPLOAD_TYPES = ", ".join(api.FILE_TYPES[name].media_type for name in api.UPLOAD_FORMATS)
"""Media types of the files in a form."""

MODEL_PROBLEMS = (400, 401, 404, 413, 415, 422, 429, 500, 503, 504)
"""Statuses of the problems of a POST route that runs a model."""

IMAGES_TAG, MODELS_TAG, OPERATION_TAG = "Images", "Models", "Operation"
TAGS = {
    IMAGES_TAG: "Make images.",
    MODELS_TAG: "What is served.",
    v2.TAG: v2.TAG_TEXT,
    OPERATION_TAG: "Health checks and metrics.",
}
"""The headings of /docs, in order."""

INFRASTRUCTURE = {
    "/livez": "Liveness probe: fails if the process must be restarted, because a device hangs.",
    "/readyz": "Readiness probe: fails during shutdown, if no model is served, or if a device hangs.",
    "/healthz": "Liveness probe under an older name.",
    "/metrics": "Metrics in the format of Prometheus.",
}


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Complete BentoML's OpenAPI document."""
    paths: dict[str, dict[str, dict[str, Any]]] = {}
    for route, body_type, formats, headers, problems in (
        (api.SAMPLE, SampleRequest, api.SAMPLE_FORMATS, {**MODEL_HEADER, **SEED_HEADER, **SEEDS_HEADER}, MODEL_PROBLEMS),
        (api.INTERPOLATE, InterpolateRequest, api.ANIMATION_FORMATS, {**MODEL_HEADER, **SEEDS_HEADER}, MODEL_PROBLEMS),
        (api.STYLIZE, StylizeRequest, (*api.IMAGE_FORMATS, "zip"), MODEL_HEADER, MODEL_PROBLEMS),
    ):
        operation = {**document["paths"][route]["post"], "tags": [IMAGES_TAG]}
        operation["requestBody"] = _request_body(body_type)
        content = {api.FILE_TYPES[name].media_type: {"schema": BINARY} for name in formats}
        success = {"description": "The images.", "headers": {**headers, **REQUEST_HEADER}, "content": content}
        operation["responses"] = {"200": success, **_problems(*problems)}
        paths[route] = {"post": operation}
    paths.update(_get_routes())
    paths.update(v2.paths(_problems))
    for path, summary in INFRASTRUCTURE.items():
        operation = {**document["paths"][path]["get"], "tags": [OPERATION_TAG], "description": summary}
        if path in ("/livez", "/readyz"):
            operation["responses"] = {**operation["responses"], **_problems(503)}
        paths[path] = {"get": operation}
    for operation in (operation for methods in paths.values() for operation in methods.values()):
        operation["summary"] = operation["description"].partition(":")[0].rstrip(".")
    return {
        **document,
        "openapi": "3.1.0",  # from 3.1 on, schemas are JSON Schema, which pydantic writes
        "info": {"title": "Ganvas", "version": versions()["ganvas"], "description": DESCRIPTION},
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {"schemas": _schemas()},
    }


def _request_body(body_type: type[RequestBody]) -> dict[str, Any]:
    schema = body_type.model_json_schema(mode="serialization")
    fields = {name: field_schema(field) for name, field in schema["properties"].items()}
    media_type = body_type.media_type or "application/json"
    described = {"type": "object", "properties": fields, "additionalProperties": False}
    if required := schema.get("required"):
        described["required"] = required
    content: dict[str, Any] = {"schema": described}
    if files := body_type.multipart_fields:
        content["encoding"] = {name: {"contentType": UPLOAD_TYPES} for name in files}
    return {"required": bool(required), "content": {media_type: content}}


def _get_routes() -> dict[str, Any]:
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}

    def get(summary: str, media_type: str, schema: dict[str, Any], *problems: int) -> dict[str, Any]:
        success = {"description": "Success.", "content": {media_type: {"schema": schema}}}
        operation = {"tags": [MODELS_TAG], "description": summary, "responses": {"200": success, **_problems(*problems)}}
        return {"get": {**operation, "parameters": [name]} if NotFound.status in problems else operation}

    json, model, listed = "application/json", {"$ref": REF.format(model="Model")}, {"$ref": REF.format(model="Models")}
    preview = "What the model makes, as a contact sheet: samples of a generator, or the styles of a stylizer."
    return {
        api.MODELS: get(
            "Every served model, the defaults among them, and every refused file with the reason.", json, listed, 401, 500
        ),
        api.MODEL: get("The version, the device and the card of one model.", json, model, 401, 404, 500),
        api.PREVIEW: get(preview, "image/png", BINARY, 401, 404, 429, 500, 503, 504),
    }


def _problems(*statuses: int) -> dict[str, Any]:
    kinds = {cls.status: cls for cls in Problem.__subclasses__()}
    return {
        str(status): {
            "description": f"{kinds[status].title}: {(kinds[status].__doc__ or '').splitlines()[0]}",
            "headers": REQUEST_HEADER,
            "content": {
                MEDIA_TYPE: {"schema": {"$ref": REF.format(model="Invalid" if status == Invalid.status else "Problem")}}
            },
        }
        for status in statuses
    }


def _schemas() -> dict[str, Any]:
    _, cards = models_json_schema([(card, "serialization") for card in CARDS], ref_template=REF)
    text = {"type": "string"}
    problem = {"type": text, "title": text, "status": {"type": "integer"}, "detail": text, "request_id": text}
    error = {"type": "object", "properties": {"field": text, "detail": text}, "required": ["field", "detail"]}
    card = {"oneOf": [{"$ref": REF.format(model=card.__name__)} for card in CARDS]}
    refused = {"type": "object", "properties": {"file": text, "reason": text}, "required": ["file", "reason"]}
    return {
        **cards["$defs"],
        **v2.schemas(REF),
        "Model": _object({"version": VERSION_SCHEMA, "device": DEVICE_SCHEMA, "card": card}),
        "Models": _object(
            {
                "models": _list({"$ref": REF.format(model="Model")}),
                "defaults": DEFAULTS_SCHEMA,
                "refused": _list(refused),
                "versions": VERSIONS_SCHEMA,
            }
        ),
        "Problem": _object(problem),
        "Invalid": _object({**problem, "errors": _list(error)}),
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}

"""The OpenAPI document: BentoML's own, completed with what it cannot know.

BentoML describes the POST routes' inputs and its health checks. Added here: the GET routes, what each answer's type and
headers are, and the problem documents, one a status.
"""

from typing import Any

from pydantic.json_schema import models_json_schema

from ganvas import api
from ganvas.card import GeneratorCard, StylizerCard
from service.http.parsing import BINARY, Body, field_schema
from service.http.problems import MEDIA_TYPE, Invalid, NotFound, Problem
from service.process.versions import versions
from service.routes.schemas import InterpolateRequest, SampleRequest, StylizeRequest

REF = "#/components/schemas/{model}"
DESCRIPTION = "Pictures from generators and style networks. Every error is an RFC 9457 problem document."
VERSION_SCHEMA = {"type": "string", "description": "The start of the file's SHA-256."}
DEVICE_SCHEMA = {"enum": ["cpu", "cuda", "tensorrt"], "description": "Where it runs."}
VERSIONS_SCHEMA = {"type": "object", "additionalProperties": {"type": "string"}, "description": "Of this code and the runtime."}
REQUEST_HEADER = {
    api.REQUEST_ID_HEADER: {
        "schema": {"type": "string"},
        "description": "The request's name in the log: the caller's own, where it sent one of up to 128 letters, digits "
        "and ._~+/=:-, or a new one.",
    }
}
MODEL_HEADER = {api.MODEL_HEADER: {"schema": {"type": "string"}, "description": "NAME@VERSION of the model."}}
SEED_HEADER = {api.SEED_HEADER: {"schema": {"type": "integer"}, "description": "The seed used, where there is one."}}
SEEDS_HEADER = {
    api.SEEDS_HEADER: {
        "schema": {"type": "string"},
        "description": "The seeds used, parted by commas, where there are several.",
    }
}


def describe(document: dict[str, Any]) -> dict[str, Any]:
    """Complete BentoML's OpenAPI document."""
    paths = dict(document["paths"])
    for route, body, formats, headers in (
        (api.SAMPLE, SampleRequest, api.SAMPLE_FORMATS, {**MODEL_HEADER, **SEED_HEADER, **SEEDS_HEADER}),
        (api.INTERPOLATE, InterpolateRequest, api.ANIMATION_FORMATS, {**MODEL_HEADER, **SEEDS_HEADER}),
        (api.STYLIZE, StylizeRequest, (*api.IMAGE_FORMATS, "zip"), MODEL_HEADER),
    ):
        operation = dict(paths[route]["post"])
        operation["requestBody"] = _request(body)
        content = {api.FILE_TYPES[name].media_type: {"schema": BINARY} for name in formats}
        success = {"description": "The pictures.", "headers": {**headers, **REQUEST_HEADER}, "content": content}
        operation["responses"] = {"200": success, **_problems(400, 401, 404, 413, 415, 422, 429, 500, 503, 504)}
        paths[route] = {"post": operation}
    for probe in ("/livez", "/readyz"):
        paths[probe]["get"]["responses"].update(_problems(503))
    paths.update(_model_routes(document["tags"][0]["name"]))
    return {
        **document,
        "openapi": "3.1.0",  # whose schemas are JSON Schema, as pydantic writes them
        "info": {"title": "Ganvas", "version": version(), "description": DESCRIPTION},
        "paths": paths,
        "components": {"schemas": _schemas()},
    }


def version() -> str:
    """The version of this code, as it was installed."""
    return versions()["ganvas"]


def _request(body: type[Body]) -> dict[str, Any]:
    schema = body.model_json_schema(mode="serialization")
    fields = {name: field_schema(field) for name, field in schema["properties"].items()}
    media_type = body.media_type or "application/json"
    described = {"type": "object", "properties": fields, "additionalProperties": False}
    if required := schema.get("required"):
        described["required"] = required
    return {"required": bool(required), "content": {media_type: {"schema": described}}}


def _model_routes(tag: str) -> dict[str, Any]:
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}

    def get(summary: str, media_type: str, schema: dict[str, Any], *problems: int) -> dict[str, Any]:
        success = {"description": "Success.", "content": {media_type: {"schema": schema}}}
        operation = {"tags": [tag], "description": summary, "responses": {"200": success, **_problems(*problems)}}
        return {"get": {**operation, "parameters": [name]} if NotFound.status in problems else operation}

    json, model, listed = "application/json", {"$ref": REF.format(model="Model")}, {"$ref": REF.format(model="Models")}
    made = "What the model makes: samples, or its styles."
    return {
        api.MODELS: get("Every model, and the refused files.", json, listed, 401, 500),
        api.MODEL: get("One model's card and version.", json, model, 401, 404, 500),
        api.PREVIEW: get(made, "image/png", BINARY, 401, 404, 429, 500, 503, 504),
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
    _, cards = models_json_schema([(GeneratorCard, "serialization"), (StylizerCard, "serialization")], ref_template=REF)
    text = {"type": "string"}
    problem = {"type": text, "title": text, "status": {"type": "integer"}, "detail": text, "request_id": text}
    error = {"type": "object", "properties": {"field": text, "detail": text}, "required": ["field", "detail"]}
    card = {"oneOf": [{"$ref": REF.format(model=name)} for name in ("GeneratorCard", "StylizerCard")]}
    refused = {"type": "object", "properties": {"file": text, "reason": text}, "required": ["file", "reason"]}
    return {
        **cards["$defs"],
        "Model": _object({"version": VERSION_SCHEMA, "device": DEVICE_SCHEMA, "card": card}),
        "Models": _object(
            {"models": _list({"$ref": REF.format(model="Model")}), "refused": _list(refused), "versions": VERSIONS_SCHEMA}
        ),
        "Problem": _object(problem),
        "Invalid": _object({**problem, "errors": _list(error)}),
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}

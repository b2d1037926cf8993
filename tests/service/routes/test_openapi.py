import subprocess
import sys
from typing import Any

import httpx
import pytest

from ganvas import api
from ganvas.card import CARDS
from service.http.problems import Problem
from tests.service.conftest import LIMITS


@pytest.fixture
def document(client: httpx.Client) -> dict[str, Any]:
    described: dict[str, Any] = client.get("/docs.json").json()
    return described


def fields(document: dict[str, Any], route: str, media_type: str) -> dict[str, Any]:
    schema = document["paths"][route]["post"]["requestBody"]["content"][media_type]["schema"]
    assert schema["additionalProperties"] is False
    properties: dict[str, Any] = schema["properties"]
    return properties


def test_document_is_made_once() -> None:
    script = "from service.app import Ganvas; print(Ganvas.openapi_spec is Ganvas.openapi_spec)"
    # In its own process: the import of BentoML causes warnings, and warnings are errors here.
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "True\n"


def test_describes_every_route(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert {*document["paths"]} >= {
        "/v1/sample", "/v1/interpolate", "/v1/stylize", "/v1/models", "/v1/models/{name}", "/v1/models/{name}/preview.png",
        "/livez", "/readyz", "/metrics",
    }  # fmt: skip


def test_describes_bounds_of_sample(document: dict[str, Any]) -> None:
    sample = fields(document, "/v1/sample", "application/json")
    assert {*sample} == {"model", "n", "seed", "seeds", "latents", "class", "truncation", "format"}
    assert (sample["n"]["minimum"], sample["n"]["maximum"]) == (1, LIMITS["max_n"])
    assert (sample["seed"]["minimum"], sample["seed"]["exclusiveMaximum"]) == (0, 2**32)
    assert (sample["truncation"]["minimum"], sample["truncation"]["maximum"]) == (0, 1)
    assert sample["latents"]["maxItems"] == sample["seeds"]["maxItems"] == LIMITS["max_n"]
    one, several = sample["class"]["anyOf"]
    assert (one["type"], several["items"], several["maxItems"]) == ("string", one, LIMITS["max_n"])
    assert sample["format"]["enum"] == [*api.SAMPLE_FORMATS]
    assert all(field["description"] for field in sample.values())


def test_describes_bounds_of_interpolate(document: dict[str, Any]) -> None:
    interpolate = fields(document, "/v1/interpolate", "application/json")
    assert {*interpolate} == {"model", "seeds", "latents", "class", "steps", "truncation", "loop", "fps", "format"}
    for lists in (interpolate["seeds"], interpolate["latents"], interpolate["class"]["anyOf"][1]):
        assert (lists["minItems"], lists["maxItems"]) == (2, 8)
    assert (interpolate["steps"]["minimum"], interpolate["steps"]["maximum"]) == (2, 120)
    assert f"at most {LIMITS['max_frames']} frames" in interpolate["steps"]["description"]
    assert (interpolate["fps"]["minimum"], interpolate["fps"]["maximum"]) == (1, 60)
    assert interpolate["loop"]["default"] is True
    assert interpolate["format"]["enum"] == [*api.ANIMATION_FORMATS]
    assert all(field["description"] for field in interpolate.values())


def test_describes_bounds_of_stylize(document: dict[str, Any]) -> None:
    stylize = fields(document, "/v1/stylize", "multipart/form-data")
    assert {*stylize} == {"image", "model", "style", "strength", "keep_color", "brush", "max_side", "format"}
    assert stylize["image"]["items"] == {"type": "string", "format": "binary"}
    assert stylize["image"]["maxItems"] == LIMITS["max_images"]
    assert (stylize["max_side"]["minimum"], stylize["max_side"]["maximum"]) == (16, LIMITS["max_side"])
    assert stylize["max_side"]["default"] == LIMITS["default_side"]
    body = document["paths"]["/v1/stylize"]["post"]["requestBody"]
    assert body["required"]
    content = body["content"]["multipart/form-data"]
    assert content["schema"]["required"] == ["image"]
    media_types = [api.FILE_TYPES[name].media_type for name in api.UPLOAD_FORMATS]
    assert content["encoding"] == {"image": {"contentType": ", ".join(media_types)}}


@pytest.mark.parametrize(
    ("route", "formats"),
    [
        ("/v1/sample", api.SAMPLE_FORMATS),
        ("/v1/interpolate", api.ANIMATION_FORMATS),
        ("/v1/stylize", (*api.IMAGE_FORMATS, "zip")),
    ],
)
def test_describes_responses_of_post_routes(document: dict[str, Any], route: str, formats: tuple[str, ...]) -> None:
    responses = document["paths"][route]["post"]["responses"]
    assert {*responses["200"]["content"]} == {api.FILE_TYPES[name].media_type for name in formats}
    assert "Ganvas-Model" in responses["200"]["headers"]
    problems = {status for status in responses if status != "200"}
    assert problems == {str(cls.status) for cls in Problem.__subclasses__() if cls.status != 405}  # before any route
    assert all({*responses[status]["content"]} == {"application/problem+json"} for status in problems)


def test_describes_problems_of_preview(document: dict[str, Any]) -> None:
    responses = document["paths"]["/v1/models/{name}/preview.png"]["get"]["responses"]
    assert {*responses} == {"200", "401", "404", "429", "500", "503", "504"}


def test_every_reference_resolves(document: dict[str, Any]) -> None:
    def references(part: Any) -> list[str]:
        if isinstance(part, dict):
            own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
            return own + [found for value in part.values() for found in references(value)]
        return [found for value in part for found in references(value)] if isinstance(part, list) else []

    names = {reference.removeprefix("#/components/schemas/") for reference in references(document)}
    assert names <= {*document["components"]["schemas"]}
    assert {"Problem", "Invalid"} <= names


def test_describes_the_card_of_every_kind(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    listed = [option["$ref"].rpartition("/")[2] for option in schemas["Model"]["properties"]["card"]["oneOf"]]
    assert listed == [card.__name__ for card in CARDS]
    for card in CARDS:
        assert {*schemas[card.__name__]["properties"]} == {*card.model_fields}

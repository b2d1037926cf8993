import re
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import numpy as np
import onnxruntime
import pytest

from ganvas.card import dump_card, parse_card
from service.engine.handlers.generator import PREVIEW_IMAGES, PREVIEW_SEED
from service.engine.handlers.stylizer import THUMBNAIL_SIDE
from service.engine.latents import latents_of_seed
from tests.service.conftest import Problem, pixels
from tests.service.http.test_telemetry import value
from tests.service.onnx_models import LATENT_SIZE, SIDE, generated, generator_card, save, slow_generator_model, stylizer_card
from tests.service.process.test_drain import until
from tests.service.running import Running, running

PREVIEW_OF_SLOW = "/v1/models/slow/preview.png"


def slow_service(folder: Path, row_s: float, **settings: object) -> AbstractContextManager[Running]:
    save(slow_generator_model(row_s), folder / "models" / "slow.onnx", generator_card("slow"))
    return running(folder / "models", folder / "log", **settings)


def test_lists_served_models_and_refused_files(client: httpx.Client) -> None:
    listed = client.get("/v1/models").json()
    assert [model["card"]["name"] for model in listed["models"]] == ["digits", "painters"]
    assert listed["defaults"] == []
    assert [refused["file"] for refused in listed["refused"]] == ["broken.onnx"]
    assert "it is not an ONNX file" in listed["refused"][0]["reason"]
    assert {model["device"] for model in listed["models"]} == {"cpu"}
    assert listed["versions"]["onnxruntime"] == onnxruntime.__version__


def test_only_single_model_has_thumbnails(client: httpx.Client) -> None:
    listed = client.get("/v1/models").json()["models"][1]["card"]["styles"]
    shown = client.get("/v1/models/painters").json()["card"]["styles"]
    assert [style["name"] for style in listed] == [style["name"] for style in shown]
    assert all(style["thumbnail"] for style in shown)
    assert not any("thumbnail" in style for style in listed)


@pytest.mark.parametrize("card", [generator_card(), stylizer_card()])
def test_shows_the_card_of_a_model(client: httpx.Client, card: object) -> None:
    shown = client.get(f"/v1/models/{card.name}")  # type: ignore[attr-defined]
    assert shown.headers["content-type"] == "application/json"
    assert re.fullmatch("[0-9a-f]{12}", shown.json()["version"])
    assert parse_card(dump_card(card)) == parse_card(httpx.Response(200, json=shown.json()["card"]).content)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["/v1/models/nope", "/v1/models/nope/preview.png", "/v1/models/%00", "/v1/models/broken"])
def test_unknown_model_lists_known_models(client: httpx.Client, problem: Problem, path: str) -> None:
    problem(client.get(path), 404, mentions="the models are digits, painters")


def test_preview_of_generator_is_a_sheet_of_samples(client: httpx.Client) -> None:
    response = client.get("/v1/models/digits/preview.png")
    assert response.headers["content-type"] == "image/png"
    sheet = pixels(response.content)
    assert sheet.shape == (4 * SIDE + 6, 4 * SIDE + 6)
    expected = generated(latents_of_seed(PREVIEW_SEED, PREVIEW_IMAGES, LATENT_SIZE))
    np.testing.assert_array_equal(sheet[-SIDE:, -SIDE:], expected[15, :, :, 0])
    assert client.get("/v1/models/digits/preview.png").content == response.content


def test_preview_of_stylizer_is_a_sheet_of_thumbnails(client: httpx.Client) -> None:
    sheet = pixels(client.get("/v1/models/painters/preview.png").content)
    assert sheet.shape == (2 * THUMBNAIL_SIDE + 2, 2 * THUMBNAIL_SIDE + 2, 3)
    np.testing.assert_allclose(sheet[10, 10], [0, 100, 50], atol=5)
    np.testing.assert_allclose(sheet[10, -10], [80, 100, 50], atol=5)


def test_concurrent_requests_share_one_preview(tmp_path: Path) -> None:
    with slow_service(tmp_path, row_s=0.5) as service, httpx.Client(base_url=service.url) as client:
        with ThreadPoolExecutor(4) as pool:
            shown = [*pool.map(lambda _: httpx.get(f"{service.url}{PREVIEW_OF_SLOW}", timeout=60), range(4))]
        assert [response.status_code for response in shown] == [200] * 4
        assert len({response.content for response in shown}) == 1
        assert value(client, "ganvas_batch_rows_sum", model="slow") == PREVIEW_IMAGES


def test_preview_times_out(tmp_path: Path, problem: Problem) -> None:
    with slow_service(tmp_path, row_s=1.5, timeout_s=0.5) as service:
        problem(httpx.get(f"{service.url}{PREVIEW_OF_SLOW}", timeout=60), 504, mentions="longer than 0.5 s")


def test_preview_is_cancelled_when_every_client_disconnects(tmp_path: Path) -> None:
    with (
        slow_service(tmp_path, row_s=0.2, max_batch_rows=1) as service,  # one batch per sample
        httpx.Client(base_url=service.url, timeout=60) as client,
    ):
        with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as caller:
            caller.sendall(f"GET {PREVIEW_OF_SLOW} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            until(lambda: value(client, "ganvas_queue_rows", model="slow") > 0)
        until(lambda: value(client, "ganvas_dropped_rows_total", model="slow") > 0)
        until(lambda: value(client, "ganvas_http_requests_in_flight") == 1)  # this request
        assert client.get(PREVIEW_OF_SLOW).status_code == 200  # a new preview is made


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
def test_health_checks_succeed(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 200


def test_metrics_count_requests(client: httpx.Client) -> None:
    client.post("/v1/sample")
    text = client.get("/metrics").text
    assert re.search(r'ganvas_http_requests_total\{method="POST",route="/v1/sample",status="200"\} [1-9]', text)


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_page_loads_only_own_files(client: httpx.Client, path: str) -> None:
    page = client.get(path)
    assert page.headers["content-type"].startswith("text/html")
    linked = re.findall(r'<(?:script|link|img)[^>]* (?:src|href)="([^"]+)"', page.text)
    assert len(linked) > 3
    for link in linked:
        assert link.startswith("./")
        assert client.get(link.removeprefix(".")).status_code == 200


def test_pages_of_bentoml_are_not_served(client: httpx.Client, problem: Problem) -> None:
    for path in ("/static_content/swagger-ui-bundle.js", "/static_content/index.css", "/static_content/"):
        problem(client.get(path), 404)


def test_schema_json_describes_routes_for_bentoml_client(client: httpx.Client) -> None:
    routes = {route["name"]: route for route in client.get("/schema.json").json()["routes"]}
    assert routes["sample"]["route"] == "/v1/sample"
    assert routes["stylize"]["input"]["properties"]["image"]["items"]["type"] == "file"


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/digits", "/docs.json", "/nope"])
def test_json_ends_with_a_line_end(path: str, client: httpx.Client) -> None:
    assert client.get(path).text.endswith("}\n")

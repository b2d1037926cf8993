"""Sends a few hundred of the malformed requests of `python -m benchmarks.fuzz`."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.fuzz import HarmError, exchange, fuzz, good_requests, main
from benchmarks.malformed import Maker
from benchmarks.provenance import measured_on
from tests.service.onnx_models import generator_card, generator_model, save, stylizer_card, stylizer_model
from tests.service.running import running


def body(media_type: str, field: str) -> dict:
    return {"post": {"requestBody": {"content": {media_type: {"schema": {"properties": {field: {}}}}}}}}


DOCUMENT = {
    "paths": {
        "/v1/sample": body("application/json", "n"),
        "/v1/stylize": body("multipart/form-data", "image"),
        "/livez": {"get": {}},
    }
}


def test_same_seed_makes_the_same_requests() -> None:
    first, again = Maker(DOCUMENT, 3), Maker(DOCUMENT, 3)
    made = [first.next() for _ in range(400)]
    assert made == [again.next() for _ in range(400)]
    kinds = Counter(one.kind for one in made)
    assert len(kinds) == 10
    assert min(kinds.values()) > 5


@pytest.mark.parametrize("seed", [1, 2])
def test_service_survives_malformed_requests(seed: int, tmp_path: Path) -> None:
    save(generator_model(), tmp_path / "models" / "digits.onnx", generator_card())
    save(stylizer_model(), tmp_path / "models" / "painters.onnx", stylizer_card())
    with running(tmp_path / "models", tmp_path / "log") as service:
        cards = [generator_card().model_dump(), stylizer_card().model_dump()]
        assert [asyncio.run(exchange(service.url, good)) for good in good_requests(cards)] == [200, 200]
        statuses = fuzz(service.url, 250, seed)
        assert {"400", "404", "415", "422"} <= {*statuses}
        assert service.stop() == 0
        assert "Traceback" not in service.stderr()


def test_good_requests_cover_all_served_kinds() -> None:
    generator, stylizer = generator_card().model_dump(), stylizer_card().model_dump()
    both = [good.data.split(b" ")[1] for good in good_requests([stylizer, generator, generator_card("heads").model_dump()])]
    assert both == [b"/v1/sample", b"/v1/stylize"]
    assert b'{"model": "digits"}' in good_requests([generator])[0].data
    assert [good.data.split(b" ")[1] for good in good_requests([stylizer])] == [b"/v1/stylize"]
    with pytest.raises(HarmError, match="serves no model"):
        good_requests([])
    with pytest.raises(HarmError, match="serves only models of other kinds: upscaler"):
        good_requests([{**generator, "kind": "upscaler"}])


def test_failed_good_request_is_reported(tmp_path: Path) -> None:
    save(stylizer_model(), tmp_path / "models" / "painters.onnx", stylizer_card())
    with running(tmp_path / "models", tmp_path / "log", max_pixels=256) as service, pytest.raises(HarmError) as caught:
        fuzz(service.url, 10, 1)  # the good image is larger
    assert "413 to a good request to stylize" in str(caught.value)


def test_section_names_the_machine(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- fuzz -->\n<!-- /fuzz -->\n")
    main(requests=20, seed=1, url=None, table=page)
    _, _, head, _, found, _, _ = page.read_text().splitlines()
    assert head == measured_on()
    assert found.startswith("20 malformed requests (seed 1): no 5xx, ")

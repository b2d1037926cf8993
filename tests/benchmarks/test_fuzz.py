"""A few hundred of the malformed requests that `python -m benchmarks.fuzz` sends by the thousand."""

from collections import Counter
from pathlib import Path

import pytest

from benchmarks.fuzz import fuzz
from benchmarks.malformed import Maker
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


def test_the_same_seed_makes_the_same_requests_of_every_kind() -> None:
    first, again = Maker(DOCUMENT, 3), Maker(DOCUMENT, 3)
    made = [first.next() for _ in range(400)]
    assert made == [again.next() for _ in range(400)]
    kinds = Counter(one.kind for one in made)
    assert len(kinds) == 9
    assert min(kinds.values()) > 5


@pytest.mark.parametrize("seed", [1, 2])
def test_malformed_requests_do_no_harm(seed: int, tmp_path: Path) -> None:
    save(generator_model(), tmp_path / "models" / "digits.onnx", generator_card())
    save(stylizer_model(), tmp_path / "models" / "painters.onnx", stylizer_card())
    with running(tmp_path / "models", tmp_path / "log") as service:
        statuses = fuzz(service.url, 250, seed)
        assert {"400", "404", "415", "422"} <= {*statuses}
        assert service.stop() == 0
        assert "Traceback" not in service.stderr()

import numpy as np
import pytest

from service.engine.blends import parse_blend
from service.engine.errors import InvalidValueError, NotFoundError

NAMES = ["night", "wave", "scream"]


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("wave", [0, 1, 0]),
        ("night:0.7,scream:0.3", [0.7, 0, 0.3]),
        ("night:2,wave:2", [0.5, 0.5, 0]),
        ("night,wave", [0.5, 0.5, 0]),
        (" night : 1 , wave : 0 ", [1, 0, 0]),
        ("night:1,night:1,wave:2", [0.5, 0.5, 0]),
        ("night:1e-30", [1, 0, 0]),
    ],
)
def test_parses_styles_and_blends(text: str, weights: list[float]) -> None:
    blend = parse_blend(text, NAMES)
    assert blend.dtype == np.float32
    np.testing.assert_allclose(blend, weights, atol=1e-7)


def test_only_style_is_the_default() -> None:
    assert parse_blend(None, ["night"]) == [1]


def test_without_a_style_lists_the_styles() -> None:
    with pytest.raises(InvalidValueError, match="night, wave, scream"):
        parse_blend(None, NAMES)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "night,",
        ":1",
        "night:",
        "night:x",
        "night:-1",
        "night:nan",
        "night:inf",
        "night:0",
        "night:0,wave:0",
        "night:1:2",
        "night:1e-300",
        "night:1e308,wave:1e308",
    ],
)
def test_rejects_invalid_blends(text: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_blend(text, NAMES)
    assert caught.value.field == "style"


@pytest.mark.parametrize("text", ["knight", "night:1,knight:1", "NIGHT", "night;wave", "🎨"])
def test_unknown_style_lists_the_known_ones(text: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        parse_blend(text, NAMES)
    assert "night, wave, scream" in str(caught.value)

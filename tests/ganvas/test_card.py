import json
from base64 import b64encode
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from ganvas.card import (
    MAX_CARD,
    MAX_LATENT_SIZE,
    MAX_SIDE,
    Card,
    GeneratorCard,
    Style,
    StylizerCard,
    TrainingData,
    dump_card,
    parse_card,
)

COMMON: dict[str, Any] = {
    "name": "digits",
    "title": "Digits",
    "summary": "Handwritten digits.",
    "architecture": "dcgan",
    "licence": "CC0",
    "training_data": (TrainingData(title="Digits", source="made here", licence="CC0"),),
    "training_config": {"width": 64, "betas": [0.5, 0.999], "flip": False, "channels": None},
}
STYLES = (
    Style(name="night", title="Night", artist="V", year=1889, licence="CC0"),
    Style(name="wave", title="W", artist="H", licence="CC0"),
)
GENERATOR = GeneratorCard(**COMMON, latent_size=100, height=28, width=28, channels=1, classes=("Köpfe", "T-shirt, top", "猫"))
STYLIZER = StylizerCard(**COMMON, size_multiple=4, min_side=16, styles=STYLES)


@pytest.mark.parametrize("card", [GENERATOR, STYLIZER], ids=lambda card: card.kind)
def test_card_survives_dump_and_parse(card: Card) -> None:
    assert parse_card(dump_card(card)) == card
    assert json.loads(dump_card(card))["schema_version"] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "painter"}, "kind"),
        ({"kind": None}, "kind"),
        ({"schema_version": 2}, "schema_version"),
        ({"name": "My Cats"}, "name"),
        ({"name": "../etc/passwd"}, "name"),
        ({"name": "-cats"}, "name"),
        ({"channels": 2}, "channels"),
        ({"latent_size": 0}, "latent_size"),
        ({"latent_size": 10**12}, "latent_size"),
        ({"latent_size": 10**400}, "latent_size"),
        ({"latent_size": float("nan")}, "latent_size"),
        ({"classes": ["cat", "cat"]}, "two classes share a name"),
        ({"classes": [""]}, r"classes\.0"),
        ({"classes": ["x" * 65]}, r"classes\.0"),
        ({"classes": ["cat "]}, "no space at its ends"),
        ({"classes": ["\x1b[31mcat"]}, "no control characters"),
        ({"classes": ["cat", "dog"], "latent_size": 1}, "2 classes need a latent_size of at least 2"),
        ({"height": MAX_SIDE + 1}, "height"),
        ({"width": float("inf")}, "width"),
        ({"metrics": [{"name": "FID", "value": float("nan"), "method": "x"}]}, r"metrics\.0\.value"),
        ({"training_config": {"rates": [1.0, {"x": float("inf")}]}}, "training_config"),
        ({"training_config": {"a": [[[]]] * 2, "b": float("-inf")}}, "training_config"),
        ({"colour": "red"}, "colour"),
        ({"summary": ""}, "summary"),
    ],
)
def test_refuses_invalid_card_and_names_the_field(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        parse_card(json.dumps(json.loads(dump_card(GENERATOR)) | change))


@pytest.mark.parametrize("change", [{"min_side": 10**7}, {"size_multiple": 10**12}, {"styles": []}])
def test_refuses_stylizer_with_sizes_out_of_bounds(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(change))):
        parse_card(json.dumps(json.loads(dump_card(STYLIZER)) | change))


def with_vectors(*vectors: bytes) -> dict[str, Any]:
    styles = [
        style.model_dump() | {"vector": b64encode(vector).decode()} for style, vector in zip(STYLES, vectors, strict=True)
    ]
    return json.loads(dump_card(STYLIZER)) | {"styles": styles}


def test_styles_are_the_vectors_of_the_card() -> None:
    numbers = np.array([[0.5, -2, 1], [3, 0, 1]], "<f2")
    card = parse_card(json.dumps(with_vectors(*(row.tobytes() for row in numbers))))
    assert isinstance(card, StylizerCard)
    assert card.style_size == 3
    assert card.style_vectors().tolist() == numbers.tolist()
    blend = card.example(5)["styles"]
    weights = np.linalg.lstsq(numbers.T.astype(float), blend.T.astype(float))[0]
    assert weights.min() >= 0
    assert weights.sum(axis=0) == pytest.approx(np.ones(5), abs=1e-3)


def test_styles_without_vectors_are_chosen_by_their_weights() -> None:
    assert STYLIZER.style_size == 2
    assert STYLIZER.style_vectors().tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ((b"\0\0", b"\0\0\0\0"), "same length"),
        ((b"\0\0", b""), "same length"),
        ((b"\0\0\0", b"\0\0\0"), "finite float16"),
        ((np.array([np.nan], "<f2").tobytes(),) * 2, "finite float16"),
        ((np.array([np.inf], "<f2").tobytes(),) * 2, "finite float16"),
    ],
)
def test_refuses_vectors_that_cannot_be_styles(vectors: tuple[bytes, bytes], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        parse_card(json.dumps(with_vectors(*vectors)))


def test_refuses_a_vector_that_is_not_base64() -> None:
    values = with_vectors(b"\0\0", b"\0\0")
    values["styles"][0]["vector"] = "AA=A"
    with pytest.raises(ValidationError, match="vector"):
        parse_card(json.dumps(values))


def test_accepts_sizes_up_to_the_bounds() -> None:
    sizes = {"latent_size": MAX_LATENT_SIZE, "height": MAX_SIDE, "width": MAX_SIDE}
    parse_card(json.dumps(json.loads(dump_card(GENERATOR)) | sizes))


@pytest.mark.parametrize(
    "text",
    ["half a ca", "", b"\xff\xfe", dump_card(GENERATOR).replace('"CC0"', '"\\ud800"'), "[" * 100_000, '{"x":' * 100_000],
    ids=["half", "empty", "bytes", "half a character", "deep list", "deep object"],
)
def test_refuses_invalid_json(text: str | bytes) -> None:
    with pytest.raises(ValidationError):
        parse_card(text)


def test_refuses_too_large_card() -> None:
    large = GENERATOR.model_copy(update={"summary": "x" * MAX_CARD})
    with pytest.raises(ValueError, match=f"at most {MAX_CARD}"):
        parse_card(dump_card(large))


@pytest.mark.parametrize("card", [GENERATOR, STYLIZER], ids=lambda card: card.kind)
def test_every_card_that_is_read_can_be_written_as_strict_json(card: Card) -> None:
    deep: list[object] = []
    for _ in range(150):
        deep = [deep]
    config = {"integer": 10**4000, "text": "\U0001f600\x00\x1b", "deep": deep}
    read = parse_card(json.dumps(json.loads(dump_card(card)) | {"training_config": config}))
    json.dumps(read.model_dump(mode="json"), allow_nan=False, ensure_ascii=False).encode()


def test_refuses_two_styles_with_one_name() -> None:
    with pytest.raises(ValidationError, match="two styles share a name"):
        STYLIZER.model_validate(STYLIZER.model_dump() | {"styles": (STYLES[0], STYLES[0])})


def test_card_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        GENERATOR.title = "Other"

import json
from typing import Any

import pytest
from pydantic import ValidationError

from ganvas.card import Card, GeneratorCard, Style, StylizerCard, TrainingData, dump_card, parse_card

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
GENERATOR = GeneratorCard(**COMMON, latent_size=100, height=28, width=28, channels=1)
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
        ({"channels": 4}, "channels"),
        ({"latent_size": 0}, "latent_size"),
        ({"colour": "red"}, "colour"),
        ({"summary": ""}, "summary"),
    ],
)
def test_refuses_invalid_card_and_names_the_field(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        parse_card(json.dumps(json.loads(dump_card(GENERATOR)) | change))


def test_refuses_invalid_json() -> None:
    with pytest.raises(ValidationError):
        parse_card("half a ca")


def test_refuses_two_styles_with_one_name() -> None:
    with pytest.raises(ValidationError, match="two styles share a name"):
        STYLIZER.model_validate(STYLIZER.model_dump() | {"styles": (STYLES[0], STYLES[0])})


def test_card_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        GENERATOR.title = "Other"

"""The models that the service offers, with their cards.

All text in a response is made printable before it is read: see `ganvas.text`.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, overload

from pydantic import BaseModel, ConfigDict, SerializeAsAny, ValidationError, WrapValidator
from pydantic_core.core_schema import ValidatorFunctionWrapHandler

from ganvas.card import CARDS, AnyCard, Card, GeneratorCard, StylizerCard
from ganvas.limits import LISTED_MODELS
from ganvas.text import printable

C = TypeVar("C", bound=Card)

NAME = re.compile(r"[a-z0-9-]{1,63}")
SCHEMA_VERSION: int = Card.model_fields["schema_version"].default


def _known_or_plain(value: object, known: ValidatorFunctionWrapHandler) -> Card:
    kinds = [card.model_fields["kind"].default for card in CARDS]  # no set: the value may be a list, which cannot be hashed
    if isinstance(value, Mapping) and value.get("kind") not in kinds:
        return Card.model_validate(value, extra="ignore")
    card: Card = known(value)
    return card


class Model(BaseModel):
    """A served model: its card, and which version of its file is served.

    Attributes:
        version: the start of the file's SHA-256. The same version and seed give the same images.
        card: a GeneratorCard or a StylizerCard; a plain Card if the service is newer and has a kind that this client does not
            know. A list of models leaves out the thumbnails and vectors of styles.
    """

    model_config = ConfigDict(frozen=True)

    version: str
    card: Annotated[SerializeAsAny[AnyCard], WrapValidator(_known_or_plain)]

    @property
    def name(self) -> str:
        """The name in the card."""
        return self.card.name


class Refused(BaseModel):
    """A file in the models folder that the service refuses to serve, and why."""

    model_config = ConfigDict(frozen=True)

    file: str
    reason: str


class Unreadable(BaseModel):
    """A served model whose card this client cannot read, and why. Usually the service is newer than the client."""

    model_config = ConfigDict(frozen=True)

    name: str
    reason: str


@dataclass(frozen=True)
class Models(Sequence[Model]):
    """The served models, those that this client cannot read, and the files that the service refused.

    `defaults` names the models that the service prefers if a request names none and several fit.
    """

    served: tuple[Model, ...]
    refused: tuple[Refused, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    defaults: tuple[str, ...] = ()

    @overload
    def __getitem__(self, index: int) -> Model: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Model, ...]: ...
    def __getitem__(self, index: int | slice) -> Model | tuple[Model, ...]:
        return self.served[index]

    def __len__(self) -> int:
        return len(self.served)

    def __iter__(self) -> Iterator[Model]:
        return iter(self.served)

    def cards(self, kind: type[C]) -> list[C]:
        """The cards of one kind: `models.cards(StylizerCard)`."""
        return [model.card for model in self.served if isinstance(model.card, kind)]

    def find(self, name: str | None, kind: type[C], style: str | None = None, class_: str | None = None) -> tuple[C, str]:
        """The card and version of one model of a kind: the one that the service would choose.

        Args:
            name: of the model. May be None if only one model of the kind is served, if only one has the style or the class, or
                if one of `defaults` fits.
            kind: GeneratorCard or StylizerCard.
            style: a style or a blend, which chooses among several stylizers.
            class_: a class, which chooses among several generators.

        Raises:
            ValueError: there is no such model, or several fit.
        """
        of_kind = [(model.card, model.version) for model in self.served if isinstance(model.card, kind)]
        fitting = [(card, version) for card, version in of_kind if name in (None, card.name)]
        wanted = f"style {style!r}" if style else f"class {class_!r}" if class_ is not None else None
        if name is None and wanted and len(fitting) > 1:
            fitting = [(card, version) for card, version in fitting if _has(card, style, class_)]
        if name is None and len(fitting) > 1:
            by_name = {card.name: (card, version) for card, version in fitting}
            fitting = [by_name[default] for default in self.defaults if default in by_name][:1] or fitting
        if len(fitting) == 1:
            return fitting[0]
        word = kind.model_fields["kind"].default
        known = ", ".join(card.name for card, _ in fitting or of_kind) or "none"
        for unreadable in self.unreadable:
            if unreadable.name == name:
                raise ValueError(f"{name} cannot be read by this client version: {unreadable.reason}. Install a newer client.")
        if others := [model.card.kind for model in self.served if model.name == name]:
            raise ValueError(f"{name} is a {others[0]}, not a {word}. The service has these {word}s: {known}")
        if name is not None:
            raise ValueError(f"There is no {word} {name!r}. The service has: {known}")
        if fitting and wanted:
            raise ValueError(f"Several {word}s have the {wanted}. Name one with `model`: {known}")
        if wanted and of_kind:
            raise ValueError(f"No {word} has the {wanted}. Name a {wanted.partition(' ')[0]} of one of these: {known}")
        raise ValueError(f"Name a {word} with `model`. The service has: {known}")


def models_of(body: bytes) -> Models:
    """Read the response of GET /v1/models. A card that cannot be read does not hide the others.

    Raises:
        ValueError: the body is not a listing.
    """
    document = _json(body)
    entries = document.get("models") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(entries, list):
        raise ValueError("it holds no list of models")
    refused = _list_in(document, "refused")
    if max(len(entries), len(refused)) > LISTED_MODELS:
        raise ValueError(f"it lists more than {LISTED_MODELS:,} models")
    served: list[Model] = []
    unreadable: list[Unreadable] = []
    for i, entry in enumerate(entries):
        try:
            served.append(_model(entry))
        except ValueError as error:
            unreadable.append(Unreadable(name=_name_in(entry) or f"number {i + 1}", reason=str(error)))
    files = tuple(
        Refused(file=str(entry.get("file")), reason=str(entry.get("reason"))) for entry in refused if isinstance(entry, dict)
    )
    defaults = tuple(name for name in _list_in(document, "defaults") if isinstance(name, str))
    return Models(tuple(served), files, tuple(unreadable), defaults)


def model_of(body: bytes) -> Model:
    """Read the response of GET /v1/models/NAME.

    Raises:
        ValueError: the body is not a model that this client can read.
    """
    return _model(_json(body))


def _model(entry: object) -> Model:
    version = _card_in(entry).get("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        raise ValueError(f"its card has schema_version {str(version)[:20]}, and this client reads {SCHEMA_VERSION}")
    try:
        return Model.model_validate(entry, extra="ignore")  # what a newer service adds
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'the body'}: {first['msg']}") from None


def _list_in(document: Mapping[str, Any], name: str) -> list[Any]:
    """A list that older services leave out."""
    entries = document.get(name)
    return entries if isinstance(entries, list) else []


def _card_in(entry: object) -> Mapping[str, Any]:
    card = entry.get("card") if isinstance(entry, Mapping) else None
    return card if isinstance(card, Mapping) else {}


def _name_in(entry: object) -> str | None:
    name = _card_in(entry).get("name")
    return name if isinstance(name, str) and NAME.fullmatch(name) else None


def _json(body: bytes) -> object:
    try:
        return _printable(json.loads(body, parse_constant=lambda _: None))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _printable(value: object) -> object:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [_printable(item) for item in value]
    if isinstance(value, dict):
        return {printable(key): _printable(item) for key, item in value.items()}
    return value


def _has(card: Card, blend: str | None, class_: str | None) -> bool:
    """Whether a stylizer has every style of a blend, `night:0.7,wave:0.3`, or a generator has a class."""
    if blend is None:
        return isinstance(card, GeneratorCard) and class_ in card.classes
    names = {style.name for style in card.styles} if isinstance(card, StylizerCard) else set()
    return {part.partition(":")[0].strip() for part in blend.split(",")} <= names

"""The models that the service offers, with their cards."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar, overload

from pydantic import BaseModel, ConfigDict, SerializeAsAny, WrapValidator
from pydantic_core.core_schema import ValidatorFunctionWrapHandler

from ganvas.card import CARDS, AnyCard, Card

C = TypeVar("C", bound=Card)


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
            know. A list of models leaves out the thumbnails of styles.
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


class Listing(BaseModel):
    """The response of GET /v1/models."""

    models: tuple[Model, ...]
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True)
class Models(Sequence[Model]):
    """The served models, and the files that were refused."""

    served: tuple[Model, ...]
    refused: tuple[Refused, ...] = ()

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

    def find(self, name: str | None, kind: type[C]) -> tuple[C, str]:
        """The card and version of the model of this kind and name. The name may be None if there is only one model of the kind.

        Raises:
            ValueError: there is no such model, or none is named and several are served.
        """
        fitting = [model for model in self.served if isinstance(model.card, kind) and name in (None, model.name)]
        if len(fitting) == 1 and isinstance(fitting[0].card, kind):
            return fitting[0].card, fitting[0].version
        word = kind.model_fields["kind"].default
        known = ", ".join(card.name for card in self.cards(kind)) or "none"
        if name is None:
            raise ValueError(f"Name a {word}. The service has: {known}")
        raise ValueError(f"There is no {word} {name!r}. The service has: {known}")

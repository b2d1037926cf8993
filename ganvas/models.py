"""What the service has to choose from: its models with their cards."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar, overload

from pydantic import BaseModel, ConfigDict

from ganvas.card import AnyCard, GeneratorCard, StylizerCard

C = TypeVar("C", GeneratorCard, StylizerCard)


class Model(BaseModel):
    """A served model: what it says of itself, and which version of its file is served.

    Attributes:
        version: the start of the file's SHA-256; pictures of one version and seed are the same.
        card: a GeneratorCard or a StylizerCard. In a list of models a style's thumbnail is left out.
    """

    model_config = ConfigDict(frozen=True)  # what a newer service adds is passed over

    version: str
    card: AnyCard

    @property
    def name(self) -> str:
        """The card's."""
        return self.card.name


class Refused(BaseModel):
    """A file among the models that the service does not serve, and why."""

    model_config = ConfigDict(frozen=True)

    file: str
    reason: str


class Listing(BaseModel):
    """The answer of GET /v1/models."""

    models: tuple[Model, ...]
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True)
class Models(Sequence[Model]):
    """The served models, and beside them the files that were refused."""

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
        """The card and the version of the model of this name, or of the only one of its kind where no name is given.

        Raises:
            ValueError: there is none, or none was named where there are several.
        """
        fitting = [model for model in self.served if isinstance(model.card, kind) and name in (None, model.name)]
        if len(fitting) == 1 and isinstance(fitting[0].card, kind):
            return fitting[0].card, fitting[0].version
        word = kind.model_fields["kind"].default
        known = ", ".join(card.name for card in self.cards(kind)) or "none is served"
        raise ValueError(f"say which {word}: {known}" if name is None else f"there is no {word} {name!r}: {known}")

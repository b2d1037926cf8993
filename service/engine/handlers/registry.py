"""Which handler serves which card."""

from ganvas.card import Card, GeneratorCard, StylizerCard
from service.engine.handlers.base import Handler
from service.engine.handlers.generator import Generator
from service.engine.handlers.stylizer import Stylizer
from service.engine.sessions import LoadedModel
from service.settings import Settings

HANDLERS: dict[type[Card], type[Handler]] = {
    GeneratorCard: Generator,
    StylizerCard: Stylizer,
}
"""By class of card. Models are listed in this order of kinds."""


def handler_of(model: LoadedModel, settings: Settings) -> Handler:
    """Serve a model."""
    return HANDLERS[type(model.card)](model.card, model, settings)

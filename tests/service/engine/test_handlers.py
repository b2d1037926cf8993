"""The handlers: one for each kind of card."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from ganvas.card import CARDS
from service.engine.errors import NotFoundError
from service.engine.handlers.base import Handler
from service.engine.handlers.registry import HANDLERS, handler_of
from service.engine.handlers.stylizer import THUMBNAIL_SIDE
from service.engine.latents import latents_of_seed
from service.engine.sessions import load_model
from service.settings import Settings
from tests.service.onnx_models import (
    LATENT_SIZE,
    generated,
    generator_card,
    generator_model,
    save,
    stylizer_card,
    stylizer_model,
)


def test_every_kind_of_card_has_a_handler() -> None:
    assert set(HANDLERS) == set(CARDS)
    for card, handler in HANDLERS.items():
        assert handler.kind == card.model_fields["kind"].default


def generator(folder: Path) -> Handler:
    return handler_of(load_model(save(generator_model(), folder / "digits.onnx", generator_card()), "cpu", 1), Settings())


def stylizer(folder: Path) -> Handler:
    return handler_of(load_model(save(stylizer_model(), folder / "painters.onnx", stylizer_card()), "cpu", 1), Settings())


async def preview_of(model: Handler) -> list[np.ndarray]:
    try:
        return list(await model.preview())
    finally:
        await model.batcher.close()


def test_generator_previews_samples_of_a_fixed_seed(tmp_path: Path) -> None:
    tiles = asyncio.run(preview_of(generator(tmp_path)))
    np.testing.assert_array_equal(np.stack(tiles), generated(latents_of_seed(0, 16, LATENT_SIZE)))


def test_stylizer_previews_its_thumbnails(tmp_path: Path) -> None:
    tiles = asyncio.run(preview_of(stylizer(tmp_path)))
    assert [tile.shape for tile in tiles] == [(THUMBNAIL_SIDE, THUMBNAIL_SIDE, 3)] * 3


def test_stylizer_without_thumbnails_has_no_preview(tmp_path: Path) -> None:
    styles = tuple(style.model_copy(update={"thumbnail": ""}) for style in stylizer_card().styles)
    card = stylizer_card().model_copy(update={"styles": styles})
    model = handler_of(load_model(save(stylizer_model(), tmp_path / "painters.onnx", card), "cpu", 1), Settings())
    with pytest.raises(NotFoundError, match="no readable thumbnail"):
        asyncio.run(preview_of(model))


def test_example_commands_name_the_model_and_the_service(tmp_path: Path) -> None:
    assert generator(tmp_path).example_command("http://x", "p.jpg").startswith("curl --fail-with-body http://x/v1/sample ")
    assert "-F image=@p.jpg -F model=painters -F style=night" in stylizer(tmp_path).example_command("http://x", "p.jpg")

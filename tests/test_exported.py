"""All models in exported/ keep the contract of docs/architecture.md."""

from pathlib import Path

import numpy as np
import pytest

from ganvas.card import GeneratorCard, StylizerCard
from service.engine.sessions import LoadedModel, load_model
from training.card_details import read_card_details
from training.config import flatten, load_config
from training.gan.config import GanConfig
from training.metrics.brushwork import coarse, lattice, smooth_sky
from training.style.config import StyleConfig

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "exported").glob("*.onnx"))
MODELS = [load_model(path, device="cpu", threads=1) for path in FILES]


RECIPES = {"digits": "digits", "toon-heads": "toon-heads", "painters": "painters-finish"}
"""Config in training/configs/ that docs/training.md names for each model."""


def of_kind(*kinds: str) -> pytest.MarkDecorator:
    models = [model for model in MODELS if model.card.kind in kinds]
    return pytest.mark.parametrize("model", models, ids=lambda model: model.card.name)


def test_models_of_the_readme_exist() -> None:
    assert {"digits", "toon-heads", "painters"} <= {model.card.name for model in MODELS}


@of_kind("generator", "stylizer")
def test_card_states_sources_and_licences(model: LoadedModel) -> None:
    card = model.card
    for text in (card.licence, *(part for data in card.training_data for part in (data.title, data.source, data.licence))):
        assert text != "not stated"
    if isinstance(card, StylizerCard):
        for style in card.styles:
            assert style.artist != "unknown"
            assert style.licence != "not stated"
            assert style.thumbnail


@of_kind("generator", "stylizer")
def test_card_matches_the_documented_config(model: LoadedModel) -> None:
    kind: type[GanConfig] | type[StyleConfig] = GanConfig if isinstance(model.card, GeneratorCard) else StyleConfig
    documented = load_config(RECIPES[model.card.name], kind)
    stated = {**model.card.training_config}
    assert 0 < int(str(stated.pop("trained_steps"))) <= documented.steps
    stated_values, documented_values = flatten(kind.model_validate(stated)), flatten(documented)
    decided_elsewhere = ("channels", "augment", "precision", "features.layers")  # by images, device and weights
    no_effect = ("sample_every", "checkpoint_every")  # on the weights; they follow the clock now
    for left_open in (*decided_elsewhere, *no_effect):
        stated_values.pop(left_open, None)
        documented_values.pop(left_open, None)
    assert stated_values == documented_values
    details = read_card_details(ROOT / "training" / "model_cards" / f"{model.card.name}.toml")
    assert (model.card.title, model.card.summary, model.card.licence) == (details.title, details.summary, details.licence)
    if isinstance(model.card, StylizerCard):
        assert {style.name for style in model.card.styles} == details.styles.keys()


@of_kind("generator")
def test_generator_images_differ_and_ignore_their_neighbours(model: LoadedModel) -> None:
    assert isinstance(model.card, GeneratorCard)
    latents = np.random.default_rng(0).standard_normal((9, model.card.latent_size)).astype(np.float32)
    images = model.run({"latents": latents})
    for i in range(9):
        alone = model.run({"latents": latents[i : i + 1]})[0]
        assert np.abs(alone.astype(int) - images[i]).max() <= 1
    spread = images.astype(float).std(axis=0).mean()
    assert spread > 20, "The generator has collapsed: all latents give the same image."


def test_digits_have_their_names() -> None:
    card = next(model.card for model in MODELS if model.card.name == "digits")
    assert isinstance(card, GeneratorCard)
    assert card.classes == tuple("0123456789")


@of_kind("stylizer")
def test_strength_0_returns_the_photo_and_styles_differ(model: LoadedModel) -> None:
    assert isinstance(model.card, StylizerCard)
    count = len(model.card.styles)
    y, x = np.mgrid[:64, :96]
    photo = np.stack([x * 2, y * 4 % 256, (x + y) % 256], axis=-1).astype(np.uint8)
    photos = np.repeat(photo[None], count, axis=0)
    styles, zeros, ones = model.card.style_vectors(), np.zeros(count, np.float32), np.ones(count, np.float32)
    untouched = model.run({"images": photos, "styles": styles, "strength": zeros, "keep_color": zeros})
    np.testing.assert_array_equal(untouched, photos)
    painted = model.run({"images": photos, "styles": styles, "strength": ones, "keep_color": zeros}).astype(float)
    for i in range(count):
        assert np.abs(painted[i] - photo).mean() > 20
        for j in range(i):
            assert np.abs(painted[i] - painted[j]).mean() > 10


@of_kind("stylizer")
def test_every_style_paints_broad_strokes_without_a_lattice_in_a_smooth_sky(model: LoadedModel) -> None:
    assert isinstance(model.card, StylizerCard)
    one, sky = np.ones(1, np.float32), smooth_sky()[None]
    for style, row in zip(model.card.styles, model.card.style_vectors(), strict=True):
        painted = model.run({"images": sky, "styles": row[None], "strength": one, "keep_color": 0 * one})[0]
        for period in (2, 4):
            assert lattice(painted, period) <= 1, f"{style.name}: a pattern of {period} pixels"
        assert coarse(painted) > 0.3, f"{style.name}: a fine texture"

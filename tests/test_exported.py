"""All models in exported/ keep the contract of docs/architecture.md."""

from pathlib import Path

import numpy as np
import pytest

from ganvas.card import GeneratorCard, StylizerCard
from service.engine.sessions import LoadedModel, load_model
from training.card_details import read_card_details
from training.config import flatten, load_config
from training.gan.config import GanConfig
from training.style.config import StyleConfig

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "exported").glob("*.onnx"))
MODELS = [load_model(path, device="cpu", threads=1) for path in FILES]


RECIPES = {"digits": "digits", "toon-heads": "toon-heads", "painters": "painters-finish"}
"""Config in training/configs/ that docs/training.md names for each model."""

OLD_KEYS = {
    "width": "generator.width", "discriminator_norm": "discriminator.norm",
    "r1": "penalty.r1", "r2": "penalty.r2", "penalty_every": "penalty.every", "penalty_start": "penalty.initial_factor",
    "penalty_fall": "penalty.ramp", "classes": "classes.count", "class_from": "classes.start", "class_rise": "classes.ramp",
    "feature_weight": "features.weight", "feature_share": "features.fraction", "feature_from": "features.start",
    "learning_rate": "optimizer.learning_rate", "d_learning_rate": "optimizer.d_learning_rate", "beta1": "optimizer.beta1",
    "beta2": "optimizer.beta2", "schedule": "optimizer.schedule", "warm_up": "optimizer.warm_up",
    "step_every": "optimizer.step_every", "step_factor": "optimizer.step_factor", "evaluate_every": "evaluation.every",
    "evaluate_samples": "evaluation.samples", "features": "evaluation.network",
}  # fmt: skip
"""The shipped generators' cards have no tables: their key -> the key of today's configs."""


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
    recipe, is_gan = RECIPES[model.card.name], isinstance(model.card, GeneratorCard)
    config = load_config(recipe, GanConfig) if is_gan else load_config(recipe, StyleConfig)
    stated, documented = dict(model.card.training_config), flatten(config)
    documented = {key: list(value) if isinstance(value, tuple) else value for key, value in documented.items()}
    if is_gan:
        documented = {old: documented[new] for old, new in OLD_KEYS.items()} | documented
    assert stated.pop("discriminator_width", None) is None  # None: the width of the generator
    assert 0 < int(str(stated.pop("trained_steps"))) <= config.steps
    for left_open in ("channels", "augment", "precision", "feature_layers"):  # images, device and weights decide these
        stated.pop(left_open, None)
        documented.pop(left_open, None)
    assert stated == {key: documented[key] for key in stated}  # a card may be older than a config key
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


@of_kind("stylizer")
def test_strength_0_returns_the_photo_and_styles_differ(model: LoadedModel) -> None:
    assert isinstance(model.card, StylizerCard)
    count = len(model.card.styles)
    y, x = np.mgrid[:64, :96]
    photo = np.stack([x * 2, y * 4 % 256, (x + y) % 256], axis=-1).astype(np.uint8)
    photos = np.repeat(photo[None], count, axis=0)
    styles, zeros, ones = np.eye(count, dtype=np.float32), np.zeros(count, np.float32), np.ones(count, np.float32)
    untouched = model.run({"images": photos, "styles": styles, "strength": zeros, "keep_color": zeros})
    np.testing.assert_array_equal(untouched, photos)
    painted = model.run({"images": photos, "styles": styles, "strength": ones, "keep_color": zeros}).astype(float)
    for i in range(count):
        assert np.abs(painted[i] - photo).mean() > 20
        for j in range(i):
            assert np.abs(painted[i] - painted[j]).mean() > 10

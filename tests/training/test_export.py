from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from ganvas.card import LATENTS, METADATA_KEY, GeneratorCard, StylizerCard, parse_card
from tests.training.conftest import untrained_gan
from tests.training.gan_configs import gan_config
from training.card_details import CardDetails, StyleDetails, read_card_details
from training.errors import ConfigError, ExportError, RunError
from training.export import compare, export_run
from training.gan.config import GanConfig
from training.gan.export import GeneratorGraph
from training.gan.plan import GanPlan
from training.gan.setup import build_generator
from training.onnx_file import read_card
from training.run import Run
from training.style.config import StyleConfig
from training.style.export import StylizerGraph
from training.style.network import build_stylizer


def session_of(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def test_exported_generator_has_its_card_and_ignores_other_rows(gan_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "exported" / "tiny-digits.onnx"
    card = export_run(gan_run, out, CardDetails()).card
    session = session_of(out)
    assert parse_card(session.get_modelmeta().custom_metadata_map[METADATA_KEY]) == card
    assert isinstance(card, GeneratorCard)
    assert (card.name, card.title, card.licence) == ("tiny-digits", "Tiny Digits", "not stated")
    assert card.training_config["generator"] == {"width": 4}
    latents = np.random.default_rng(0).standard_normal((7, 6)).astype(np.float32)
    (images,) = session.run(["pictures"], {"latents": latents})
    assert (images.shape, images.dtype) == ((7, 28, 28, 1), np.uint8)
    (alone,) = session.run(["pictures"], {"latents": latents[3:4]})
    assert np.abs(alone[0].astype(int) - images[3]).max() <= 1


def test_exported_generator_keeps_transparency(tmp_path: Path) -> None:
    folder = untrained_gan(tmp_path / "gan", channels=4, image_size=16)
    card = export_run(folder, tmp_path / "stickers.onnx", CardDetails()).card
    assert isinstance(card, GeneratorCard)
    assert card.output.shape[1:] == (16, 16, 4)
    latents = np.random.default_rng(0).standard_normal((3, 6)).astype(np.float32)
    (images,) = session_of(tmp_path / "stickers.onnx").run(["pictures"], {"latents": latents})
    assert images.shape == (3, 16, 16, 4)
    assert images[..., 3].min() > 0  # an untrained network makes everything half transparent


def test_exported_stylizer_paints_with_strength_and_keep_color(exported_stylizer: Path) -> None:
    card = read_card(exported_stylizer)
    assert isinstance(card, StylizerCard)
    assert [style.name for style in card.styles] == ["night", "wave", "scream"]
    session = session_of(exported_stylizer)
    photos = np.random.default_rng(0).integers(0, 256, (3, 24, 40, 3), dtype=np.uint8)
    vectors = card.style_vectors()
    assert vectors.shape == (3, card.style_size)
    inputs = {"images": photos, "styles": vectors}

    def painted(strength: float, keep_color: float) -> np.ndarray:
        rows = {"strength": np.full(3, strength, np.float32), "keep_color": np.full(3, keep_color, np.float32)}
        images: np.ndarray = session.run(["pictures"], inputs | rows)[0]
        return images

    assert (painted(0, 0) == photos).all()
    assert (painted(0, 1) == photos).all()
    full, coloured = painted(1, 0).astype(float), painted(1, 1).astype(float)
    assert full.shape == photos.shape
    assert np.abs(full - photos).mean() > 20
    # keep_color shifts all channels of a pixel alike, unless one is clipped to black or white
    shift = coloured - photos
    whole = ((coloured > 0) & (coloured < 255)).all(axis=-1)
    assert np.ptp(shift[whole], axis=-1).max() <= 1
    luma = [0.299, 0.587, 0.114]
    assert np.abs(coloured[whole] @ luma - full[whole] @ luma).max() <= 1


def test_file_holds_nothing_of_the_exporting_machine(exported_generator: Path) -> None:
    content = exported_generator.read_bytes()
    assert str(Path(__file__).parents[2]).encode() not in content
    assert b".py" not in content
    assert {entry.key for entry in onnx.load(exported_generator).metadata_props} == {METADATA_KEY}


def test_card_contains_the_card_details(style_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "details.toml"
    path.write_text(
        'title = "Three"\nlicence = "CC0"\n[[training_data]]\ntitle = "mine"\nsource = "home"\nlicence = "CC0"\n'
        '[styles.night]\ntitle = "The Night"\nartist = "Me"\nyear = 2020\n'
    )
    card = export_run(style_run, tmp_path / "three.onnx", read_card_details(path)).card
    assert isinstance(card, StylizerCard)
    assert (card.title, card.licence, card.training_data[0].title) == ("Three", "CC0", "mine")
    assert (card.styles[0].title, card.styles[0].artist, card.styles[0].year) == ("The Night", "Me", 2020)
    assert (card.styles[1].title, card.styles[1].artist, card.styles[1].year) == ("Wave", "unknown", None)
    path.write_text('[styles.knight]\ntitle = "Typo"\n')
    with pytest.raises(ExportError, match=r"describes the style knight\. This run has night, wave, scream"):
        export_run(style_run, tmp_path / "three.onnx", read_card_details(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour = 1", "colour: Extra"),
        ("licence = ''", "licence: String"),
        ("[styles.a]\nartist = ''", "artist: String"),
        ("= 3", "not TOML"),
        ("a = " + "[" * 3000, "not TOML"),
        (None, "cannot be read"),
    ],
)
def test_refuses_invalid_card_details(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "details.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_card_details(path)


def test_refuses_a_file_that_differs_from_the_network(exported_generator: Path) -> None:
    torch.manual_seed(1)
    other = GeneratorGraph(build_generator(gan_config(image_size=28, channels=1, width=4, latent_size=6))).eval()
    latents = np.random.default_rng(1).standard_normal((2, 6), np.float32)
    with pytest.raises(ExportError, match=r"onnxruntime differs from torch by \d+ grey levels at latents \[2, 6\]"):
        compare(other, exported_generator.read_bytes(), [{LATENTS: latents}])


def test_refuses_a_network_with_nan(gan_run: Path, tmp_path: Path) -> None:
    checkpoint = torch.load(gan_run / "checkpoint.pt", weights_only=True)
    checkpoint["generator_ema"]["module.layers.0.weight"].fill_(float("nan"))
    torch.save(checkpoint, gan_run / "checkpoint.pt")
    with pytest.raises(ExportError, match="holds NaN or infinite numbers"):
        export_run(gan_run, tmp_path / "tiny.onnx", CardDetails())
    assert not (tmp_path / "tiny.onnx").exists()


def test_refuses_styles_in_the_details_of_a_generator(gan_run: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="A generator has no styles"):
        export_run(gan_run, tmp_path / "tiny.onnx", CardDetails(styles={"night": StyleDetails()}))


def test_refuses_invalid_model_names(gan_run: Path, tmp_path: Path) -> None:
    for name, message in (
        ("tiny.pt", "is not an .onnx file"),
        ("My Cats.onnx", r"My Cats is not a model name.*such as .*/my-cats\.onnx\. --title may"),
    ):
        with pytest.raises(ExportError, match=message):
            export_run(gan_run, tmp_path / name, CardDetails())


def test_refuses_a_run_without_checkpoint(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", GanPlan(config=GanConfig(channels=1), data="digits.zip", images=10))
    with pytest.raises(RunError, match="has no checkpoint yet"):
        export_run(run.folder, tmp_path / "a.onnx", CardDetails())


def test_refuses_an_output_folder_that_cannot_be_made(gan_run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match="cannot be written"):
        export_run(gan_run, tmp_path / "file" / "a.onnx", CardDetails())


def test_strength_interpolates_between_photo_and_painting() -> None:
    graph = StylizerGraph(build_stylizer(StyleConfig(width=4, residual_blocks=1), 3)).eval()
    photo = torch.randint(0, 256, (1, 16, 16, 3), dtype=torch.uint8)
    one, zero, half = torch.ones(1), torch.zeros(1), torch.full((1,), 0.5)
    with torch.no_grad():
        style = graph.stylizer.vectors()[:1]
        full = graph(photo, style, one, zero).float()
        mixed = graph(photo, style, half, zero).float()
    assert (mixed - (photo + full) / 2).abs().max() <= 1

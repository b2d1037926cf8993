"""Both clients against the real service: every method, every format, every type of image."""

import inspect
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import assert_type

import httpx
import numpy as np
import pytest
from PIL import Image

import ganvas
from ganvas import api, calls
from ganvas.card import GeneratorCard, StylizerCard
from ganvas.models import Model, Models
from service.engine.classes import with_classes
from service.engine.latents import latents_of_seed
from service.settings import ROOT
from tests.ganvas.conftest import Ask, Gateway, photo
from tests.service.onnx_models import CLASSES, LATENT_SIZE, STYLE_OFFSETS, generated, generator_card, styled, stylizer_card
from tests.service.running import Running

NIGHT = np.array([1, 0, 0], np.float32)


def test_sample_returns_images_and_an_array(service: Running, ask: Ask) -> None:
    result = ask(service.url, "sample", 3, model="digits", seed=7, truncation=0.5)
    expected = generated(latents_of_seed(7, 3, LATENT_SIZE) * np.float32(0.5))
    np.testing.assert_array_equal(result.array, expected)
    assert [image.mode for image in result] == ["L", "L", "L"]
    np.testing.assert_array_equal(np.stack([np.asarray(image) for image in result.images]), expected[..., 0])
    assert (result.seed, result.seeds, result.model) == (7, (7,), "digits")
    assert result.version == ask(service.url, "model", "digits").version


def test_sample_takes_a_seed_per_image(service: Running, ask: Ask) -> None:
    result = ask(service.url, "sample", seeds=np.array([7, 9]), truncation=0.5)
    latents = np.concatenate([latents_of_seed(seed, 1, LATENT_SIZE) for seed in (7, 9)])
    np.testing.assert_array_equal(result.array, generated(latents * np.float32(0.5)))
    assert result.seeds == (7, 9)


@pytest.mark.parametrize("as_array", [True, False])
def test_sample_takes_latents(service: Running, ask: Ask, as_array: bool) -> None:
    latents = np.random.default_rng(0).normal(size=(2, LATENT_SIZE)).astype(np.float32)
    result = ask(service.url, "sample", latents=latents if as_array else latents.tolist())
    np.testing.assert_array_equal(result.array, generated(latents))
    assert result.seed is None
    assert result.seeds == ()


@pytest.mark.parametrize("image_format", api.SAMPLE_FORMATS)
def test_sample_returns_every_format(client: ganvas.Client, image_format: ganvas.SampleFormat, tmp_path: Path) -> None:
    result = client.sample(4, seed=1, format=image_format)
    is_sheet = image_format in api.IMAGE_FORMATS
    assert len(result) == (1 if is_sheet else 4)
    if not is_sheet:
        np.testing.assert_array_equal(result.array, generated(latents_of_seed(1, 4, LATENT_SIZE)))
    saved = result.save(tmp_path / result.filename)
    assert saved.read_bytes() == result.content
    assert list(tmp_path.iterdir()) == [saved]
    assert result[:1][0].size == result[0].size
    assert "digits" in repr(result)


@pytest.mark.parametrize("loop", [True, False])
def test_interpolate_passes_through_its_keys(service: Running, ask: Ask, loop: bool) -> None:
    walk = ask(service.url, "interpolate", [3, 7, 11], steps=4, loop=loop, truncation=0.5, format="npy")
    assert len(walk) == (12 if loop else 9)
    assert (walk.seeds, walk.seed, walk.model) == ((3, 7, 11), 3, "digits")
    keys = np.concatenate([latents_of_seed(seed, 1, LATENT_SIZE) for seed in walk.seeds]) * np.float32(0.5)
    np.testing.assert_array_equal(walk.array[:9:4], generated(keys))


@pytest.mark.parametrize("image_format", ["webp", "gif", "zip"])
def test_interpolates_latents_in_every_format(
    client: ganvas.Client, image_format: ganvas.AnimationFormat, tmp_path: Path
) -> None:
    latents = np.eye(2, LATENT_SIZE) * 4
    walk = client.interpolate(latents=latents, steps=5, fps=12.5, format=image_format)
    assert walk.seeds == ()
    assert len(walk) == 10
    assert {image.size for image in walk} == {(8, 8)}
    assert walk.save(tmp_path / walk.filename).suffix == f".{image_format}"
    if image_format == "zip":
        np.testing.assert_array_equal(walk.array[0], generated(latents[:1].astype(np.float32))[0])


def test_random_walk_can_be_repeated_from_its_seeds(client: ganvas.Client) -> None:
    first = client.interpolate(steps=2)
    assert len(first.seeds) == 2
    assert client.interpolate(first.seeds, steps=2).content == first.content


@pytest.mark.parametrize("kind", ["str", "path", "bytes", "bytearray", "memoryview", "file", "BytesIO", "PIL", "array"])
def test_stylize_accepts_every_type_of_source(service: Running, ask: Ask, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "lake.png"
    Image.fromarray(photo()).save(path)
    data = path.read_bytes()
    with path.open("rb") as file, Image.open(path) as opened:
        source = {
            "str": str(path),
            "path": path,
            "bytes": data,
            "bytearray": bytearray(data),
            "memoryview": memoryview(data),
            "file": file,
            "BytesIO": io.BytesIO(data),
            "PIL": opened,
            "array": photo(),
        }[kind]
        stylized = ask(service.url, "stylize", source, style="night", strength=0.5, keep_color=0.25, format="png")
    np.testing.assert_array_equal(np.asarray(stylized.image), styled(photo(), NIGHT, 0.5, 0.25))
    assert stylized.array.shape == (1, 30, 50, 3)
    assert (
        stylized.filename
        == {"bytes": "image", "bytearray": "image", "memoryview": "image", "BytesIO": "image"}.get(
            kind, "array" if kind == "array" else "lake"
        )
        + "-painters.png"
    )


def test_stylize_applies_brush(service: Running, ask: Ask) -> None:
    broad = ask(service.url, "stylize", photo(), style="night", brush=2, format="png")
    assert broad.image.size == (50, 30)
    assert (np.asarray(broad.image) != styled(photo(), NIGHT, 1, 0)).any()
    with pytest.raises(ganvas.InvalidError, match=r"brush.*less than or equal to 2"):
        ask(service.url, "stylize", photo(), style="night", brush=2.5)


@pytest.mark.parametrize(
    ("array", "rgb"),
    [
        (photo()[:, :, 0], np.repeat(photo()[:, :, :1], 3, axis=2)),
        (photo()[:, :, :1], np.repeat(photo()[:, :, :1], 3, axis=2)),
        (photo()[::2, ::-1], photo()[::2, ::-1]),
        (np.dstack([photo(), np.full((30, 50), 255, np.uint8)]), photo()),
    ],
    ids=["grey", "grey [h, w, 1]", "a view with strides", "RGBA"],
)
def test_stylize_accepts_arrays_of_every_shape(client: ganvas.Client, array: np.ndarray, rgb: np.ndarray) -> None:
    untouched = client.stylize(array, style="night", strength=0, format="png")
    np.testing.assert_array_equal(np.asarray(untouched.image), rgb)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "HSV", "I;16", "F"])
def test_stylize_accepts_pil_images_of_every_mode(client: ganvas.Client, mode: str) -> None:
    image = Image.fromarray(photo())
    image = image.convert("L").convert(mode) if mode in ("I;16", "F") else image.convert(mode)
    assert client.stylize(image, style="night").image.size == (50, 30)


def test_pil_image_is_turned_by_its_exif_orientation(client: ganvas.Client, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right
    Image.fromarray(photo()).save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as opened:
        from_image = client.stylize(opened, style="night", strength=0, format="png")
    from_file = client.stylize(tmp_path / "turned.png", style="night", strength=0, format="png")
    assert from_image.image.size == from_file.image.size == (30, 50)
    np.testing.assert_array_equal(from_image.array, from_file.array)


@pytest.mark.parametrize(
    ("image", "error", "words"),
    [
        (3, TypeError, "An image must be a path, bytes"),
        (None, TypeError, "not NoneType"),
        (io.StringIO("text"), TypeError, "mode 'rb'"),
        (b"", ValueError, "empty"),
        (np.zeros((30, 50, 3)), ValueError, "uint8"),
        (np.zeros((4, 30, 50, 3), np.uint8), ValueError, r"\[4, 30, 50, 3\]"),
        (np.zeros((0, 5, 3), np.uint8), ValueError, "array must be"),
        ("no such photo.jpg", FileNotFoundError, "no such photo"),
    ],
)
def test_rejects_other_types_before_sending_anything(
    gateway: Gateway, ask: Ask, image: object, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        ask(gateway.url, "stylize", image, style="night")
    assert gateway.seen == []


def test_stylize_blends_styles_and_shrinks_photos(service: Running, ask: Ask) -> None:
    blend = ask(service.url, "stylize", photo(), model="painters", style="night:3,wave:1", format="png")
    expected = styled(photo(), np.array([0.75, 0.25, 0], np.float32), 1, 0)
    assert np.abs(blend.array[0].astype(int) - expected).max() <= 1
    assert ask(service.url, "stylize", photo(), style="night", max_side=25).image.size == (25, 15)


def test_models_have_their_cards(service: Running, ask: Ask) -> None:
    models = ask(service.url, "models")
    assert [model.name for model in models] == ["digits", "painters"]
    assert len(models) == 2
    assert models[0].card.latent_size == LATENT_SIZE
    assert models[1:] == (models[1],)
    assert [refused.file for refused in models.refused] == ["broken.onnx"]
    assert [card.name for card in models.cards(GeneratorCard)] == ["digits"]
    painters = ask(service.url, "model", "painters")
    assert [style.name for style in painters.card.styles] == list(STYLE_OFFSETS)
    assert painters.card.styles[0].thumbnail
    assert not models[1].card.styles[0].thumbnail
    assert painters.version == models[1].version
    assert models.find(None, StylizerCard)[0].name == "painters"
    with pytest.raises(ValueError, match=r"digits is a generator, not a stylizer\. The service has these stylizers: painters"):
        models.find("digits", StylizerCard)


def test_client_lists_kinds_and_fields_of_a_newer_service(gateway: Gateway, ask: Ask) -> None:
    digits = generator_card().model_dump(mode="json") | {
        "mood": "good",
        "metrics": [{"name": "m", "value": 1, "method": "m", "unit": "m"}],
    }
    larger = generator_card("larger").model_dump(mode="json") | {"kind": "upscaler", "factor": 2}
    models = [{"version": "0", "device": "cpu", "card": card} for card in (digits, larger)]
    gateway.will(200, json.dumps({"models": models}).encode(), Content_Type="application/json")
    listed = ask(gateway.url, "models")
    assert [(model.name, model.card.kind) for model in listed] == [("digits", "generator"), ("larger", "upscaler")]
    assert listed.cards(GeneratorCard) == [listed[0].card]
    assert listed[0].card.metrics[0].value == 1
    assert listed[1].model_dump(mode="json")["card"]["title"] == larger["title"]


BROKEN_CARDS = [
    ({"kind": None}, r"card\.kind"),
    ({"kind": 3}, r"card\.kind"),
    ({"kind": []}, r"card\.kind"),
    ({"kind": {}}, r"card\.kind"),
    ({"schema_version": 2}, "its card has schema_version 2, and this client reads 1"),
    ({"kind": "upscaler", "schema_version": 2}, "schema_version 2"),
    ({"height": 0}, r"card\.generator\.height"),
    ({"title": None}, "title"),
    ({"name": "../../owned"}, "name"),
]


@pytest.mark.parametrize(("change", "reason"), BROKEN_CARDS)
def test_broken_card_does_not_hide_the_others(gateway: Gateway, ask: Ask, change: dict, reason: str) -> None:
    good, broken = generator_card().model_dump(mode="json"), generator_card("newer").model_dump(mode="json") | change
    body = json.dumps({"models": [{"version": "0", "card": card} for card in (broken, good)]}).encode()
    gateway.will(200, body, Content_Type="application/json")
    models = ask(gateway.url, "models")
    assert [model.name for model in models] == ["digits"]
    ((name, found),) = [(model.name, model.reason) for model in models.unreadable]
    assert name == ("number 1" if "name" in change else "newer")
    assert re.search(reason, found)
    with pytest.raises(ValueError, match="There is no" if "name" in change else "newer cannot be read by this client version"):
        models.find("newer", GeneratorCard)
    gateway.will(200, json.dumps({"version": "0", "card": broken}).encode(), Content_Type="application/json")
    with pytest.raises(ganvas.UnexpectedResponseError, match=reason):
        ask(gateway.url, "model", "newer")


@pytest.mark.parametrize("entry", [None, 3, "text", [], {}, {"card": 3}, {"card": {}}, {"version": "1"}])
def test_broken_entry_does_not_hide_the_others(gateway: Gateway, ask: Ask, entry: object) -> None:
    good = {"version": "0", "card": generator_card().model_dump(mode="json")}
    gateway.will(200, json.dumps({"models": [entry, good], "refused": entry}).encode(), Content_Type="application/json")
    models = ask(gateway.url, "models")
    assert ([model.name for model in models], [model.name for model in models.unreadable]) == (["digits"], ["number 1"])


def test_style_chooses_among_several_stylizers() -> None:
    first, second = stylizer_card(), stylizer_card(name="others")
    renamed = second.model_copy(update={"styles": tuple(s.model_copy(update={"name": f"{s.name}-2"}) for s in second.styles)})
    several = Models((Model(version="1", card=first), Model(version="2", card=renamed)))
    assert several.find(None, StylizerCard, "night") == (first, "1")
    assert several.find(None, StylizerCard, "night-2:0.7, wave-2:0.3") == (renamed, "2")
    assert several.find("others", StylizerCard, "night") == (renamed, "2")  # the service rejects the style
    none = "No stylizer has"
    for style, words in ((None, "Name a stylizer with `model`"), ("dawn", none), ("night,wave-2", none)):
        with pytest.raises(ValueError, match=f"{words}.*painters, others"):
            several.find(None, StylizerCard, style)
    twins = Models((Model(version="1", card=first), Model(version="2", card=second)))
    with pytest.raises(ValueError, match=r"Several stylizers have the style 'night'\. Name one with `model`: painters, others"):
        twins.find(None, StylizerCard, "night")


def test_class_chooses_among_several_generators() -> None:
    digits, heads = generator_card(), generator_card("heads", classes=("zero", "hat"))
    several = Models((Model(version="1", card=digits), Model(version="2", card=heads)))
    assert several.find(None, GeneratorCard, class_="one") == (digits, "1")
    assert several.find(None, GeneratorCard, class_="hat") == (heads, "2")
    assert several.find("heads", GeneratorCard, class_="one") == (heads, "2")  # the service rejects the class
    with pytest.raises(ValueError, match=r"No generator has the class 'cat'\. Name a class of one of these: digits, heads"):
        several.find(None, GeneratorCard, class_="cat")
    with pytest.raises(ValueError, match=r"Several generators have the class 'zero'\. Name one with `model`: digits, heads"):
        several.find(None, GeneratorCard, class_="zero")


def test_samples_and_walks_in_classes(service: Running, ask: Ask) -> None:
    latents = latents_of_seed(7, 3, LATENT_SIZE)
    ones = ask(service.url, "sample", 3, seed=7, class_="one")
    np.testing.assert_array_equal(ones.array, generated(with_classes(latents, np.full(3, 1), 3)))
    assert (ones.filename, ones.seeds) == ("digits_one-7.npy", (7,))
    each = ask(service.url, "sample", seed=7, class_=("one", "zero", CLASSES[2]), format="zip")  # no limit of one image
    np.testing.assert_array_equal(each.array, generated(with_classes(latents, np.array([1, 0, 2]), 3)))
    assert each.filename == "digits-7.zip"
    walk = ask(service.url, "interpolate", class_=["one", "zero", "one"], steps=4, format="npy")
    assert len(walk) == 12
    again = ask(service.url, "interpolate", walk.seeds, class_=["one", "zero", "one"], steps=4, format="npy")
    np.testing.assert_array_equal(again.array, walk.array)
    assert ask(service.url, "interpolate", [3, 7], class_=CLASSES[2], steps=2).filename == "digits_T-shirt-top-3-7.webp"


def test_unknown_class_lists_the_known(service: Running, ask: Ask) -> None:
    with pytest.raises(ganvas.InvalidError, match="There is no class 'seven': this model's classes are zero, one") as caught:
        ask(service.url, "sample", class_=["one", "seven"])
    assert caught.value.errors[0].field == "class[1]"


def test_batch_takes_the_default_model_of_the_service(gateway: Gateway, ask: Ask, tmp_path: Path) -> None:
    cards = (generator_card(), generator_card("b"), stylizer_card(), stylizer_card(name="others"))
    entries = [{"version": "0", "card": card.model_dump(mode="json")} for card in cards]
    listing = {"models": entries, "refused": [], "defaults": ["gone", 3, "others", "b", "painters"]}
    gateway.will(200, json.dumps(listing).encode(), Content_Type="application/json")
    models = ask(gateway.url, "models")
    assert models.find(None, GeneratorCard)[0].name == "b"
    assert models.find(None, StylizerCard)[0].name == "others"
    assert models.find(None, StylizerCard, "night")[0].name == "others"
    assert models.find("painters", StylizerCard, "night")[0].name == "painters"
    with pytest.raises(ValueError, match="No stylizer has the style 'dawn'"):
        models.find(None, StylizerCard, "dawn")


def test_url_and_key_come_from_the_environment(gateway: Gateway, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANVAS_URL", f"{gateway.url}/behind/a/path/")
    monkeypatch.setenv("GANVAS_API_KEY", "secret")
    gateway.will(200, b'{"models": [], "refused": [], "and": "more"}', Content_Type="application/json")
    assert list(ask(None, "models")) == []
    assert gateway.seen[0]["Authorization"] == "Bearer secret"
    gateway.will(200, b'{"models": []}', Content_Type="application/json")
    ask(gateway.url, "models", options={"api_key": "another"})
    assert gateway.seen[1]["Authorization"] == "Bearer another"


def test_sends_no_key_by_default(gateway: Gateway, ask: Ask) -> None:
    gateway.will(200, b'{"models": []}', Content_Type="application/json")
    ask(gateway.url, "models")
    assert "Authorization" not in gateway.seen[0]
    assert len(gateway.seen[0]["X-Request-ID"]) == 32


@pytest.mark.parametrize("url", ["localhost:3000", "ftp://localhost", "http://", "nonsense", "http://[::1", "http://a:b"])
def test_rejects_invalid_url(ask: Ask, url: str) -> None:
    with pytest.raises(ValueError, match="must be like http://localhost:3000"):
        ask(url, "models")


def test_uses_the_proxy_of_the_environment(gateway: Gateway, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", gateway.url)
    gateway.will(200, b'{"models": []}', Content_Type="application/json")
    assert list(ask("http://ganvas.invalid", "models")) == []
    assert gateway.seen[0]["Host"] == "ganvas.invalid"


def test_accepts_any_httpx_transport(service: Running) -> None:
    asked = []

    class Watching(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            asked.append(request.url.path)
            return super().handle_request(request)

    with ganvas.Client(service.url, transport=Watching()) as client:
        client.sample(seed=1)
    assert asked == ["/v1/sample"]


def test_both_clients_have_the_same_methods() -> None:
    for name in ("models", "model", "sample", "interpolate", "stylize", "sample_many", "stylize_many"):
        sync, asynchronous = getattr(ganvas.Client, name), getattr(ganvas.AsyncClient, name)
        assert sync.__doc__ == asynchronous.__doc__
        assert sync.__name__ == asynchronous.__name__ == name
        assert inspect.signature(sync) == inspect.signature(asynchronous)
        assert next(iter(inspect.signature(sync).parameters)) == "self"
    assert list(inspect.signature(ganvas.Client.sample).parameters)[1:] == list(inspect.signature(calls.sample).parameters)
    assert inspect.signature(ganvas.Client.sample).return_annotation is ganvas.ImageResult


def test_methods_are_typed(client: ganvas.Client) -> None:
    """mypy checks the line below."""
    assert_type(client.sample(1), ganvas.ImageResult)
    assert (ROOT / "ganvas" / "py.typed").exists()


def test_sdk_exports_are_sorted_and_complete() -> None:
    from ganvas import sdk

    assert sdk.__all__ == sorted(sdk.__all__)
    for name in sdk.__all__:
        assert getattr(ganvas, name) is getattr(sdk, name)
    with pytest.raises(AttributeError, match="Nonsense"):
        _ = ganvas.Nonsense


WITHOUT = """
import sys
sys.modules.update(dict.fromkeys(["numpy", "torch", "onnxruntime", "bentoml", "starlette", "typer", "rich", "click"]))
import ganvas
with ganvas.Client(sys.argv[1]) as client:
    digits = client.sample(2, seed=7)
    assert [image.size for image in digits] == [(8, 8), (8, 8)]
    assert client.stylize(digits[0], style="night").image.size == (8, 8)
    report = client.stylize_many(sys.argv[2], sys.argv[3], style="night", progress=True)
    assert (report.made, report.ok) == (1, True), report
    try:
        digits.array
    except ModuleNotFoundError as error:
        print(error)
"""


def test_works_without_numpy_and_without_the_command_line_extra(service: Running, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(photo()).save(tmp_path / "in" / "a.png")
    arguments = [service.url, str(tmp_path / "in"), str(tmp_path / "out")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GANVAS_")}
    process = subprocess.run(
        [sys.executable, "-c", WITHOUT, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert process.returncode == 0, process.stderr
    assert "numpy" in process.stdout
    assert "stylize: 1/1" in process.stderr

"""What the studio shows first: the rules for models and styles, and what the address says."""

import base64
import io
from collections.abc import Iterator

import pytest
from PIL import Image
from playwright.sync_api import expect

from ganvas.card import Style
from tests.service.onnx_models import generator_card, generator_model, save, stylizer_card, stylizer_model
from tests.service.running import Running, running
from tests.service.studio.conftest import Open


def painting(name: str, colours: list[str]) -> Style:
    """A style whose painting consists of stripes."""
    image = Image.new("RGB", (48, 48))
    for index, colour in enumerate(colours):
        image.paste(Image.new("RGB", (48 // len(colours), 48), colour), (index * 48 // len(colours), 0))
    buffer = io.BytesIO()
    image.save(buffer, "jpeg")
    thumbnail = base64.b64encode(buffer.getvalue()).decode()
    return Style(name=name, title=name.title(), artist="Anon", licence="CC0", thumbnail=thumbnail)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two grey generators, two in colour of which the first is larger, and stylizers of one style and of three."""
    folder = tmp_path_factory.mktemp("models")
    for name, side, channels in (("a-grey", 8, 1), ("b-grey", 24, 1), ("c-colour", 16, 3), ("d-colour", 8, 3)):
        card = generator_card(name, title=name, height=side, width=side, channels=channels)
        save(generator_model(side=side, channels=channels), folder / f"{name}.onnx", card)
    save(stylizer_model(1), folder / "e-one.onnx", stylizer_card("e-one", ("only",), title="One"))
    paintings = painting("ash", ["#777", "#888"]), painting("fire", ["red", "blue", "lime"]), painting("mist", ["#788", "#887"])
    save(
        stylizer_model(),
        folder / "f-three.onnx",
        stylizer_card("f-three", title="Three").model_copy(update={"styles": paintings}),
    )
    with running(folder, tmp_path_factory.mktemp("log")) as service:
        yield service


def test_begins_with_the_largest_generator_in_colour(open_studio: Open, several: Running) -> None:
    page = open_studio(url=several.url).page
    expect(page.locator("#sample")).to_be_visible()
    expect(page.get_by_role("group", name="Generator").get_by_label("c-colour")).to_be_checked()


def test_begins_with_the_most_styles_and_the_most_colourful_one(open_studio: Open, several: Running) -> None:
    page = open_studio("?view=stylize", url=several.url).page
    expect(page.get_by_role("group", name="Stylizer").get_by_label("Three")).to_be_checked()
    expect(page.locator("#styles").get_by_label("Fire")).to_be_checked()
    page.wait_for_url("**/*style=fire*")


@pytest.mark.parametrize(
    ("query", "model", "style"),
    [
        ("?style=only", "One", "Only"),
        ("?style=mist", "Three", "Mist"),
        ("?stylizer=f-three&style=ash&view=stylize", "Three", "Ash"),
        ("?stylizer=e-one", "One", "Only"),
        ("?style=rembrandt", "Three", "Fire"),
    ],
)
def test_address_finds_the_model_of_a_style(open_studio: Open, several: Running, query: str, model: str, style: str) -> None:
    page = open_studio(query, url=several.url).page
    expect(page.locator("#stylize")).to_be_visible()
    expect(page.get_by_role("group", name="Stylizer").get_by_label(model)).to_be_checked()
    expect(page.locator("#styles").get_by_label(style)).to_be_checked()


def test_address_names_the_generator(open_studio: Open, several: Running) -> None:
    page = open_studio("?generator=a-grey&seed=3", url=several.url).page
    expect(page.locator("#sample")).to_be_visible()
    expect(page.get_by_role("group", name="Generator").get_by_label("a-grey")).to_be_checked()

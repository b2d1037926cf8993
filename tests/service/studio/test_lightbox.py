"""One image as large as the window: how it opens, zoom by keyboard, mouse and fingers, and what it saves."""

import io
import re
from pathlib import Path

import httpx
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect

from tests.service.conftest import image_bytes, pixels
from tests.service.studio.conftest import Open, Studio, sampled, with_photo


def is_shown(studio: Studio, label: str) -> None:
    dialog = studio.page.get_by_role("dialog", name=label)
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("img", name=label)).to_be_visible()
    expect(dialog.locator("#large-status")).to_contain_text("pixels")


def zoom(studio: Studio) -> int:
    return int(studio.page.locator("#zoom").inner_text().removesuffix("%"))


def left(studio: Studio) -> float:
    found: float = studio.page.locator("#large").evaluate("(image) => image.getBoundingClientRect().left")
    return found


def test_opens_by_double_click_by_enter_and_by_button(open_studio: Open) -> None:
    studio = open_studio("?seed=7", reduced_motion="reduce")
    page = studio.page
    studio.wait_for_images()
    studio.tiles().nth(3).dblclick()
    is_shown(studio, "A test model, seed 10")
    page.keyboard.press("Escape")
    expect(page.locator("#lightbox")).to_be_hidden()
    studio.tiles().nth(5).locator("input").focus()
    page.keyboard.press("Enter")
    is_shown(studio, "A test model, seed 12")
    page.get_by_role("button", name="Close").click()
    expect(studio.tiles().nth(5).locator("input")).to_be_focused()
    page.get_by_role("button", name="View large").click()
    is_shown(studio, "A test model, seed 10")  # the end of the walk


def test_keyboard_zooms_moves_and_changes_the_image(open_studio: Open) -> None:
    studio = open_studio("?seed=7")
    keyboard = studio.page.keyboard
    studio.wait_for_images()
    studio.page.get_by_role("button", name="View large").click()
    is_shown(studio, "A test model, seed 7")
    fitting = zoom(studio)
    assert fitting > 100  # 8 pixels fill the window
    keyboard.press("+")
    assert zoom(studio) == pytest.approx(fitting * 1.5, abs=1)
    keyboard.press("=")
    before = left(studio)
    keyboard.press("ArrowRight")  # moves the image while a part of it is outside
    assert left(studio) < before
    keyboard.press("1")
    assert zoom(studio) == 100
    keyboard.press("0")
    assert zoom(studio) == fitting
    keyboard.press("ArrowRight")
    is_shown(studio, "A test model, seed 8")
    keyboard.press("ArrowLeft")
    keyboard.press("ArrowLeft")  # from the first to the last
    is_shown(studio, "A test model, seed 22")
    assert studio.complaints == []


def test_arrow_keys_change_the_image_while_another_one_loads(open_studio: Open) -> None:
    studio = open_studio("?seed=7")
    keyboard = studio.page.keyboard
    studio.wait_for_images()
    studio.page.get_by_role("button", name="View large").click()
    is_shown(studio, "A test model, seed 7")
    for zoom_key in ("0", "+"):
        keyboard.press(zoom_key)
        pressed = studio.page.evaluate(
            """() => ["PageDown", "ArrowRight", "ArrowRight", "ArrowLeft", "PageUp"].map((key) => {
                // All in one task of the page, so that no image is loaded between two keys.
                document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
                return document.querySelector("#large-title").textContent.match(/\\d+$/)[0];
            })"""
        )
        assert pressed == ["8", "9", "10", "9", "8"]
        keyboard.press("PageUp")
        is_shown(studio, "A test model, seed 7")


def test_mouse_zooms_and_drags(open_studio: Open) -> None:
    studio = open_studio("?seed=7")
    studio.wait_for_images()
    studio.page.get_by_role("button", name="View large").click()
    is_shown(studio, "A test model, seed 7")
    fitting, mouse = zoom(studio), studio.page.mouse
    mouse.move(600, 400)
    mouse.wheel(0, -300)
    expect(studio.page.locator("#zoom")).not_to_have_text(f"{fitting}%")
    assert zoom(studio) > fitting
    before = left(studio)
    mouse.down()
    mouse.move(650, 400, steps=3)
    mouse.up()
    assert left(studio) == pytest.approx(before + 50, abs=1)
    mouse.dblclick(600, 400)
    assert zoom(studio) == fitting


def test_zooms_with_two_fingers(open_studio: Open) -> None:
    studio = open_studio("?seed=7", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    studio.wait_for_images()
    studio.page.get_by_role("button", name="View large").click()
    is_shown(studio, "A test model, seed 7")
    fitting = zoom(studio)
    touch = studio.page.context.new_cdp_session(studio.page)
    for kind, apart in (("touchStart", 60), ("touchMove", 90), ("touchMove", 120)):
        points = [{"x": 195 - apart, "y": 400, "id": 0}, {"x": 195 + apart, "y": 400, "id": 1}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert 1.6 * fitting < zoom(studio) < 2.1 * fitting


def test_saves_the_image_of_the_api(open_studio: Open, client: httpx.Client) -> None:
    studio = open_studio("?seed=7")
    studio.wait_for_images()
    studio.tiles().nth(2).dblclick()
    is_shown(studio, "A test model, seed 9")
    with studio.page.expect_download() as download:
        studio.page.get_by_role("button", name="Save", exact=True).click()
    assert download.value.suggested_filename == "digits-9.png"
    saved = pixels(Path(download.value.path()).read_bytes())
    np.testing.assert_array_equal(saved[..., None], sampled(client, seed=9)[0])


def test_shows_the_painting_in_full_size(open_studio: Open, client: httpx.Client) -> None:
    photo = image_bytes(Image.new("RGB", (240, 160), "teal"))
    studio = open_studio("?view=stylize&style=wave")
    studio.page.set_input_files("#photo", {"name": "sea.png", "mimeType": "image/png", "buffer": photo})
    expect(studio.page.get_by_role("img", name="The photo, Wave")).to_be_visible()
    studio.page.get_by_role("button", name="View large").click()
    is_shown(studio, "sea.png, Wave")
    expect(studio.page.locator("#large-status")).to_have_text(re.compile("240 . 160 pixels"))
    with studio.page.expect_download() as download:
        studio.page.get_by_role("button", name="Save", exact=True).click()
    assert download.value.suggested_filename == "sea-wave.jpg"
    expected = client.post("/v1/stylize", data={"style": "wave", "max_side": 256}, files={"image": photo}).content
    assert Image.open(io.BytesIO(expected)).size == (240, 160)
    assert Path(download.value.path()).read_bytes() == expected
    studio.page.get_by_role("button", name="Next").click()
    is_shown(studio, "sea.png, the photo")


def test_axe_finds_no_violations(open_studio: Open) -> None:
    studio = with_photo(open_studio("?view=stylize", reduced_motion="reduce"))
    studio.page.get_by_role("button", name="View large").click()
    is_shown(studio, "photo.png, Night")
    found = Axe().run(studio.page).response["violations"]
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found] == []

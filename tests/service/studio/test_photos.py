"""Photos: examples, the drop area, the clipboard, before and after, all styles at once, several photos at once."""

import io
import zipfile
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from service.settings import ROOT
from tests.service.conftest import image_bytes
from tests.service.onnx_models import STYLE_OFFSETS
from tests.service.studio.conftest import Open, with_photo

EXAMPLES = sorted((ROOT / "service" / "studio" / "examples").glob("*.jpg"))


def png(colour: str, size: tuple[int, int] = (90, 60)) -> bytes:
    return image_bytes(Image.new("RGB", size, colour))


def choose(page: Page, *files: tuple[str, bytes]) -> None:
    chosen = [{"name": name, "mimeType": "image/png", "buffer": data} for name, data in files]
    page.set_input_files("#photo", chosen)  # type: ignore[arg-type]


def wait_for_batch(page: Page) -> None:
    expect(page.locator("#batch-again")).to_be_visible()


def downloaded_zip(page: Page, button: str, panel: str) -> dict[str, bytes]:
    with page.expect_download() as download:
        page.locator(panel).get_by_role("button", name=button).click()
    with zipfile.ZipFile(Path(download.value.path())) as archive:
        assert archive.testzip() is None
        return {info.filename: archive.read(info) for info in archive.infolist()}


def test_examples_are_small_and_credited() -> None:
    credit = (ROOT / "service" / "studio" / "examples" / "README.md").read_text()
    page = (ROOT / "service" / "studio" / "index.html").read_text()
    assert 3 <= len(EXAMPLES) <= 4
    for photo in EXAMPLES:
        assert photo.stat().st_size < 60_000
        assert f"`{photo.name}`" in credit
        assert f'value="{photo.name}"' in page
        with Image.open(photo) as opened:
            assert opened.format == "JPEG"


def test_example_is_painted_by_one_click(open_studio: Open, client: httpx.Client) -> None:
    studio = open_studio("?view=stylize")
    studio.page.get_by_role("group", name="Or try").get_by_role("button", name="A cat").click()
    expect(studio.page.get_by_role("img", name="The photo cat.jpg")).to_be_visible()
    expect(studio.page.get_by_role("img", name="The photo, Night")).to_be_visible()
    expect(studio.page.locator("#invitation")).to_be_hidden()
    with studio.page.expect_download() as download:
        studio.page.get_by_role("button", name="Download").click()
    cat = next(photo for photo in EXAMPLES if photo.stem == "cat")
    expected = client.post("/v1/stylize", data={"style": "night", "max_side": 256}, files={"image": cat.read_bytes()})
    assert Path(download.value.path()).read_bytes() == expected.content
    assert studio.complaints == []


@pytest.mark.parametrize("key", ["", "Enter", "Space"])
def test_drop_area_opens_the_file_dialog(open_studio: Open, key: str) -> None:
    page = open_studio("?view=stylize").page
    with page.expect_file_chooser() as chooser:
        if key:
            page.locator("#invitation").focus()
            page.keyboard.press(key)
        else:
            page.locator("#invitation").click()
    assert chooser.value.is_multiple()
    chooser.value.set_files({"name": "sea.png", "mimeType": "image/png", "buffer": png("teal")})
    expect(page.get_by_role("img", name="The photo sea.png")).to_be_visible()


def test_takes_a_photo_from_the_clipboard(open_studio: Open) -> None:
    studio = open_studio()
    page = studio.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async (bytes) => {
            const photo = new Blob([new Uint8Array(bytes)], {type: "image/png"});
            await navigator.clipboard.write([new ClipboardItem({"image/png": photo})]);
        }""",
        [*png("teal", (80, 40))],
    )
    page.keyboard.press("ControlOrMeta+v")
    expect(page.locator("#stylize")).to_be_visible()
    expect(page.get_by_role("img", name="The photo, Night")).to_be_visible()
    assert studio.pixels(page.locator("#before")).shape == (40, 80, 3)


def test_slider_divides_photo_and_painting(open_studio: Open) -> None:
    studio = with_photo(open_studio("?view=stylize"))
    page = studio.page
    slider = page.get_by_role("slider", name="Photo or painting")
    expect(slider).to_have_attribute("aria-valuetext", "50% photo")
    slider.focus()
    for key, share in (("End", 100), ("Home", 0), ("ArrowRight", 1)):
        page.keyboard.press(key)
        expect(slider).to_have_attribute("aria-valuetext", f"{share}% photo")
    frame = page.locator("#sides")
    box = frame.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    expect(slider).to_have_attribute("aria-valuetext", "25% photo")
    page.mouse.move(0, 0)
    page.evaluate("() => document.activeElement.blur()")
    shown = np.asarray(Image.open(io.BytesIO(frame.screenshot())).convert("RGB"), int)
    row = shown[10]  # above the handle
    photo, painting = row[: int(len(row) * 0.2)], row[int(len(row) * 0.3) : -12]
    np.testing.assert_allclose(photo.mean(0)[1:], (128, 128), atol=8)  # teal
    assert np.abs(painting.mean(0) - photo.mean(0)).max() > 20


def test_saves_the_photo_in_all_styles_as_a_sheet(open_studio: Open) -> None:
    page = open_studio("?view=stylize").page
    choose(page, ("grey.png", png("slategrey")))
    expect(page.get_by_role("img", name="The photo, Night")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save all as sheet").click()
    assert download.value.suggested_filename == "grey-styles.png"
    sheet = np.asarray(Image.open(download.value.path()).convert("RGB"), int)
    assert sheet.shape == (2 * (60 + 30 + 8) - 8, 3 * (90 + 8) - 8, 3)
    photo, *paintings = [sheet[y + 20, x + 20] for y in (0, 98) for x in (0, 98, 196)][:4]
    colour = np.array((112, 128, 144))
    np.testing.assert_allclose(photo, colour, atol=12)
    for painting, offset in zip(paintings, STYLE_OFFSETS.values(), strict=True):
        np.testing.assert_allclose(painting, (255 - colour + offset).clip(0, 255), atol=12)


def test_saves_the_photo_in_all_styles_as_a_zip(open_studio: Open, client: httpx.Client) -> None:
    studio = open_studio("?view=stylize&strength=0.5")
    choose(studio.page, ("Élan.png", png("teal", (200, 120))))
    expect(studio.page.get_by_role("img", name="The photo, Night")).to_be_visible()
    files = downloaded_zip(studio.page, "Save all as zip", "#stylize .stage")
    assert [*files] == [f"Élan-{style}.jpg" for style in STYLE_OFFSETS]
    for style in STYLE_OFFSETS:
        form = {"style": style, "strength": 0.5, "max_side": 256}
        expected = client.post("/v1/stylize", data=form, files={"image": png("teal", (200, 120))}).content
        assert files[f"Élan-{style}.jpg"] == expected


def test_paints_several_photos_and_lists_failures(open_studio: Open, client: httpx.Client) -> None:
    studio = open_studio("?view=stylize&style=wave")
    page = studio.page
    choose(page, ("sea.png", png("teal")), ("notes.png", b"not an image"), ("sand.png", png("tan")), ("sea.png", png("navy")))
    wait_for_batch(page)
    panel = page.get_by_role("region", name="4 photos in Wave")
    expect(panel.get_by_role("status")).to_have_text("3 of 4 painted, 1 failed")
    failed = panel.locator("li.failed")
    expect(failed).to_have_count(1)
    expect(failed).to_contain_text("notes.png is not a JPEG, PNG or WebP image")
    expect(page.get_by_role("img", name="The photo sea.png")).to_be_visible()  # the first is shown as well
    files = downloaded_zip(page, "Save all as zip", "#batch")
    assert [*files] == ["sea-wave.jpg", "sand-wave.jpg", "sea-wave-2.jpg"]
    for name, colour in zip(files, ("teal", "tan", "navy"), strict=True):
        form = {"style": "wave", "max_side": 256}
        assert files[name] == client.post("/v1/stylize", data=form, files={"image": png(colour)}).content
    panel.get_by_role("button", name="View sand.png, painted").click()
    expect(page.get_by_role("dialog", name="sand.png, painted")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator("#styles").get_by_label("Night").check()
    panel.get_by_role("button", name="Paint again with these settings").click()
    wait_for_batch(page)
    expect(page.get_by_role("region", name="4 photos in Night")).to_be_visible()
    page.get_by_role("button", name="Close the list of photos").click()
    expect(page.locator("#batch")).to_be_hidden()


def test_painting_of_several_photos_can_be_stopped(open_studio: Open) -> None:
    studio = open_studio("?view=stylize")
    page = studio.page
    held: list[Route] = []
    with_photo(studio)
    page.route("**/v1/stylize", lambda route: held.append(route))  # no response until the end of the test
    choose(page, *((f"{n}.png", png("teal")) for n in range(5)))
    expect(page.get_by_role("progressbar", name="Painted photos")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    wait_for_batch(page)
    expect(page.locator("#batch-status")).to_have_text("0 of 5 painted, 5 stopped")
    expect(page.locator("#batch li")).to_have_text([f"{n}.png Stopped" for n in range(5)])

"""The Stylize view: a photo in every style, strength, colours, blends, the download and problems."""

import re
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from ganvas.api import UPLOAD_FORMATS_TEXT
from tests.service.conftest import image_bytes, pixels
from tests.service.onnx_models import (
    STYLE_OFFSETS,
    generator_card,
    generator_model,
    save,
    styled,
    stylizer_card,
    stylizer_model,
)  # fmt: skip
from tests.service.running import running
from tests.service.studio.conftest import Open, Studio

LOSSY = 6  # allowed mean difference after two JPEG compressions, in grey levels


@pytest.fixture
def smooth() -> np.ndarray:
    """A photo that JPEG changes little and that no style makes black or white: uint8 [40, 60, 3]."""
    y, x = np.mgrid[0:40, 0:60]
    return np.stack([110 + x // 2, 110 + y // 2, 150 - x // 2], axis=2).astype(np.uint8)


def load(studio: Studio, photo: np.ndarray, name: str = "my photo.png") -> None:
    studio.page.set_input_files(
        "#photo", {"name": name, "mimeType": "image/png", "buffer": image_bytes(Image.fromarray(photo))}
    )
    wait_until_painted(studio)


def wait_until_painted(studio: Studio) -> None:
    expect(studio.page.locator("#styles .waiting")).to_have_count(0)
    expect(studio.page.locator("#stylize [aria-busy=true]")).to_have_count(0)
    expect(studio.page.locator("#after")).to_have_attribute("src", re.compile("^blob:"))


def after(studio: Studio, photo: np.ndarray, expected: np.ndarray) -> None:
    """Compare the shown image with what the model makes of the photo."""
    shown = studio.pixels(studio.page.locator("#after"))
    assert shown.shape == photo.shape
    assert np.abs(shown.astype(int) - expected).mean() < LOSSY


def weights(**shares: float) -> np.ndarray:
    return np.array([shares.get(name, 0) for name in STYLE_OFFSETS], np.float32)


def test_shows_the_photo_in_every_style(open_studio: Open, smooth: np.ndarray) -> None:
    studio = open_studio("?view=stylize")
    expect(studio.page.locator("#invitation")).to_be_visible()
    expect(studio.page.locator("#styles img[src^='data:']")).to_have_count(3)  # the paintings themselves
    load(studio, smooth)
    expect(studio.page.locator("#invitation")).to_be_hidden()
    for index, name in enumerate(STYLE_OFFSETS):
        tile = studio.pixels(studio.page.locator("#styles img").nth(index))
        assert np.abs(tile.astype(int) - styled(smooth, weights(**{name: 1}), 1, 0)).mean() < LOSSY
    np.testing.assert_allclose(studio.pixels(studio.page.locator("#before")), smooth, atol=30)
    after(studio, smooth, styled(smooth, weights(night=1), 1, 0))
    assert studio.complaints == []
    assert all(url.startswith((studio.url, "blob:", "data:")) for url in studio.requests)


def test_applies_style_strength_and_keep_color(open_studio: Open, smooth: np.ndarray) -> None:
    studio = open_studio("?view=stylize")
    load(studio, smooth)
    studio.page.locator("#styles").get_by_label("Wave").check()
    wait_until_painted(studio)
    after(studio, smooth, styled(smooth, weights(wave=1), 1, 0))
    expect(studio.page.locator("#after-caption")).to_have_text("Wave")
    studio.set_slider("strength", 0.5)
    studio.set_slider("keep-color", 1)
    wait_until_painted(studio)
    after(studio, smooth, styled(smooth, weights(wave=1), 0.5, 1))
    studio.set_slider("strength", 0)
    wait_until_painted(studio)
    after(studio, smooth, smooth)


def test_applies_brush(open_studio: Open, client: httpx.Client, smooth: np.ndarray) -> None:
    studio = open_studio("?view=stylize&style=wave&brush=0.2")  # not a value that is allowed
    load(studio, smooth)
    expect(studio.page.locator("output[for=brush]")).to_have_text("1\N{MULTIPLICATION SIGN}")
    wait_until_painted(studio)
    after(studio, smooth, styled(smooth, weights(wave=1), 1, 0))
    studio.set_slider("brush", 1.5)
    expect(studio.page.locator("output[for=brush]")).to_have_text("1.5\N{MULTIPLICATION SIGN}")
    wait_until_painted(studio)
    form = {"style": "wave", "brush": 1.5, "format": "png"}
    expected = client.post("/v1/stylize", data=form, files={"image": image_bytes(Image.fromarray(smooth))})
    after(studio, smooth, pixels(expected.content))
    expect(studio.page).to_have_url(re.compile("brush=1.5"))


def test_blends_two_styles(open_studio: Open, smooth: np.ndarray) -> None:
    studio = open_studio("?view=stylize")
    load(studio, smooth)
    expect(studio.page.locator("#mix")).to_be_disabled()
    studio.page.get_by_label("Blend with").select_option("Scream")
    studio.set_slider("mix", 0.3)
    expect(studio.page.locator("#after-caption")).to_have_text("Night 70%, Scream 30%")
    wait_until_painted(studio)
    after(studio, smooth, styled(smooth, weights(night=0.7, scream=0.3), 1, 0))
    studio.set_slider("mix", 1)
    wait_until_painted(studio)
    after(studio, smooth, styled(smooth, weights(scream=1), 1, 0))
    studio.page.locator("#styles").get_by_label("Scream").check()  # a style is not blended with itself
    expect(studio.page.get_by_label("Blend with")).to_have_value("")


@pytest.mark.parametrize("image_format", ["jpeg", "png"])
def test_download_paints_the_full_photo(open_studio: Open, client: httpx.Client, smooth: np.ndarray, image_format: str) -> None:
    studio = open_studio("?view=stylize&style=wave&strength=0.8")
    large = smooth.repeat(5, 0).repeat(5, 1)
    load(studio, large)
    studio.page.locator("#save-format").select_option(image_format)
    with studio.page.expect_download() as download:
        studio.page.get_by_role("button", name="Download").click()
    suffix = {"jpeg": "jpg", "png": "png"}[image_format]
    assert download.value.suggested_filename == f"my-photo-painters.{suffix}"
    form = {"style": "wave", "strength": 0.8, "max_side": 256, "format": image_format}
    expected = client.post("/v1/stylize", data=form, files={"image": image_bytes(Image.fromarray(large))})
    assert Path(download.value.path()).read_bytes() == expected.content


def test_shown_code_makes_the_same_image(open_studio: Open, client: httpx.Client, smooth: np.ndarray, tmp_path: Path) -> None:
    studio = open_studio("?view=stylize&style=wave&second=night&mix=0.25&strength=0.8&keep_color=0.5&brush=2")
    name = 'it\'s a; "photo", mine.png'
    load(studio, smooth, name)
    (tmp_path / name).write_bytes(image_bytes(Image.fromarray(smooth)))
    code = studio.page.locator("#stylize-code code")
    subprocess.run(code.inner_text(), shell=True, cwd=tmp_path, check=True, timeout=60)
    made = tmp_path / 'it\'s a; "photo", mine-wave-night.jpg'
    form = {"style": "wave:0.75,night:0.25", "strength": 0.8, "keep_color": 0.5, "brush": 2}
    expected = client.post("/v1/stylize", data=form, files={"image": image_bytes(Image.fromarray(smooth))}).content
    assert made.read_bytes() == expected
    made.unlink()
    studio.page.locator("#stylize-code").get_by_label("Python").check()
    python = code.inner_text()
    compile(python, "the studio's", "exec")
    subprocess.run([sys.executable, "-c", python], cwd=tmp_path, check=True, timeout=60)
    assert made.read_bytes() == expected


def test_accepts_a_photo_dropped_on_the_other_view(open_studio: Open, smooth: np.ndarray) -> None:
    studio = open_studio()
    expect(studio.page.locator("#sample")).to_be_visible()
    data = [*image_bytes(Image.fromarray(smooth))]
    studio.page.evaluate(
        """(bytes) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "dropped.png", {type: "image/png"}));
            document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
        }""",
        data,
    )
    expect(studio.page.locator("#stylize")).to_be_visible()
    wait_until_painted(studio)
    after(studio, smooth, styled(smooth, weights(night=1), 1, 0))


def test_applies_exif_orientation(open_studio: Open, smooth: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    data = image_bytes(Image.fromarray(smooth), "jpeg", exif=exif, quality=95)
    studio = open_studio("?view=stylize")
    studio.page.set_input_files("#photo", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": data})
    wait_until_painted(studio)
    turned = np.rot90(smooth, -1)
    after(studio, turned, styled(turned, weights(night=1), 1, 0))


def test_converts_a_photo_that_only_the_browser_reads(open_studio: Open, client: httpx.Client, smooth: np.ndarray) -> None:
    data = image_bytes(Image.fromarray(smooth), "bmp")
    assert client.post("/v1/stylize", data={"style": "night"}, files={"image": data}).status_code == 415
    studio = open_studio("?view=stylize")
    studio.page.set_input_files("#photo", {"name": "a.bmp", "mimeType": "image/bmp", "buffer": data})
    wait_until_painted(studio)
    with studio.page.expect_download() as download:
        studio.page.get_by_role("button", name="Download").click()
    painted = np.asarray(Image.open(download.value.path()).convert("RGB"), int)
    assert np.abs(painted - styled(smooth, weights(night=1), 1, 0)).mean() < LOSSY


def test_shows_a_problem_until_the_next_success(open_studio: Open, smooth: np.ndarray) -> None:
    studio = open_studio("?view=stylize")
    load(studio, smooth)
    with studio.page.expect_response("**/v1/stylize") as response:
        studio.page.set_input_files("#photo", {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"not an image"})
    alert = studio.page.get_by_role("alert")
    notice = alert.locator(".notice", has_text=f"notes.txt is not a {UPLOAD_FORMATS_TEXT} image")
    expect(notice).to_contain_text("Unsupported media type")
    expect(notice.locator("code")).to_have_text(response.value.headers["x-request-id"])
    # The previous photo stays.
    studio.set_slider("strength", 0.5)
    wait_until_painted(studio)
    expect(notice).to_be_visible()
    load(studio, smooth)
    expect(notice).to_have_count(0)


def test_reports_a_service_that_stopped(open_studio: Open, models_folder: Path, tmp_path: Path) -> None:
    with running(models_folder, tmp_path) as service:
        studio = open_studio(url=service.url)
        studio.wait_for_images()
        service.stop()
        studio.set_slider("seed", 500)
        expect(studio.page.get_by_role("alert")).to_contain_text("The service does not respond. Is it running?")


def test_lists_refused_files(open_studio: Open) -> None:
    studio = open_studio()
    notice = studio.page.locator(".notice", has_text="broken.onnx is not served")
    expect(notice).to_contain_text("it is not an ONNX file, or it is cut off")
    notice.get_by_role("button", name="Dismiss").click()
    expect(notice).to_have_count(0)


def test_explains_that_no_model_is_served(open_studio: Open, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with running(tmp_path / "empty", tmp_path / "log") as service:
        studio = open_studio(url=service.url)
        expect(studio.page.get_by_role("heading", name="No model is served")).to_be_visible()
        for hidden in ("#views", "#sample", "#stylize"):
            expect(studio.page.locator(hidden)).to_be_hidden()
        assert studio.complaints == []


def test_offers_several_stylizers(open_studio: Open, tmp_path: Path, smooth: np.ndarray) -> None:
    save(stylizer_model(), tmp_path / "painters.onnx", stylizer_card(title="Painters"))
    save(stylizer_model(1), tmp_path / "single.onnx", stylizer_card("single", ("night",), title="Single"))
    save(generator_model(), tmp_path / "digits.onnx", generator_card())
    with running(tmp_path, tmp_path / "log") as service:
        studio = open_studio("?view=stylize", url=service.url)
        load(studio, smooth)
        studio.page.get_by_label("Single").check()
        expect(studio.page.locator("#styles .tile")).to_have_count(1)
        expect(studio.page.locator("#blend")).to_be_hidden()
        wait_until_painted(studio)
        after(studio, smooth, styled(smooth, np.ones(1, np.float32), 1, 0))
        studio.page.get_by_role("link", name="Sample").click()
        studio.wait_for_images()
        assert studio.complaints == []

"""The Sample view: the grid, the sliders, the walk and the code to copy show exactly the images of the API."""

import io
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.service.conftest import pixels
from tests.service.onnx_models import CLASSES, generator_card, generator_model, save, slow_generator_model
from tests.service.running import running
from tests.service.studio.conftest import Open, Studio, sampled

STEPS = 40  # of the studio's walk


def walked(client: httpx.Client, seeds: list[int], truncation: float = 1) -> np.ndarray:
    body = {"seeds": seeds, "steps": STEPS, "loop": False, "truncation": truncation, "format": "npy"}
    return np.load(io.BytesIO(client.post("/v1/interpolate", json=body).raise_for_status().content))


def wait_for_walk(studio: Studio, start: int, end: int) -> None:
    expect(studio.page.locator("#walk-from")).to_have_attribute("aria-label", f"Seed {start}")
    expect(studio.page.locator("#walk-to")).to_have_attribute("aria-label", f"Seed {end}")


def test_grid_shows_the_images_of_the_api(open_studio: Open, client: httpx.Client) -> None:
    studio = open_studio("?seed=7")
    expect(studio.tiles()).to_have_count(16)
    studio.wait_for_images()
    for index in (0, 5, 15):
        np.testing.assert_array_equal(studio.tile(index)[..., :1], sampled(client, seed=7 + index)[0])
    assert studio.complaints == []
    assert all(url.startswith((studio.url, "blob:", "data:")) for url in studio.requests)


def test_sliders_change_the_images(open_studio: Open, client: httpx.Client) -> None:
    studio = open_studio("?seed=7")
    studio.set_slider("seed", 107)
    studio.set_slider("truncation", 0.4)
    expect(studio.page.locator("#seed-number")).to_have_value("107")
    studio.wait_for_images()
    np.testing.assert_array_equal(studio.tile(3)[..., :1], sampled(client, seed=110, truncation=0.4)[0])
    assert studio.complaints == []


def test_seed_can_be_typed_or_shuffled(open_studio: Open, client: httpx.Client) -> None:
    studio = open_studio()
    studio.page.fill("#seed-number", str(2**32 - 1))
    studio.wait_for_images()
    for index, seed in enumerate((2**32 - 1, 0)):  # seeds wrap around
        np.testing.assert_array_equal(studio.tile(index)[..., :1], sampled(client, seed=seed)[0])
    studio.page.get_by_role("button", name="Shuffle").click()
    expect(studio.page.locator("#seed-number")).not_to_have_value(str(2**32 - 1))


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("abc", "“abc” is not a number."),
        ("", "The seed is empty."),
        ("-1", "-1 is negative."),
        (str(2**32), "4294967296 is too large."),
        ("9" * 400, f"{'9' * 20}… is too large."),
        ("1.5", "1.5 is not a whole number in digits."),
        ("1e3", "1e3 is not a whole number in digits."),
    ],
)
def test_wrong_seed_is_explained_and_not_sent(open_studio: Open, typed: str, reason: str) -> None:
    studio = open_studio("?seed=7")
    studio.wait_for_images()
    wait_for_walk(studio, 7, 8)
    field = studio.page.get_by_label("Seed as a number")
    sent = len(studio.requests)
    field.fill(typed)
    wrong = studio.page.locator("#seed-wrong")
    expect(wrong).to_have_text(f"{reason} A seed is a whole number from 0 to 4294967295.")
    expect(wrong).to_have_role("alert")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_value(typed)
    studio.page.wait_for_timeout(500)  # longer than the wait before a walk is requested
    assert [url for url in studio.requests[sent:] if "/v1/" in url] == []
    field.fill("8")
    expect(wrong).to_be_hidden()
    expect(field).to_have_attribute("aria-invalid", "false")
    wait_for_walk(studio, 8, 9)


def test_wrong_seed_in_the_address_is_explained(open_studio: Open, client: httpx.Client) -> None:
    studio = open_studio("?seed=-5")
    expect(studio.page.locator("#seed-wrong")).to_contain_text("The address has a wrong seed. -5 is negative.")
    studio.wait_for_images()
    np.testing.assert_array_equal(studio.tile(0)[..., :1], sampled(client, seed=1)[0])


def test_arrow_keys_step_through_seeds(open_studio: Open) -> None:
    field = open_studio("?seed=0").page.get_by_label("Seed as a number")
    for key, seed in (("ArrowDown", 0), ("ArrowUp", 1), ("ArrowUp", 2), ("ArrowDown", 1)):
        field.press(key)
        expect(field).to_have_value(str(seed))


def test_saves_the_grid(open_studio: Open, client: httpx.Client) -> None:
    studio = open_studio("?seed=7")
    with studio.page.expect_download() as download:
        studio.page.get_by_role("button", name="Save grid").click()
    assert download.value.suggested_filename == "digits-7-22.png"
    sheet = np.asarray(Image.open(download.value.path()).convert("RGB"))
    assert sheet.shape == (4 * 16 - 8, 4 * 16 - 8, 3)
    images = sampled(client, seeds=[*range(7, 23)])
    for index, image in enumerate(images):
        y, x = index // 4 * 16, index % 4 * 16
        np.testing.assert_array_equal(sheet[y : y + 8, x : x + 8, :1], image)


def test_count_changes_the_grid(open_studio: Open) -> None:
    studio = open_studio()
    studio.page.get_by_label("Show").select_option("36")
    expect(studio.tiles()).to_have_count(36)
    studio.wait_for_images()
    studio.page.get_by_label("Show").select_option("9")
    expect(studio.tiles()).to_have_count(9)


def test_walks_between_two_images(open_studio: Open, client: httpx.Client) -> None:
    studio = open_studio("?seed=7", reduced_motion="reduce")
    wait_for_walk(studio, 7, 8)
    studio.tiles().nth(1).click()
    wait_for_walk(studio, 7, 8)
    studio.tiles().nth(4).click()
    wait_for_walk(studio, 8, 11)  # from the last end
    frames = walked(client, [8, 11])
    np.testing.assert_array_equal(studio.walk_image()[..., :1], frames[-1])  # with reduced motion, the walk jumps to its end
    for share in (0, 25, 100):
        studio.set_slider("walk-position", share)
        np.testing.assert_array_equal(studio.walk_image()[..., :1], frames[share * STEPS // 100])
    expect(studio.page.locator("#walk-image")).to_have_attribute(
        "aria-label", "The image 100% of the way from seed 8 to seed 11"
    )
    studio.page.get_by_role("button", name="Swap").click()
    wait_for_walk(studio, 11, 8)


def test_walk_plays_until_paused(open_studio: Open) -> None:
    studio = open_studio("?seed=7")
    wait_for_walk(studio, 7, 8)
    studio.page.get_by_role("button", name="Play").click()
    position = studio.page.locator("#walk-position")
    expect(position).not_to_have_value("0")
    studio.page.get_by_role("button", name="Pause").click()
    stopped = position.input_value()
    studio.page.wait_for_timeout(200)
    assert position.input_value() == stopped


@pytest.mark.parametrize(("format_", "media"), [("WebP", "webp"), ("GIF", "gif")])
def test_saves_the_walk_as_animation(open_studio: Open, client: httpx.Client, format_: str, media: str) -> None:
    studio = open_studio("?seed=7&truncation=0.5")
    wait_for_walk(studio, 7, 8)
    with studio.page.expect_download() as download:
        studio.page.get_by_role("button", name=format_, exact=True).click()
    assert download.value.suggested_filename == f"digits-7-8.{media}"
    body = {"seeds": [7, 8], "steps": STEPS, "truncation": 0.5, "format": media}
    assert Path(download.value.path()).read_bytes() == client.post("/v1/interpolate", json=body).content


def test_saves_the_image_as_png(open_studio: Open, client: httpx.Client) -> None:
    studio = open_studio("?seed=7")
    wait_for_walk(studio, 7, 8)
    with studio.page.expect_download() as download:
        studio.page.get_by_role("button", name="PNG").click()
    assert download.value.suggested_filename == "digits-7.png"
    kept = pixels(Path(download.value.path()).read_bytes())
    np.testing.assert_array_equal(kept[..., 0], sampled(client, seed=7)[0, :, :, 0])


def code_of(page: Page, panel: str, *choices: str) -> str:
    for choice in choices:
        page.locator(f"#{panel}").get_by_label(choice, exact=True).check()
    return page.locator(f"#{panel} code").inner_text()


@pytest.mark.parametrize("subject", ["Image", "Walk"])
def test_shown_curl_command_makes_the_same_image(open_studio: Open, client: httpx.Client, subject: str, tmp_path: Path) -> None:
    studio = open_studio("?seed=7&truncation=0.5")
    subprocess.run(code_of(studio.page, "sample-code", subject), shell=True, cwd=tmp_path, check=True, timeout=60)
    (made,) = tmp_path.iterdir()
    if subject == "Image":
        assert made.name == "digits-7.png"
        np.testing.assert_array_equal(pixels(made.read_bytes()), sampled(client, seed=7, truncation=0.5)[0, :, :, 0])
    else:
        assert made.name == "digits-7-8.webp"
        body = {"seeds": [7, 8], "steps": STEPS, "truncation": 0.5}
        assert made.read_bytes() == client.post("/v1/interpolate", json=body).content


@pytest.mark.parametrize("subject", ["Image", "Walk"])
def test_shown_python_code_makes_the_same_image(open_studio: Open, subject: str, tmp_path: Path) -> None:
    studio = open_studio("?seed=7")
    curl = code_of(studio.page, "sample-code", subject, "curl")
    subprocess.run(curl, shell=True, cwd=tmp_path, check=True, timeout=60)
    (made,) = tmp_path.iterdir()
    expected = made.read_bytes()
    made.unlink()
    python = code_of(studio.page, "sample-code", "Python")
    compile(python, "the studio's", "exec")
    subprocess.run([sys.executable, "-c", python], cwd=tmp_path, check=True, timeout=60)
    assert made.read_bytes() == expected


def test_class_changes_images_walk_and_code(open_studio: Open, client: httpx.Client, tmp_path: Path) -> None:
    studio = open_studio("?seed=7", reduced_motion="reduce")
    page = studio.page
    choice = page.get_by_label("Class", exact=True)
    assert choice.locator("option").all_inner_texts() == ["Any", *CLASSES]
    choice.select_option("one")
    studio.wait_for_images()
    of_class = {"class": "one"}
    for index in (0, 15):
        np.testing.assert_array_equal(studio.tile(index)[..., :1], sampled(client, seed=7 + index, **of_class)[0])
    page.wait_for_url("**/*class=one*")
    studio.tiles().nth(4).click()
    wait_for_walk(studio, 7, 11)
    np.testing.assert_array_equal(studio.walk_image()[..., :1], sampled(client, seed=11, **of_class)[0])
    with page.expect_download() as download:
        page.get_by_role("button", name="WebP", exact=True).click()
    assert download.value.suggested_filename == "digits_one-7-11.webp"
    body = {"seeds": [7, 11], "steps": STEPS, **of_class}
    walk = client.post("/v1/interpolate", json=body).content
    assert Path(download.value.path()).read_bytes() == walk
    for language, subject, name, expected in (
        ("curl", "Walk", "digits_one-7-11.webp", walk),
        ("Python", "Image", "digits_one-11.png", client.post("/v1/sample", json={"seed": 11, **of_class}).content),
    ):
        code = code_of(page, "sample-code", subject, language)
        command = [sys.executable, "-c", code] if language == "Python" else ["sh", "-c", code]
        subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
        assert (tmp_path / name).read_bytes() == expected
    page.reload()
    expect(page.get_by_label("Class", exact=True)).to_have_value("one")
    assert studio.complaints == []


def test_copies_the_code(open_studio: Open) -> None:
    studio = open_studio("?seed=7")
    studio.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    panel = studio.page.locator("#sample-code")
    panel.get_by_role("button", name="Copy").click()
    expect(panel.get_by_role("status")).to_have_text("Copied")
    assert studio.page.evaluate("navigator.clipboard.readText()") == panel.locator("code").inner_text()


def test_address_keeps_the_choices(open_studio: Open) -> None:
    studio = open_studio()
    studio.set_slider("seed", 42)
    studio.set_slider("truncation", 0.7)
    studio.page.wait_for_url("**/*seed=42*truncation=0.7*")
    studio.page.reload()
    expect(studio.page.locator("#seed")).to_have_value("42")
    expect(studio.page.locator("#truncation")).to_have_value("0.7")


def test_moving_slider_aborts_earlier_requests(open_studio: Open, tmp_path: Path) -> None:
    save(slow_generator_model(0.1), tmp_path / "slow.onnx", generator_card("slow"))
    patient = {"max_queue_wait_s": 60}  # a rejected request would wait in the page, and its abort would not be a failed request
    with (
        running(tmp_path, tmp_path / "log", max_batch_rows=1, **patient) as service,
        httpx.Client(base_url=service.url) as client,
    ):
        studio = open_studio("?seed=1", url=service.url)
        for seed in (100, 200, 300):
            studio.set_slider("seed", seed)
        studio.wait_for_images()
        assert len(studio.aborted) > 5
        assert all("/v1/" in url for url in studio.aborted)
        np.testing.assert_array_equal(studio.tile(0)[..., :1], sampled(client, seed=300)[0])
        assert studio.page.locator(".notice").count() == 0


def test_offers_several_generators_without_a_stylizer(open_studio: Open, tmp_path: Path) -> None:
    save(generator_model(), tmp_path / "digits.onnx", generator_card(title="Digits"))
    save(generator_model(side=16, channels=3), tmp_path / "heads.onnx",
         generator_card("heads", title="Heads", height=16, width=16, channels=3, classes=()))  # fmt: skip
    with running(tmp_path, tmp_path / "log") as service, httpx.Client(base_url=service.url) as client:
        studio = open_studio("?seed=3", url=service.url)
        expect(studio.page.locator("#views")).to_be_hidden()
        expect(studio.page.locator("#sample-card h2")).to_have_text("Heads")
        choice = studio.page.get_by_label("Class", exact=True)
        expect(choice).to_be_hidden()
        studio.page.get_by_label("Digits").check()
        expect(studio.page.locator("#sample-card h2")).to_have_text("Digits")
        choice.select_option("one")
        studio.page.get_by_label("Heads").check()
        studio.wait_for_images()
        expect(studio.page.locator("#walk-image")).to_have_attribute("width", "16")
        np.testing.assert_array_equal(studio.tile(2), sampled(client, model="heads", seed=5)[0])
        assert studio.complaints == []


def test_squares_show_transparency_and_saved_images_keep_it(open_studio: Open, tmp_path: Path) -> None:
    save(generator_model(channels=4), tmp_path / "stickers.onnx", generator_card("stickers", channels=4))
    with running(tmp_path, tmp_path / "log") as service, httpx.Client(base_url=service.url) as client:
        studio = open_studio("?seed=3", url=service.url)
        studio.wait_for_images()
        wait_for_walk(studio, 3, 4)
        expect(studio.page.locator("#sample-card")).to_contain_text("pixels, colour and transparency")
        for shown in (studio.tiles().first.locator(".frame"), studio.page.locator("#walk-image")):
            assert "conic-gradient" in shown.evaluate("shown => getComputedStyle(shown).backgroundImage")
        images = sampled(client, seeds=[3, 4])
        drawn = studio.page.locator("#walk-image").evaluate(
            "canvas => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]"
        )
        np.testing.assert_array_equal(np.array(drawn).reshape(images[0].shape)[..., 3], images[0, ..., 3])
        with studio.page.expect_download() as saved:
            studio.page.locator("#save-grid").click()
        sheet = pixels(Path(saved.value.path()).read_bytes())
        np.testing.assert_array_equal(sheet[:8, 16:24, 3], images[1, ..., 3])
        assert sheet[0, 8, 3] == 0  # between two images
        assert studio.complaints == []

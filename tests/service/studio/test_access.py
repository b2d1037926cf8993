"""Accessibility (axe's rules, screen readers, narrow screens, dark and light), navigation, security policy and API keys."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from ganvas.card import Metric
from tests.service.onnx_models import generator_card, generator_model, save
from tests.service.running import running
from tests.service.studio.conftest import DESKTOP, PHONE, Open, Studio, with_photo

NARROW = {"width": 320, "height": 640}
SMALL = {"width": 360, "height": 640}


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE])
@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("view", ["sample", "stylize", "stylize with a photo"])
def test_axe_finds_no_violations(open_studio: Open, view: str, colours: str, viewport: dict[str, int]) -> None:
    options = {"color_scheme": colours, "viewport": viewport, "reduced_motion": "reduce"}
    studio = open_studio(f"?view={view.split()[0]}", **options)
    studio.wait_for_images()
    if "photo" in view:
        with_photo(studio)
    studio.page.locator("details").evaluate_all("(all) => all.forEach((one) => one.open = true)")
    assert violations(studio) == []


@pytest.mark.parametrize("view", ["sample", "stylize"])
@pytest.mark.parametrize("viewport", [PHONE, SMALL, NARROW])
def test_page_fits_a_phone(open_studio: Open, viewport: dict[str, int], view: str) -> None:
    studio = open_studio(f"?view={view}", viewport=viewport, has_touch=True, is_mobile=True)
    if view == "stylize":
        with_photo(studio)
    width = studio.page.evaluate("document.documentElement.scrollWidth")
    assert width <= viewport["width"]
    heights = studio.page.locator("button:visible, select:visible, .button:visible").evaluate_all(
        "(all) => Object.fromEntries(all.map((one) => [one.id || one.textContent, one.getBoundingClientRect().height]))"
    )
    assert {name: height for name, height in heights.items() if height < 40} == {}  # large enough for a finger


@pytest.mark.parametrize("view", ["sample", "stylize"])
def test_controls_are_below_the_images_on_a_phone(open_studio: Open, view: str) -> None:
    studio = open_studio(f"?view={view}", viewport=SMALL, has_touch=True, is_mobile=True)
    if view == "stylize":
        with_photo(studio)
    tops = [studio.page.locator(f"#{view} .{panel}").bounding_box() for panel in ("stage", "controls")]
    stage, controls = (box for box in tops if box)
    assert stage["y"] + stage["height"] <= controls["y"]
    assert controls["y"] < 2 * SMALL["height"]  # not far below: the styles are one row


def violations(studio: Studio) -> list[tuple[str, list[str]]]:
    found: list[dict[str, Any]] = Axe().run(studio.page).response["violations"]
    return [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found]


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_no_violations_with_several_models(open_studio: Open, tmp_path: Path, colours: str) -> None:
    save(generator_model(), tmp_path / "digits.onnx", generator_card(title="Digits"))
    save(generator_model(), tmp_path / "heads.onnx", generator_card("heads", title="Heads"))
    with running(tmp_path, tmp_path / "log") as service:
        studio = open_studio(url=service.url, color_scheme=colours, reduced_motion="reduce")
        studio.wait_for_images()
        expect(studio.page.get_by_role("group", name="Generator").get_by_role("radio")).to_have_count(2)
        assert violations(studio) == []


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_no_violations_without_models(open_studio: Open, tmp_path: Path, colours: str) -> None:
    (tmp_path / "empty").mkdir()
    with running(tmp_path / "empty", tmp_path / "log") as service:
        studio = open_studio(url=service.url, color_scheme=colours)
        expect(studio.page.get_by_role("heading", name="No model is served")).to_be_visible()
        assert violations(studio) == []


def test_card_compares_metrics_with_real_images(open_studio: Open, tmp_path: Path) -> None:
    method = "VGG-16 relu4_3; 2,000 samples against 2,000 real images"
    metrics = (
        Metric(name="Frechet distance", value=20240, real=812.5, method=method),
        Metric(name="Recall", value=0.5, method=method),
    )
    save(generator_model(), tmp_path / "digits.onnx", generator_card(metrics=metrics))
    with running(tmp_path, tmp_path / "log") as service:
        studio = open_studio(url=service.url)
        card = studio.page.locator("#sample-card")
        expect(card.get_by_role("columnheader")).to_have_text(["Metric", "Model", "Real images"])
        expect(card.get_by_role("row", name="Frechet distance").get_by_role("cell")).to_have_text(["20,240", "812.5"])
        expect(card.get_by_role("row", name="Recall").get_by_role("cell")).to_have_text(["0.5", "none"])
        expect(card).to_contain_text(method)
        assert violations(studio) == []


def test_says_if_no_model_can_be_shown(open_studio: Open) -> None:
    studio = open_studio()
    card = {"kind": "upscaler", "name": "larger", "title": "Larger"}
    listing = {"models": [{"version": "0", "device": "cpu", "card": card}], "refused": [], "versions": {}}
    studio.page.route("**/v1/models", lambda route: route.fulfill(json=listing))
    studio.page.reload()
    expect(studio.page.get_by_role("heading", name="The studio has no view for these models")).to_be_visible()
    expect(studio.page.get_by_role("heading", name="No model is served")).to_be_hidden()
    assert violations(studio) == []


def test_skip_link_leads_to_the_main_content(open_studio: Open) -> None:
    studio = open_studio()
    studio.page.keyboard.press("Tab")
    studio.page.keyboard.press("Enter")
    assert studio.page.evaluate("document.activeElement.id") == "main"


def test_elements_have_accessible_names(open_studio: Open) -> None:
    studio = with_photo(open_studio("?view=stylize"))
    page = studio.page
    expect(page.get_by_role("radiogroup", name="Styles").get_by_role("radio")).to_have_count(3)
    expect(page.get_by_role("slider", name="Strength")).to_have_attribute("aria-valuetext", "100%")
    expect(page.get_by_role("img", name="The photo photo.png")).to_be_visible()
    expect(page.get_by_role("img", name="The photo, Night")).to_be_visible()
    page.get_by_role("navigation", name="Studio").get_by_role("link", name="Sample").click()
    expect(page.get_by_role("radiogroup", name="Images").get_by_role("radio", name="Seed 1", exact=True)).to_be_visible()
    expect(page.get_by_role("complementary", name="Model card").get_by_text("Apache-2.0")).to_be_visible()


HEAR = """() => {
    window.heard = [];
    for (const region of document.querySelectorAll("[role=status], [role=alert]")) {
        const hear = () => region.textContent && region.checkVisibility() && window.heard.push(region.textContent.trim());
        new MutationObserver(hear).observe(region, {childList: true, subtree: true, characterData: true});
    }
}"""


def test_screen_reader_hears_once_that_all_images_are_loaded(open_studio: Open) -> None:
    studio = open_studio("?seed=7")
    said = studio.page.locator("#grid-message")
    expect(said).to_have_text("16 images from seed 7 loaded")
    studio.page.evaluate(HEAR)
    studio.set_slider("seed", 500)
    expect(studio.page.locator("#grid-count")).to_have_attribute("aria-hidden", "true")
    expect(said).to_have_text("16 images from seed 500 loaded")
    assert studio.page.evaluate("window.heard") == ["16 images from seed 500 loaded"]
    studio.set_slider("seed", 7)  # all of these images are kept
    expect(said).to_have_text("16 images from seed 7 loaded")
    assert len(studio.page.evaluate("window.heard")) == 2


def test_screen_reader_hears_once_that_all_styles_are_loaded(open_studio: Open) -> None:
    studio = open_studio("?view=stylize")
    studio.page.evaluate(HEAR)
    with_photo(studio)
    expect(studio.page.locator("#styles-message")).to_have_text("The photo in 3 styles loaded")
    assert studio.page.evaluate("window.heard") == ["The photo in 3 styles loaded"]


def test_screen_reader_hears_only_the_new_problem(open_studio: Open) -> None:
    expect(open_studio().page.locator("#notices[role=alert]")).to_have_attribute("aria-atomic", "false")


def test_back_button_returns_to_the_previous_view(open_studio: Open) -> None:
    studio = open_studio("?seed=7")
    page = studio.page
    sample, stylize = page.locator("#sample"), page.locator("#stylize")
    page.get_by_role("link", name="Stylize").click()
    expect(stylize).to_be_visible()
    studio.set_slider("strength", 0.5)
    page.wait_for_url("**/*strength=0.5*view=stylize*")
    page.go_back()
    expect(sample).to_be_visible()
    expect(stylize).to_be_hidden()
    page.wait_for_url("**/*strength=0.5*view=sample*")
    page.go_forward()
    expect(stylize).to_be_visible()


def test_view_opens_in_a_new_tab(open_studio: Open) -> None:
    studio = open_studio()
    with studio.page.context.expect_page() as other:
        studio.page.get_by_role("link", name="Stylize").click(modifiers=["ControlOrMeta"])
    expect(other.value.locator("#stylize")).to_be_visible()
    expect(studio.page.locator("#sample")).to_be_visible()
    expect(studio.page.locator("#stylize")).to_be_hidden()


def test_policy_allows_only_own_files(client: httpx.Client) -> None:
    for path in ("/", "/docs", "/studio/main.js", "/studio/swagger/swagger-ui.css", "/v1/models/digits/preview.png"):
        response = client.get(path)
        assert response.status_code == 200
        policy = dict(part.split(" ", 1) for part in response.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"


def test_injected_script_does_not_run(open_studio: Open) -> None:
    studio = open_studio()
    studio.page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'window.foreign = 1'; document.body.append(s) }"
    )
    assert studio.page.evaluate("window.foreign") is None
    assert any("Content Security Policy" in complaint for complaint in studio.complaints)


def test_serves_only_files_of_the_studio_folder(client: httpx.Client) -> None:
    for path in ("/studio/%2e%2e/app.py", "/studio/..%2fapp.py", "/studio/nope.js", "/studio/"):
        assert client.get(path).status_code == 404
    first = client.get("/studio/main.js")
    again = client.get("/studio/main.js", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304


def test_asks_for_the_api_key(open_studio: Open, models_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("open sesame\n")
    with running(models_folder, tmp_path / "log", api_keys_file=tmp_path / "keys") as service:
        studio = open_studio("?seed=7", url=service.url, locked=True)
        page = studio.page
        dialog = page.get_by_role("dialog", name="This service needs an API key")
        expect(page.get_by_label("API key", exact=True)).to_be_focused()
        assert Axe().run(page).response["violations"] == []
        page.keyboard.type("a guess")
        page.keyboard.press("Enter")
        expect(dialog.get_by_role("alert")).to_have_text("The service rejected this key.")
        page.get_by_label("API key", exact=True).fill("open sesame")
        page.get_by_role("button", name="Use this key").click()
        studio.wait_for_images()
        expect(studio.tiles()).to_have_count(16)
        expect(dialog).to_be_hidden()
        code = page.locator("#sample-code code")
        expect(code).to_contain_text('"Authorization: Bearer $GANVAS_API_KEY"')
        assert "sesame" not in page.content()
        page.reload()
        studio.wait_for_images()
        expect(dialog).to_be_hidden()


def test_shows_a_problem_without_api_key(open_studio: Open, models_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("open sesame\n")
    with running(models_folder, tmp_path / "log", api_keys_file=tmp_path / "keys") as service:
        studio = open_studio(url=service.url, locked=True)
        expect(studio.page.locator("#key-dialog")).to_be_visible()
        studio.page.keyboard.press("Escape")
        expect(studio.page.get_by_role("alert")).to_contain_text("Send an API key of this service")

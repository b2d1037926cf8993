"""For everyone: axe's rules, screen readers, narrow screens, dark and light; and the page's own policy."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.service.onnx_models import generator_card, generator_model, save
from tests.service.running import running
from tests.service.studio.conftest import DESKTOP, PHONE, Open, Studio, with_photo

NARROW = {"width": 320, "height": 640}


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE])
@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("view", ["sample", "stylize", "stylize with a photo"])
def test_axe_finds_nothing(open_studio: Open, view: str, colours: str, viewport: dict[str, int]) -> None:
    options = {"color_scheme": colours, "viewport": viewport, "reduced_motion": "reduce"}
    studio = open_studio(f"?view={view.split()[0]}", **options)
    studio.wait_for_pictures()
    if "photo" in view:
        with_photo(studio)
    studio.page.locator("details").evaluate_all("(all) => all.forEach((one) => one.open = true)")
    assert violations(studio) == []


@pytest.mark.parametrize("view", ["sample", "stylize"])
@pytest.mark.parametrize("viewport", [PHONE, NARROW])
def test_nothing_is_wider_than_a_phone(open_studio: Open, viewport: dict[str, int], view: str) -> None:
    studio = open_studio(f"?view={view}", viewport=viewport, has_touch=True, is_mobile=True)
    if view == "stylize":
        with_photo(studio)
    width = studio.page.evaluate("document.documentElement.scrollWidth")
    assert width <= viewport["width"]
    heights = studio.page.locator("button:visible, select:visible, .button:visible").evaluate_all(
        "(all) => Object.fromEntries(all.map((one) => [one.id || one.textContent, one.getBoundingClientRect().height]))"
    )
    assert {name: height for name, height in heights.items() if height < 40} == {}  # fingers are wide


def violations(studio: Studio) -> list[tuple[str, list[str]]]:
    found: list[dict[str, Any]] = Axe().run(studio.page).response["violations"]
    return [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found]


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_nothing_where_there_is_a_choice_of_models(open_studio: Open, tmp_path: Path, colours: str) -> None:
    save(generator_model(), tmp_path / "digits.onnx", generator_card(title="Digits"))
    save(generator_model(), tmp_path / "heads.onnx", generator_card("heads", title="Heads"))
    with running(tmp_path, tmp_path / "log") as service:
        studio = open_studio(url=service.url, color_scheme=colours, reduced_motion="reduce")
        studio.wait_for_pictures()
        expect(studio.page.get_by_role("group", name="Generator").get_by_role("radio")).to_have_count(2)
        assert violations(studio) == []


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_nothing_where_there_is_no_model(open_studio: Open, tmp_path: Path, colours: str) -> None:
    (tmp_path / "empty").mkdir()
    with running(tmp_path / "empty", tmp_path / "log") as service:
        studio = open_studio(url=service.url, color_scheme=colours)
        expect(studio.page.get_by_role("heading", name="No model is served")).to_be_visible()
        assert violations(studio) == []


def test_the_skip_link_leads_past_the_header(open_studio: Open) -> None:
    studio = open_studio()
    studio.page.keyboard.press("Tab")
    studio.page.keyboard.press("Enter")
    assert studio.page.evaluate("document.activeElement.id") == "main"


def test_a_reader_hears_what_things_are(open_studio: Open) -> None:
    studio = with_photo(open_studio("?view=stylize"))
    page = studio.page
    expect(page.get_by_role("radiogroup", name="Styles").get_by_role("radio")).to_have_count(3)
    expect(page.get_by_role("slider", name="Strength")).to_have_attribute("aria-valuetext", "100%")
    expect(page.get_by_role("img", name="The photo photo.png")).to_be_visible()
    expect(page.get_by_role("img", name="The photo, Night")).to_be_visible()
    page.get_by_role("navigation", name="Studio").get_by_role("link", name="Sample").click()
    expect(page.get_by_role("radiogroup", name="Pictures").get_by_role("radio", name="Seed 1", exact=True)).to_be_visible()
    expect(page.get_by_role("complementary", name="Model card").get_by_text("Apache-2.0")).to_be_visible()


HEAR = """() => {
    window.heard = [];
    for (const region of document.querySelectorAll("[role=status], [role=alert]")) {
        const hear = () => region.textContent && region.checkVisibility() && window.heard.push(region.textContent.trim());
        new MutationObserver(hear).observe(region, {childList: true, subtree: true, characterData: true});
    }
}"""


def test_a_reader_hears_once_that_all_pictures_are_there(open_studio: Open) -> None:
    studio = open_studio("?seed=7")
    said = studio.page.locator("#grid-said")
    expect(said).to_have_text("16 pictures from seed 7 are there")
    studio.page.evaluate(HEAR)
    studio.set_slider("seed", 500)
    expect(studio.page.locator("#grid-count")).to_have_attribute("aria-hidden", "true")
    expect(said).to_have_text("16 pictures from seed 500 are there")
    assert studio.page.evaluate("window.heard") == ["16 pictures from seed 500 are there"]
    studio.set_slider("seed", 7)  # all of them kept
    expect(said).to_have_text("16 pictures from seed 7 are there")
    assert len(studio.page.evaluate("window.heard")) == 2


def test_a_reader_hears_once_that_all_styles_are_there(open_studio: Open) -> None:
    studio = open_studio("?view=stylize")
    studio.page.evaluate(HEAR)
    with_photo(studio)
    expect(studio.page.locator("#styles-said")).to_have_text("The photo is there in 3 styles")
    assert studio.page.evaluate("window.heard") == ["The photo is there in 3 styles"]


def test_a_new_problem_does_not_repeat_the_others(open_studio: Open) -> None:
    expect(open_studio().page.locator("#notices[role=alert]")).to_have_attribute("aria-atomic", "false")


def test_back_leads_to_the_view_before(open_studio: Open) -> None:
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


def test_a_view_in_a_tab_of_its_own(open_studio: Open) -> None:
    studio = open_studio()
    with studio.page.context.expect_page() as other:
        studio.page.get_by_role("link", name="Stylize").click(modifiers=["ControlOrMeta"])
    expect(other.value.locator("#stylize")).to_be_visible()
    expect(studio.page.locator("#sample")).to_be_visible()
    expect(studio.page.locator("#stylize")).to_be_hidden()


def test_the_page_may_load_its_own_files_only(client: httpx.Client) -> None:
    for path in ("/", "/studio/main.js", "/studio/studio.css"):
        response = client.get(path)
        policy = dict(part.split(" ", 1) for part in response.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert response.headers["x-content-type-options"] == "nosniff"


def test_a_script_from_elsewhere_does_not_run(open_studio: Open) -> None:
    studio = open_studio()
    studio.page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'window.foreign = 1'; document.body.append(s) }"
    )
    assert studio.page.evaluate("window.foreign") is None
    assert any("Content Security Policy" in complaint for complaint in studio.complaints)


def test_files_come_from_the_studio_folder_only(client: httpx.Client) -> None:
    for path in ("/studio/%2e%2e/catalogue.py", "/studio/..%2fcatalogue.py", "/studio/nope.js", "/studio/"):
        assert client.get(path).status_code == 404
    first = client.get("/studio/main.js")
    again = client.get("/studio/main.js", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304


def test_a_service_that_wants_a_key(open_studio: Open, models_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("open sesame\n")
    with running(models_folder, tmp_path / "log", api_keys_file=tmp_path / "keys") as service:
        studio = open_studio("?seed=7", url=service.url, locked=True)
        page = studio.page
        dialog = page.get_by_role("dialog", name="This service wants an API key")
        expect(page.get_by_label("API key", exact=True)).to_be_focused()
        assert Axe().run(page).response["violations"] == []
        page.keyboard.type("a guess")
        page.keyboard.press("Enter")
        expect(dialog.get_by_role("alert")).to_have_text("The service does not know this key.")
        page.get_by_label("API key", exact=True).fill("open sesame")
        page.get_by_role("button", name="Use it").click()
        studio.wait_for_pictures()
        expect(studio.tiles()).to_have_count(16)
        expect(dialog).to_be_hidden()
        code = page.locator("#sample-code code")
        expect(code).to_contain_text('"Authorization: Bearer $GANVAS_API_KEY"')
        assert "sesame" not in page.content()
        page.reload()
        studio.wait_for_pictures()
        expect(dialog).to_be_hidden()


def test_who_has_no_key_is_told(open_studio: Open, models_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("open sesame\n")
    with running(models_folder, tmp_path / "log", api_keys_file=tmp_path / "keys") as service:
        studio = open_studio(url=service.url, locked=True)
        expect(studio.page.locator("#key-dialog")).to_be_visible()
        studio.page.keyboard.press("Escape")
        expect(studio.page.get_by_role("alert")).to_contain_text("Send an API key of this service")

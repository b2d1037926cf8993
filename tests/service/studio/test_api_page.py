"""The page at /docs: Swagger UI from the service's own files, with examples that work."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.service.conftest import image_bytes
from tests.service.running import Running, running
from tests.service.studio.conftest import PATIENCE_MS

OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, service: Running) -> Iterator[OpenPage]:
    """Open /docs, and fail at the end if the page complained or asked another host."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []
    asked: list[str] = []
    urls = {service.url}

    def opened(url: str = service.url, **options: object) -> Page:
        context = browser.new_context(**options)  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        urls.add(url)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        page.goto(f"{url}/docs")
        expect(page.locator(".opblock").first).to_be_visible()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [text for text in complaints if "401" not in text] == []
    assert all(url.startswith((*urls, "blob:", "data:")) for url in asked)


def opened_operation(page: Page, path: str) -> Locator:
    operation = page.locator(".opblock", has=page.locator(f'[data-path="{path}"]'))
    operation.locator(".opblock-summary-control").click()
    return operation


def sent(operation: Locator) -> tuple[int, int]:
    """Send the form of an operation, and return the size of the image in the response."""
    operation.get_by_role("button", name="Execute").click()
    shown = operation.locator(".live-responses-table img")
    expect(shown).to_be_visible()
    width, height = shown.evaluate(
        "async (shown) => { await shown.decode(); return [shown.naturalWidth, shown.naturalHeight] }"
    )
    return width, height


def test_headings_are_the_services_own(open_page: OpenPage) -> None:
    page = open_page()
    expect(page.locator("h3.opblock-tag > a")).to_have_text(["Images", "Models", "Open Inference Protocol", "Operation"])
    text = page.locator("body").inner_text()
    assert "/v1/stylize" in text
    assert "bentoml" not in text.lower()


def test_example_of_a_json_route_works(open_page: OpenPage) -> None:
    operation = opened_operation(open_page(), "/v1/sample")
    expect(operation.locator("textarea")).to_have_value(
        '{\n  "model": "digits",\n  "n": 16,\n  "seed": 7,\n  "format": "png"\n}'
    )
    operation.locator("textarea").fill('{"seed": 7}')
    assert sent(operation) == (8, 8)


def test_form_sends_a_file(open_page: OpenPage) -> None:
    operation = opened_operation(open_page(), "/v1/stylize")
    photo = image_bytes(Image.new("RGB", (90, 60), "teal"))
    operation.locator("input[type=file]").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": photo})
    assert sent(operation) == (90, 60)


def test_dark_follows_the_system(open_page: OpenPage) -> None:
    for colours, wall in (("dark", "rgb(22, 22, 24)"), ("light", "rgb(244, 242, 238)")):
        expect(open_page(color_scheme=colours).locator("body")).to_have_css("background-color", wall)


def test_fits_a_phone(open_page: OpenPage) -> None:
    page = open_page(viewport={"width": 360, "height": 700}, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_asks_for_the_api_key(open_page: OpenPage, models_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("open sesame\n")
    with running(models_folder, tmp_path / "log", api_keys_file=tmp_path / "keys") as service:
        page = open_page(service.url)
        operation = opened_operation(page, "/v1/models")
        operation.get_by_role("button", name="Execute").click()
        page.get_by_label("API key", exact=True).fill("open sesame")
        page.get_by_role("button", name="Use this key").click()
        operation.get_by_role("button", name="Execute").click()
        expect(operation.locator(".live-responses-table .response-col_status").last).to_contain_text("200")

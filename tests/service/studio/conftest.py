"""Opens the studio of a real service in a headless Chromium."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright
from playwright.sync_api import Error as BrowserError

from tests.service.conftest import image_bytes
from tests.service.running import Running
from tests.service.studio.browser import own_browser

PATIENCE_MS = 30_000  # generous: the machine may be busy
DESKTOP = {"width": 1360, "height": 860}
PHONE = {"width": 390, "height": 844}

expect.set_options(timeout=PATIENCE_MS)


# One per module: Playwright keeps an event loop in this thread, and asyncio.run of other tests would fail.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        try:
            launched = playwright.chromium.launch(executable_path=own_browser())
        except BrowserError as error:
            pytest.skip(f"Chromium does not start (Debian: apt-get install chromium): {error.message.splitlines()[0]}")
        yield launched
        launched.close()


@dataclass
class Studio:
    """An open page, with its requests and its errors and warnings."""

    page: Page
    url: str
    requests: list[str] = field(default_factory=list)
    aborted: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("requestfailed", lambda request: self.aborted.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda line: self.complaints.append(line.text) if line.type in ("error", "warning") else None)

    def open(self, query: str = "", *, locked: bool = False) -> "Studio":
        self.page.goto(f"{self.url}/{query}")
        expect(self.page.locator("#key-dialog" if locked else "#loading")).to_have_count(1 if locked else 0)
        return self

    def set_slider(self, name: str, value: float) -> None:
        """Move a slider through several values, with an input event each."""
        self.page.locator(f"#{name}").evaluate(
            """(input, end) => {
                const start = input.valueAsNumber;
                for (let i = 1; i <= 5; i++) {
                    input.value = i < 5 ? start + (end - start) * i / 5 : end;
                    input.dispatchEvent(new Event("input", {bubbles: true}));
                }
            }""",
            value,
        )

    def tiles(self) -> Locator:
        return self.page.locator("#grid .tile")

    def wait_for_images(self) -> None:
        expect(self.page.locator("#grid .waiting")).to_have_count(0)

    def pixels(self, shown: Locator) -> np.ndarray:
        """Return what an image or a canvas shows: uint8 [h, w, 3]."""
        width, height, rgba = shown.evaluate(
            """async (shown) => {
                await shown.decode?.();
                const canvas = new OffscreenCanvas(shown.naturalWidth ?? shown.width, shown.naturalHeight ?? shown.height);
                const context = canvas.getContext("2d");
                context.drawImage(shown, 0, 0);
                return [canvas.width, canvas.height, [...context.getImageData(0, 0, canvas.width, canvas.height).data]];
            }"""
        )
        return np.array(rgba, np.uint8).reshape(height, width, 4)[..., :3]

    def tile(self, index: int) -> np.ndarray:
        """Return what a tile of the grid shows."""
        return self.pixels(self.tiles().nth(index).locator("img"))

    def walk_image(self) -> np.ndarray:
        return self.pixels(self.page.locator("#walk-image"))


Open = Callable[..., Studio]


@pytest.fixture
def open_studio(browser: Browser, service: Running) -> Iterator[Open]:
    """Open the studio of the session's service or of another one."""
    contexts: list[BrowserContext] = []

    def opened(query: str = "", *, url: str = service.url, locked: bool = False, **options: Any) -> Studio:
        context = browser.new_context(**{"viewport": DESKTOP, **options})
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        return Studio(context.new_page(), url).open(query, locked=locked)

    yield opened
    for context in contexts:
        context.close()


def sampled(client: httpx.Client, **body: object) -> np.ndarray:
    """Return samples of the API: uint8 [n, h, w, c]."""
    response = client.post("/v1/sample", json={**body, "format": "npy"}).raise_for_status()
    return np.load(io.BytesIO(response.content))


def with_photo(studio: Studio) -> Studio:
    photo = image_bytes(Image.new("RGB", (90, 60), "teal"))
    studio.page.set_input_files("#photo", {"name": "photo.png", "mimeType": "image/png", "buffer": photo})
    expect(studio.page.locator("#styles .waiting")).to_have_count(0)
    expect(studio.page.locator("#stylize [aria-busy=true]")).to_have_count(0)
    return studio

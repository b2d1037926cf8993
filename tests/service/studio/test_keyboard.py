"""The whole studio works with the keyboard alone, and the focus is always visible."""

from collections.abc import Iterator

import httpx
import numpy as np
from playwright.sync_api import FileChooser, expect

from tests.service.studio.conftest import Open, Studio, sampled, with_photo


def tabbed(studio: Studio) -> Iterator[str]:
    """Press Tab once around the page. Yields what has the focus after the skip link; the focus must be visible."""

    def focused() -> str:
        found: str = studio.page.evaluate(
            "() => { const e = document.activeElement; return e.id || e.name || e.className || e.tagName }"
        )
        return found

    studio.page.keyboard.press("Tab")
    assert focused() == "skip"
    for _ in range(60):
        studio.page.keyboard.press("Tab")
        name = focused()
        if name in ("skip", "BODY"):  # once around
            return
        outline = studio.page.evaluate(
            """() => {
                const e = document.activeElement;
                const shown = [e, e.closest("label"), document.querySelector(`label[for="${e.id}"]`),
                    e.parentElement?.querySelector(".frame")];
                return shown.filter(Boolean).some((one) => getComputedStyle(one).outlineStyle !== "none");
            }"""
        )
        assert outline, f"the focus on {name} is not visible"
        yield name


def test_sample_view_works_with_the_keyboard(open_studio: Open, client: httpx.Client) -> None:
    studio = open_studio("?seed=7", reduced_motion="reduce")
    studio.wait_for_images()
    keyboard = studio.page.keyboard
    reached = []
    for name in tabbed(studio):
        reached.append(name)
        if reached[-1] == "image":  # the grid is one stop; arrows choose within it
            keyboard.press("ArrowRight")
            expect(studio.page.get_by_role("img", name="The image 100% of the way from seed 7 to seed 8")).to_be_visible()
            np.testing.assert_array_equal(studio.walk_image()[..., :1], sampled(client, seed=8)[0])
        if reached[-1] == "walk-position":
            keyboard.press("Home")
            np.testing.assert_array_equal(studio.walk_image()[..., :1], sampled(client, seed=7)[0])
        if reached[-1] == "truncation":
            keyboard.press("ArrowLeft")
            expect(studio.page.locator("output[for=truncation]")).to_have_text("0.95")
            keyboard.press("ArrowRight")
        if reached[-1] == "sample-code-language":
            keyboard.press("ArrowRight")
            expect(studio.page.locator("#sample-code code")).to_contain_text("import ganvas")
    wanted = {
        "seed", "seed-number", "shuffle", "truncation", "image", "count", "walk-position", "walk-play", "walk-swap",
        "save-png", "save-webp", "save-gif", "sample-code-language", "sample-code-subject",
    }  # fmt: skip
    assert wanted <= {*reached}
    assert reached.count("image") == 1


def test_stylize_view_works_with_the_keyboard(open_studio: Open) -> None:
    studio = with_photo(open_studio("?view=stylize&second=wave&mix=0.5", reduced_motion="reduce"))
    choosers: list[FileChooser] = []
    # Chromium reports a file chooser only to a listener that was added before.
    studio.page.on("filechooser", lambda chooser: choosers.append(chooser))
    keyboard, caption = studio.page.keyboard, studio.page.locator("#after-caption")
    expect(caption).to_have_text("Night 50%, Wave 50%")
    reached = []
    for name in tabbed(studio):
        reached.append(name)
        if name == "photo":
            keyboard.press("Enter")
            for _ in range(200):
                if not choosers:
                    studio.page.wait_for_timeout(50)
            assert len(choosers) == 1
        if name in ("strength", "keep-color"):
            keyboard.press("ArrowLeft" if name == "strength" else "ArrowRight")
            expect(studio.page.locator(f"output[for={name}]")).to_have_text("95%" if name == "strength" else "5%")
        if name == "brush":
            keyboard.press("ArrowRight")
            expect(studio.page.locator("output[for=brush]")).to_have_text("1.1\N{MULTIPLICATION SIGN}")
        if name == "mix":
            keyboard.press("ArrowRight")
            expect(caption).to_have_text("Night 45%, Wave 55%")
        if name == "save-styled":
            with studio.page.expect_download():
                keyboard.press("Enter")
        if name == "style":
            keyboard.press("ArrowRight")  # to the style that is blended in: the blend ends
            expect(caption).to_have_text("Wave")
            keyboard.press("ArrowRight")
            expect(studio.page.get_by_role("img", name="The photo, Scream")).to_be_visible()
        if name == "stylize-code-language":
            keyboard.press("ArrowRight")
            expect(studio.page.locator("#stylize-code code")).to_contain_text("import ganvas")
    wanted = {
        "photo",
        "strength",
        "keep-color",
        "brush",
        "second",
        "mix",
        "save-styled",
        "save-format",
        "style",
        "stylize-code-language",
    }
    assert wanted <= {*reached}
    assert reached.count("style") == 1

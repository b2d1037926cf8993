"""Measures how fast the studio loads and how fast it follows a slider, in headless Chromium.

    python -m benchmarks.studio [--rounds 10] [--table docs/benchmarks.md]

Load time: from the first request of the page, without a cache, until all 16 images of the grid are shown. Slider: from the
last input event of a drag until the first and until all new images are shown. The service runs on the same cores.
"""

import shutil
import statistics
from pathlib import Path
from typing import Annotated

import typer
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import track

from benchmarks.command import run_command
from benchmarks.processes import service_process
from benchmarks.provenance import measured_on
from benchmarks.tables import replace_section

SECTION = "studio"
_WINDOW: ViewportSize = {"width": 1360, "height": 860}  # pixels
_FILLED = """
async () => {
    const frame = () => new Promise(requestAnimationFrame);
    const shown = () => [...document.querySelectorAll("#grid img")].filter((image) => image.complete && image.naturalWidth > 0);
    while (document.querySelector("#loading") || shown().length < 16) await frame();
    return performance.now();
}
"""
_DRAG = """
async ([name, value]) => {
    const input = document.querySelector(name);
    const tiles = [...document.querySelectorAll("#grid > *")];
    const isShown = (tile) => !tile.classList.contains("waiting") && tile.querySelector("img").complete;
    const start = input.valueAsNumber;
    const frame = () => new Promise(requestAnimationFrame);
    let since = 0;
    for (let i = 1; i <= 5; i++) {
        await frame();  // a browser sends one event per frame
        input.value = i < 5 ? start + (value - start) * i / 5 : value;
        since = performance.now();  // before the page handles the event
        input.dispatchEvent(new Event("input", {bubbles: true}));
    }
    while (!tiles.some(isShown)) await frame();
    const first = performance.now() - since;
    while (!tiles.every(isShown)) await frame();
    return [first, performance.now() - since];
}
"""


def main(
    rounds: Annotated[int, typer.Option(min=1)] = 10,
    table: Annotated[Path | None, typer.Option(help="Markdown file. The section of this benchmark is replaced.")] = None,
) -> None:
    """Time the studio with the digits model."""
    loads, drags = [], []
    with service_process() as service, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        for turn in track(range(rounds), "Measuring", transient=True):
            page, taken = _open(browser, f"{service.url}/?generator=digits&seed={100 * turn}")
            loads.append(taken)
            drags.append(page.evaluate(_DRAG, ["#truncation", 0.6]))
            drags.append(page.evaluate(_DRAG, ["#seed", (100 * turn + 500) % 1000]))
            page.context.close()
        chromium = browser.version
        browser.close()
    first, every = zip(*drags, strict=True)
    lines = [f"{measured_on()} Chromium {chromium}.", ""]
    lines += [f"| | median of {rounds}, ms | slowest, ms |", "| --- | ---: | ---: |"]
    for title, times in (
        ("load time, until all 16 images are shown", loads),
        ("slider, until the first new image is shown", first),
        ("slider, until all 16 are shown", every),
    ):
        lines.append(f"| {title} | {statistics.median(times):,.0f} | {max(times):,.0f} |")
    text = "\n".join(lines)
    Console().print(Markdown(text))
    if table:
        replace_section(table, SECTION, text)


def _open(browser: Browser, url: str) -> tuple[Page, float]:
    """Open the page in a browser without a cache. Returns the page and the load time in milliseconds."""
    page = browser.new_context(viewport=_WINDOW).new_page()
    page.goto(url, wait_until="commit")
    taken: float = page.evaluate(_FILLED)
    return page, taken


if __name__ == "__main__":
    run_command(main)

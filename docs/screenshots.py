"""Makes the images of the README with a running service.

make serve
.venv/bin/python docs/screenshots.py
"""

import io
import shutil
import sys
from pathlib import Path

import httpx
from anyascii import anyascii
from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parent / "images"
TILE = (426, 284)  # pixels
CAPTION = 30  # pixels
MORE = {
    "Half Great Wave, half The Scream": {"style": "great-wave:0.5,the-scream:0.5"},
    "Starry Night, colours kept, brush 2": {"style": "starry-night", "keep_color": "1", "brush": "2"},
}
"""Caption -> what the last images of painters.jpg show besides single styles."""
WINDOW = {"width": 1360, "height": 860}  # pixels; the window of the studio


def main(url: str) -> None:
    """Write heads.png, painted.jpg, painters.jpg and studio.png."""
    with httpx.Client(base_url=url, timeout=60) as client:
        sheet = client.post("/v1/sample", json={"model": "toon-heads", "n": 36, "seed": 3})
        (IMAGES / "heads.png").write_bytes(sheet.raise_for_status().content)

        photo = IMAGES / "photo.jpg"
        tiles = [("The photo", Image.open(photo))]
        for style in client.get("/v1/models/painters").raise_for_status().json()["card"]["styles"]:
            form = {"style": style["name"], "format": "png"}
            painted = client.post("/v1/stylize", data=form, files={"image": photo.read_bytes()})
            # The font of Pillow knows few accents.
            tiles.append((anyascii(f"{style['artist']}, {style['title']}"), image_of(painted)))
        for caption, form in MORE.items():
            painted = client.post("/v1/stylize", data=form | {"format": "png"}, files={"image": photo.read_bytes()})
            tiles.append((caption, image_of(painted)))
        blend = {"style": "starry-night:0.7,great-wave:0.3"}
        painted = client.post("/v1/stylize", data=blend, files={"image": photo.read_bytes()})
        (IMAGES / "painted.jpg").write_bytes(painted.raise_for_status().content)
        labelled(tiles, columns=3).save(IMAGES / "painters.jpg", quality=88)

    studio(url).quantize(256, dither=Image.Dither.NONE).save(IMAGES / "studio.png", optimize=True)


def studio(url: str) -> Image.Image:
    """A screenshot of the studio, halfway between two portraits."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport=WINDOW, color_scheme="light", reduced_motion="reduce")
        page.goto(f"{url}/?generator=toon-heads&seed=11")
        page.locator("#grid .tile").nth(11).click()
        page.get_by_role("img", name="The image 100% of the way").wait_for()
        page.locator("#walk-position").fill("50")
        page.wait_for_function("() => !document.querySelector('#grid .waiting')")
        page.mouse.move(0, 0)
        shot = Image.open(io.BytesIO(page.screenshot()))
        browser.close()
    return shot.convert("RGB")


def image_of(response: httpx.Response) -> Image.Image:
    """Decode the image of a response."""
    return Image.open(io.BytesIO(response.raise_for_status().content))


def labelled(tiles: list[tuple[str, Image.Image]], columns: int) -> Image.Image:
    """Lay out tiles in rows, with a caption below each."""
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * TILE[0], rows * (TILE[1] + CAPTION)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for index, (caption, tile) in enumerate(tiles):
        left, top = index % columns * TILE[0], index // columns * (TILE[1] + CAPTION)
        sheet.paste(tile.convert("RGB").resize(TILE, Image.Resampling.LANCZOS), (left, top))
        draw.text((left + 6, top + TILE[1] + 6), caption, fill="black", font=font)
    return sheet


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://localhost:3000")

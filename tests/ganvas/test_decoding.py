"""What decoding costs in memory, measured in processes of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganvas.images import OpenImage
from tests.image_files import image_bytes, linear_grey_profile, wide_gamut_profile

MIB = 2**20
MEASURE = """
import json, sys
from pathlib import Path
from typing import Any
import numpy as np
from ganvas.images import OpenImage

def status(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

def measured(run):  # the most memory that a call takes, and its result
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")  # VmHWM begins again
    before = status("VmRSS")
    result = run()
    return status("VmHWM") - before, result

rows = []
for path in sorted(Path(sys.argv[1]).iterdir()):
    data = path.read_bytes()
    for max_side in json.loads(sys.argv[2]):
        for _ in range(2):  # the first one loads the decoder and builds the colour transform
            opening, opened = measured(lambda: OpenImage(data))
            bound = opened.decode_bytes(max_side)
            peak, pixels = measured(lambda: np.array(opened.decode(max_side=max_side)))
            del opened, pixels
        rows.append([path.name, max_side, opening, peak, bound])
print(json.dumps(rows))
"""


def measure(folder: Path, max_sides: list[int | None]) -> list[tuple[str, int | None, int, int, int]]:
    """File, max_side, and bytes: to open the file, to decode it at the peak, and the bound."""
    # Without these, malloc keeps memory that the next measurement would not count.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    command = [sys.executable, "-c", MEASURE, str(folder), json.dumps(max_sides)]
    process = subprocess.run(command, env=environment, capture_output=True, check=True)
    return [tuple(row) for row in json.loads(process.stdout)]


def pixels(width: int, height: int) -> Image.Image:
    """Noise over a gradient: no format finds it trivial."""
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(0).integers(0, 24, (height, width, 3))
    ramp = np.stack([x * 200 // width, y * 200 // height, (x + y) * 200 // (width + height)], axis=2)
    return Image.fromarray((ramp + noise).astype(np.uint8))


def files(width: int, height: int) -> Iterator[tuple[str, bytes]]:
    colour = pixels(width, height)
    grey = colour.convert("L")
    rgba = colour.copy()
    rgba.putalpha(grey)
    palette = colour.quantize(64, method=Image.Quantize.FASTOCTREE)
    wide: dict[str, Any] = {"icc_profile": wide_gamut_profile()}
    flat = Image.new("RGBA", (width, height), (9, 9, 9, 99))
    fast: dict[str, Any] = {"compress_level": 1}
    exif = Image.Exif()
    exif[0x0112] = 6
    yield "grey.jpg", image_bytes(grey, "jpeg")
    yield "rgb.jpg", image_bytes(colour, "jpeg")
    yield "rgb-profile-turned.jpg", image_bytes(colour, "jpeg", exif=exif, **wide)
    yield "progressive-420.jpg", image_bytes(colour, "jpeg", progressive=True)
    yield "progressive-444.jpg", image_bytes(colour, "jpeg", progressive=True, subsampling=0, quality=95)
    yield "cmyk.jpg", image_bytes(colour.convert("CMYK"), "jpeg")
    yield "progressive-cmyk.jpg", image_bytes(colour.convert("CMYK"), "jpeg", progressive=True)
    yield "no-end.jpg", image_bytes(colour, "jpeg")[:-2]
    yield "one-bit.png", image_bytes(grey.convert("1"), **fast)
    yield "grey.png", image_bytes(grey, **fast)
    yield "grey-profile.png", image_bytes(grey, icc_profile=linear_grey_profile(), **fast)
    yield "grey-key.png", image_bytes(grey, transparency=100, **fast)
    yield "grey16.png", image_bytes(Image.fromarray(np.asarray(grey).astype(np.uint16) * 257), **fast)
    yield "grey16-key.png", image_bytes(Image.fromarray(np.asarray(grey).astype(np.uint16) * 257), transparency=257, **fast)
    yield "grey-alpha.png", image_bytes(rgba.convert("LA"), **fast)
    yield "palette.png", image_bytes(palette, **fast)
    yield "palette-transparent.png", image_bytes(palette, transparency=bytes(range(64)), **fast)
    yield "rgb.png", image_bytes(colour, **fast)
    yield "rgb-key.png", image_bytes(colour, transparency=(1, 2, 3), **fast)
    yield "rgba.png", image_bytes(rgba, **fast)
    yield "rgba-profile-turned.png", image_bytes(rgba, exif=exif, **fast, **wide)
    yield "rgb.webp", image_bytes(colour, "webp", method=0)
    yield "rgba.webp", image_bytes(rgba, "webp", method=0)
    yield "rgb-lossless.webp", image_bytes(colour, "webp", lossless=True, method=0, quality=0)
    yield "rgba-lossless.webp", image_bytes(rgba, "webp", lossless=True, method=0, quality=0)
    yield "flat-lossless.webp", image_bytes(flat, "webp", lossless=True, method=0, quality=0)
    yield "animation.webp", image_bytes(rgba, "webp", save_all=True, append_images=[flat], method=0)


def test_decoding_takes_no_more_memory_than_its_bound(tmp_path: Path) -> None:
    width, height = 1500, 1000
    for name, data in files(width, height):
        (tmp_path / name).write_bytes(data)
    rows = measure(tmp_path, [None, 512])
    assert len(rows) == 2 * len(list(tmp_path.iterdir()))
    over = [row for row in rows if row[3] > row[4]]
    assert not over, over
    loose = [row for row in rows if row[4] > 8 * row[3] + 4 * MIB]  # a bound that is never near says nothing
    assert not loose, loose
    opening = [row for row in rows if row[2] > MIB]
    assert not opening, opening


def test_opening_a_tiny_file_with_a_huge_canvas_takes_no_memory(tmp_path: Path) -> None:
    """46 bytes, 7000 x 7000 pixels: Pillow allocates the canvas when it opens the file."""
    header = b"\x2f" + ((6999 | 6999 << 14 | 1 << 28).to_bytes(4, "little"))
    chunk = b"VP8L" + (26).to_bytes(4, "little") + header + bytes(21)
    (tmp_path / "huge.webp").write_bytes(b"RIFF" + (len(chunk) + 4).to_bytes(4, "little") + b"WEBP" + chunk)
    opened = OpenImage(tmp_path / "huge.webp")
    assert opened.header[:3] == (49_000_000, 7000, 7000)
    assert opened.decode_bytes(1024) > 10 * 49_000_000
    opened.close()
    script = MEASURE.replace("peak, pixels = measured(lambda: np.array(opened.decode(max_side=max_side)))", "peak = pixels = 0")
    process = subprocess.run([sys.executable, "-c", script, str(tmp_path), "[1024]"], capture_output=True, check=True)
    assert json.loads(process.stdout)[0][2] < MIB

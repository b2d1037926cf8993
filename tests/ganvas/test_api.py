"""The facts of the HTTP API: their parts agree, and texts that repeat them are right."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from ganvas import api, calls
from ganvas.cli.app import app

ROOT = Path(__file__).parent.parent.parent


def test_every_format_has_a_file_type() -> None:
    assert {*api.SAMPLE_FORMATS, *api.ANIMATION_FORMATS, *api.UPLOAD_FORMATS} == {*api.FILE_TYPES}


def test_suffixes_map_back_to_their_formats() -> None:
    jpeg = dict.fromkeys((".jpg", ".jpeg", ".jfif", ".jpe"), "jpeg")
    assert api.formats_by_suffix(api.IMAGE_FORMATS) == {".png": "png", **jpeg, ".webp": "webp"}


def test_messages_name_every_format_that_is_read() -> None:
    assert re.split(", | or ", api.UPLOAD_FORMATS_TEXT.lower()) == [*api.UPLOAD_FORMATS]


def test_pillow_has_every_format_that_is_read_or_written() -> None:
    Image.init()
    assert {name.upper() for name in api.UPLOAD_FORMATS} <= {*Image.OPEN}
    assert {name.upper() for name in api.IMAGE_FORMATS} <= {*Image.SAVE}


def test_studio_offers_every_image_format() -> None:
    page = (ROOT / "service" / "studio" / "index.html").read_text()
    offered = page.partition('<select id="save-format"')[2].partition("</select>")[0]
    assert {*re.findall('<option value="([^"]+)"', offered)} == {*api.IMAGE_FORMATS}


@pytest.mark.parametrize("bounds", [api.TRUNCATION, api.STRENGTH, api.KEEP_COLOR, api.BRUSH, api.KEYS, api.STEPS, api.FPS])
def test_defaults_are_within_bounds(bounds: api.Bounds[float]) -> None:
    assert bounds.minimum <= bounds.default <= bounds.maximum


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (calls.sample, f"truncation: {api.TRUNCATION}, "),
        (calls.interpolate, f"seeds: {api.KEYS} keys"),
        (calls.interpolate, f"latents: instead of seeds, numbers [{api.KEYS}, latent_size]"),
        (calls.interpolate, f"steps: frames from one key to the next, {api.STEPS}."),
        (calls.interpolate, f"fps: frames per second of an animation, {api.FPS}."),
        (
            calls.sample,
            f"{', '.join(f'`{name}`' for name in api.IMAGE_FORMATS[:-1])} and `{api.IMAGE_FORMATS[-1]}` hold one image",
        ),
        (calls.stylize, f"the bytes of a {api.UPLOAD_FORMATS_TEXT} file"),
        (calls.stylize, f"strength: {api.STRENGTH}."),
        (calls.stylize, f"keep_color: {api.KEEP_COLOR}."),
        (calls.stylize, f"brush: {api.BRUSH}, "),
    ],
)
def test_docstring_states_bounds_and_formats(call: Callable[..., object], line: str) -> None:
    assert line in (call.__doc__ or "")


def test_help_states_the_bounds() -> None:
    text = CliRunner().invoke(app, ["interpolate", "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).output
    assert f"{api.KEYS} seeds" in text
    assert f"{api.STEPS.minimum}<=x<={api.STEPS.maximum}" in text

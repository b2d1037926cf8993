"""What was measured of the cpu image: kept in build/container.json, and shown in docs/container.md once all of it is there."""

import json
import time
from collections.abc import Mapping

from benchmarks.tables import replace_section
from tests.container.images import ROOT

SECTION = "container-test"
PYTHON_SLIM_MB = 130  # what python:3.11-slim-bookworm is taken to be, unpacked; a stand-in for it is larger
STARTED = time.monotonic()  # of the whole session: this is imported while the tests are collected

ROWS = {
    "added_mb": ("size that the image adds to its base, unpacked", "{:.0f} MB"),
    "first_picture_s": ("from the start of the container to the first picture, the best of three starts", "{:.1f} s"),
    "peak_memory_mb": ("most memory of its processes, while one 2048 x 2048 photo was painted", "{:.0f} MB"),
    "peak_memory_busy_mb": ("the same, while eight came at once", "{:.0f} MB"),
    "rebuild_s": ("to build it again after a change of code", "{:.0f} s"),
    "session_s": ("`make container-test` from its first line to its last", "{:.0f} s"),
}
"""What a measurement is called -> what it is of, and how it is written."""


def table(measured: Mapping[str, float]) -> str:
    """The measurements as a table of Markdown."""
    lines = ["| measured by `make container-test` | |", "| --- | --- |"]
    lines += [f"| {what} | {form.format(measured[name])} |" for name, (what, form) in ROWS.items() if name in measured]
    assumed = f"The base, {PYTHON_SLIM_MB} MB for `python:3.11-slim-bookworm`, is assumed, not measured here."
    return "\n".join([*lines, "", assumed])


def write(measured: Mapping[str, float]) -> None:
    """Keep what was measured; the page is left alone where tests were left out."""
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "container.json").write_text(json.dumps(measured, indent=2) + "\n")
    if measured.keys() >= ROWS.keys():
        replace_section(ROOT / "docs" / "container.md", SECTION, table(measured))

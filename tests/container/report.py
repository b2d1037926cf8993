"""Measurements of the CPU image: stored in build/container.json, and in docs/container.md when all of them are there."""

import json
import time
from collections.abc import Mapping

from benchmarks.tables import replace_section
from tests.container.images import ROOT

SECTION = "container-test"
PYTHON_SLIM_MB = 130  # assumed unpacked size of python:3.11-slim-bookworm; the stand-in is larger
STARTED = time.monotonic()  # start of the session: pytest imports this module when it collects the tests

ROWS = {
    "added_mb": ("size that the image adds to its base image, unpacked", "{:.0f} MB"),
    "first_image_s": ("time from the start of the container to the first image (fastest of three starts)", "{:.1f} s"),
    "rebuild_s": ("time to rebuild it after a change of code", "{:.0f} s"),
    "session_s": ("time that `make container-test` takes", "{:.0f} s"),
}
"""Name of a measurement -> its description and its format."""


def table(measured: Mapping[str, float]) -> str:
    """Render the measurements as a Markdown table."""
    lines = ["| measured by `make container-test` | |", "| --- | --- |"]
    lines += [f"| {what} | {form.format(measured[name])} |" for name, (what, form) in ROWS.items() if name in measured]
    assumed = f"The base image is assumed to have {PYTHON_SLIM_MB} MB (`python:3.11-slim-bookworm`). This was not measured."
    return "\n".join([*lines, "", assumed])


def write(measured: Mapping[str, float]) -> None:
    """Store the measurements. The page changes only if no test was left out."""
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "container.json").write_text(json.dumps(measured, indent=2) + "\n")
    if measured.keys() >= ROWS.keys():
        replace_section(ROOT / "docs" / "container.md", SECTION, table(measured))

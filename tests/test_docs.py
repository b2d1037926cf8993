"""Generated pages are up to date, and all pages have the same form."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_api_page_matches_the_openapi_document(tmp_path: Path) -> None:
    # In its own process, with default settings: the import of BentoML starts things that cause warnings.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GANVAS_")}
    made = tmp_path / "api.md"
    subprocess.run([sys.executable, "-m", "docs.api", str(made)], cwd=ROOT, env=environment, check=True, timeout=120)
    assert made.read_text() == (ROOT / "docs/api.md").read_text(), "run: .venv/bin/python -m docs.api"


# Text between these markers is written by benchmarks and tables.
GENERATED = re.compile(r"^<!-- (?P<name>[\w-]+).*?-->\n.*?^<!-- (?:/(?P=name)|end of (?P=name)) -->$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_text_is_wrapped_at_120_columns(page: Path) -> None:
    if page.name == "api.md":
        pytest.skip("made from the OpenAPI document")
    text = CODE.sub("", GENERATED.sub("", page.read_text()))
    free = ("    ", "#", "!")  # code, headings and images; tables contain "|"
    lines = [line for line in text.splitlines() if len(line) > 120 and "|" not in line and "://" not in line]
    long = [line for line in lines if not line.startswith(free)]
    assert not long


def test_readme_has_at_most_150_lines() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "decisions").glob("[a-z]*.md")), ids=lambda page: page.stem)
def test_decision_is_complete_and_listed(page: Path) -> None:
    headings = re.findall(r"^## (.*)$", page.read_text(), re.MULTILINE)
    assert {"Context", "Decision", "Consequences"} <= {*headings}
    assert f"]({page.name})" in (ROOT / "docs" / "decisions" / "README.md").read_text()

"""Pages that are made from something else are up to date."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_page_of_the_api_is_the_openapi_document(tmp_path: Path) -> None:
    # In a process of its own: with the default settings, and importing BentoML starts things that warn.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GANVAS_")}
    made = tmp_path / "api.md"
    subprocess.run([sys.executable, "-m", "docs.api", str(made)], cwd=ROOT, env=environment, check=True, timeout=120)
    assert made.read_text() == (ROOT / "docs/api.md").read_text(), "run: .venv/bin/python -m docs.api"

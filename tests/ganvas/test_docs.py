"""docs/client.md and the client part of README.md: the Python and the commands run, and the tables match the code."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import ganvas
from service.settings import ROOT
from tests.service.running import Running, running

PAGE = (ROOT / "docs" / "client.md").read_text()
README = (ROOT / "README.md").read_text()


def blocks(page: str, language: str) -> list[str]:
    found = re.findall(r"^```(\w+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [block for named, block in found if named == language]


COMMANDS = [
    line for page in (PAGE, README) for block in blocks(page, "sh") for line in block.splitlines() if line.startswith("ganvas")
]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(ROOT / "exported", tmp_path_factory.mktemp("log")) as service:
        yield service


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader's working folder: it holds the photos of the docs, shrunk."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "docs" / "images").mkdir(parents=True)
    for path in sorted((ROOT / "docs" / "images").glob("*.jpg")):
        with Image.open(path) as image:
            image.resize((96, 64)).save(folder / "docs" / "images" / path.name)
    return folder


def test_python_of_the_page_runs(
    shipped: Running, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("GANVAS_URL", shipped.url)
    code = "\n".join(blocks(PAGE, "python"))
    exec(compile(code.replace("http://localhost:3000", shipped.url), "docs/client.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "There is no style 'rembrandt'" in printed
    for name in ("digit.png", "walk.webp", "painted.jpg", "starry-night.jpg", "painted/photo.jpg", "digits/digits-7-000.png"):
        assert (folder / name).is_file(), name
    assert len(list(folder.glob("digits/*.png"))) == 1000
    assert re.search(r"\d made \(.*/s\), 0 skipped, 0 failed", printed)


def test_python_of_the_readme_runs(shipped: Running, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "readme").mkdir()
    (folder / "readme" / "docs").symlink_to(folder / "docs")
    monkeypatch.chdir(folder / "readme")
    monkeypatch.setenv("GANVAS_URL", shipped.url)
    (code,) = blocks(README, "python")
    exec(compile(code, "README.md", "exec"), {})
    with Image.open("walk.webp") as walk, Image.open("digit.png") as digit:
        assert (walk.size, digit.size) == ((64, 64), (28, 28))
    assert Path("painted/photo.jpg").is_file()


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_of_the_page_run(line: str, shipped: Running, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANVAS_URL", shipped.url)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    typed = line.replace("ganvas", f"{shlex.quote(sys.executable)} -m ganvas", 1)
    done = subprocess.run(typed, shell=True, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    written = re.search(r"(?:-o|>) (\S+)$", line)
    assert written is None or (folder / written[1]).exists()


def test_shows_every_command() -> None:
    assert {line.split()[1] for line in COMMANDS} == {"models", "sample", "interpolate", "stylize", "sheet"}


def test_table_lists_every_error() -> None:
    from ganvas import sdk

    named = set(re.findall(r"^\| `(\w+Error)`", PAGE, re.MULTILINE))
    assert named == {name for name in sdk.__all__ if name.endswith("Error")} - {"FieldError"}
    for name, status in re.findall(r"^\| `(\w+Error)` \| (\d{3})", PAGE, re.MULTILINE):
        assert int(status) in getattr(ganvas, name).statuses

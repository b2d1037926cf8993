"""The wheel of the client: its content and its dependencies."""

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from service.settings import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if "No matching distribution found for hatchling" in built.stderr:
        pytest.skip("no package index is available, from which the build takes hatchling")
    assert built.returncode == 0, built.stderr
    (file,) = folder.iterdir()
    with zipfile.ZipFile(file) as opened:
        yield opened


def read(wheel: zipfile.ZipFile, name: str) -> bytes:
    (path,) = [path for path in wheel.namelist() if path.endswith(f".dist-info/{name}")]
    return wheel.read(path)


@pytest.fixture
def metadata(wheel: zipfile.ZipFile) -> Message:
    return message_from_bytes(read(wheel, "METADATA"))


def test_does_not_require_packages_of_the_service(metadata: Message) -> None:
    needed = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    names = {re.split(r"[^\w-]", line)[0] for line in needed}
    assert names == {"anyio", "filelock", "httpx", "httpx-retries", "pillow", "pydantic", "sniffio"}


def test_command_line_is_an_extra(metadata: Message) -> None:
    extras = [line for line in metadata.get_all("Requires-Dist", []) if re.search(r"extra == ['\"]cli['\"]", line)]
    assert {re.split(r"[^\w-]", line)[0] for line in extras} == {"rich", "typer"}


def test_is_typed_and_installs_its_command(wheel: zipfile.ZipFile) -> None:
    assert "ganvas/py.typed" in wheel.namelist()
    assert read(wheel, "entry_points.txt").decode().split() == ["[console_scripts]", "ganvas", "=", "ganvas.__main__:main"]


def test_contains_only_the_client(wheel: zipfile.ZipFile) -> None:
    tops = {path.partition("/")[0] for path in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"ganvas"}
    ours = {path.relative_to(ROOT).as_posix() for path in Path(ROOT, "ganvas").rglob("*.py")}
    assert ours <= {*wheel.namelist()}

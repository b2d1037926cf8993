"""The Makefile updates its virtual environments in place."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STAMP = ".venv-serve/.installed-service"
PIP_SUCCEEDS = "-c pass"  # in place of `python -m pip install ...`: these tests use no package index
PIP_FAILS = "-c 'assert False'"
PYTHON = f"""#!/bin/sh
case "$*" in "-m venv "*) set -- "$@" --without-pip;; esac
exec {sys.executable} "$@"
"""  # an environment without pip is made in a tenth of a second


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def install(checkout: Path, pip: str = PIP_SUCCEEDS) -> bool:
    """Make .venv-serve; whether make succeeded."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", STAMP, "RUNTIME=service", "PYTHON=./python", f"PIP_INSTALL={pip}"]
    return subprocess.run(command, cwd=checkout, env=inherited, capture_output=True, timeout=120).returncode == 0


def change_pins(checkout: Path) -> None:
    """Make constraints.txt newer than the stamp."""
    newer = (checkout / STAMP).stat().st_mtime + 10
    os.utime(checkout / "constraints.txt", (newer, newer))


@pytest.fixture
def kept(checkout: Path) -> Path:
    """A file in an installed environment: it is there until the environment is deleted."""
    assert install(checkout)
    file = checkout / ".venv-serve" / "kept"
    file.touch()
    return file


def test_changed_pins_update_the_environment_in_place(checkout: Path, kept: Path) -> None:
    change_pins(checkout)
    before = (checkout / STAMP).stat().st_mtime_ns
    assert install(checkout)
    assert kept.exists()
    assert (checkout / STAMP).stat().st_mtime_ns > before


def test_failed_update_is_repeated(checkout: Path, kept: Path) -> None:
    change_pins(checkout)
    before = (checkout / STAMP).stat().st_mtime_ns
    assert not install(checkout, PIP_FAILS)
    assert (checkout / STAMP).stat().st_mtime_ns == before
    assert install(checkout)
    assert kept.exists()


def test_half_made_environment_is_made_again(checkout: Path, kept: Path) -> None:
    (checkout / STAMP).unlink()
    assert install(checkout)
    assert not kept.exists()


def test_environment_of_another_python_is_made_again(checkout: Path, kept: Path) -> None:
    python = checkout / ".venv-serve" / "bin" / "python"
    python.unlink()
    python.write_text("#!/bin/sh\necho '(3, 10)'\n")
    python.chmod(0o755)
    change_pins(checkout)
    assert install(checkout)
    assert not kept.exists()
    assert python.is_symlink()

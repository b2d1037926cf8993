"""Commands to paste into a shell."""

import sys
from pathlib import Path

import pytest

from training.program import command


def test_names_the_interpreter_as_a_shell_in_this_folder_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = tmp_path / ".venv" / "bin"
    environment.mkdir(parents=True)
    python = environment / "python"
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.chdir(tmp_path)
    assert command("export", "runs/my cats") == ".venv/bin/python -m training export 'runs/my cats'"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert command("table") == f"{python} -m training table"
    monkeypatch.setenv("PATH", str(environment))
    assert command("table") == "python -m training table"

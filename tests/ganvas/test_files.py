import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ganvas.files import write_new, write_whole
from service.settings import ROOT


def test_writes_bytes_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for content in (b"one", b"two"):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_writes_what_a_function_writes(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.txt", lambda partial: partial.write_text("one"))
    assert (tmp_path / "a.txt").read_text() == "one"


def test_failure_leaves_the_old_file(tmp_path: Path) -> None:
    def fail(partial: Path) -> None:
        partial.write_text("half")
        raise OSError("disk full")

    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(OSError, match="disk full"):
        write_whole(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_error_names_the_file_and_not_the_partial_one(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "a.txt"
    with pytest.raises(FileNotFoundError) as raised:
        write_whole(path, b"one")
    assert raised.value.filename == str(path)


def test_full_disk_names_the_file(tmp_path: Path) -> None:
    code = (
        "import resource, sys, pathlib; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "from ganvas.files import write_whole\n"
        "try: write_whole(pathlib.Path(sys.argv[1]), bytes(200))\n"
        "except OSError as error: print(error.filename, error.strerror)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.txt")]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed == f"{tmp_path / 'a.txt'} File too large\n"
    assert list(tmp_path.iterdir()) == []


def test_new_file_replaces_no_other(tmp_path: Path) -> None:
    names = [write_new(tmp_path / "a.txt", content).name for content in (b"one", b"two", b"three")]
    assert names == ["a.txt", "a-2.txt", "a-3.txt"]
    assert [(tmp_path / name).read_bytes() for name in names] == [b"one", b"two", b"three"]


def test_new_file_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left") as raised:
        write_new(tmp_path / "a.txt", b"one")
    assert raised.value.filename == str(tmp_path / "a.txt")
    assert list(tmp_path.iterdir()) == []


def test_accepts_the_longest_name(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 255)
    write_whole(path, b"one")
    assert path.read_bytes() == b"one"

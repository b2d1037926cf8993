from pathlib import Path

import pytest

from ganvas.files import write_whole


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


def test_accepts_the_longest_name(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 255)
    write_whole(path, b"one")
    assert path.read_bytes() == b"one"

"""The manifest: a line a picture, appended when the picture is there; what a job that goes on need not do again."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ganvas.files import write_whole


class Manifest:
    """What a job has done.

    Attributes:
        path: the file.
        done: the pictures that it lists.

    Args:
        path: of the file; it need not exist.
        retry_failed: whether to forget those that could not be restyled.
    """

    def __init__(self, path: Path, *, retry_failed: bool = False) -> None:
        self.path = path
        self.done: set[str] = set()
        kept: list[bytes] = []
        lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
        for line in lines:
            entry = _entry(line)
            if entry is not None and not (retry_failed and "error" in entry):
                kept.append(line)
                self.done.add(entry["picture"])
        if len(kept) < len(lines):
            write_whole(path, b"".join(kept))

    @contextmanager
    def appending(self) -> Iterator["Appending"]:
        """Open it for the pictures that are done from now on."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab", buffering=0) as stream:
            yield Appending(stream)


class Appending:
    """A manifest that grows: a line is one write, so a process that is killed leaves at most one cut off."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def add(self, line: str) -> None:
        """Append the line of one picture; see `line_of`."""
        self._stream.write(line.encode() + b"\n")


def line_of(entry: Mapping[str, object]) -> str:
    """An entry as the manifest has it: `picture`, and `error` or what was written."""
    return json.dumps(entry, ensure_ascii=False)


def is_failure(line: str) -> bool:
    """Whether a line is of a picture that could not be restyled."""
    return "error" in json.loads(line)


def _entry(line: bytes) -> dict[str, Any] | None:
    """A line's entry; None for one that was cut off."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if line.endswith(b"\n") and isinstance(entry, dict) and "picture" in entry else None

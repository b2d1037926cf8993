"""The manifest: one line per image, appended when the image is written. A resumed task skips the images that it lists."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ganvas.files import write_whole


class Manifest:
    """What a task has done.

    Attributes:
        path: the file.
        done: the images that it lists.

    Args:
        path: of the file; it need not exist.
        retry_failed: whether to remove the images that could not be stylized.
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
                self.done.add(entry["image"])
        if len(kept) < len(lines):
            write_whole(path, b"".join(kept))

    @contextmanager
    def appending(self) -> Iterator["Appending"]:
        """Open the manifest for more lines."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab", buffering=0) as stream:
            yield Appending(stream)


class Appending:
    """A manifest that grows. Each line is one write, so a killed process leaves at most one incomplete line."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def add(self, line: str) -> None:
        """Append the line of one image; see `line_of`."""
        self._stream.write(line.encode() + b"\n")


def line_of(entry: Mapping[str, object]) -> str:
    """An entry as a line of the manifest. It has `image`, and either `error` or what was written."""
    return json.dumps(entry, ensure_ascii=False)


def is_failure(line: str) -> bool:
    """Whether a line is about an image that could not be stylized."""
    return "error" in json.loads(line)


def _entry(line: bytes) -> dict[str, Any] | None:
    """The entry of a line; None if the line is incomplete."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if line.endswith(b"\n") and isinstance(entry, dict) and "image" in entry else None

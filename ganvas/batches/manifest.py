"""manifest.jsonl: which picture was made from what, one JSON object a line, written as soon as the picture is there.

    {"file": "lake.jpg", "bytes": 90213, "source": "/photos/lake.jpg", ..., "style": "starry-night", "model": "painters", ...}

All but `file` and `bytes` says what it was made from. A later line for the same file replaces an earlier one.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import filelock

NAME = "manifest.jsonl"
LOCK = ".manifest.lock"

MadeFrom = Mapping[str, object]
Made = Sequence[tuple[str, int, MadeFrom]]
"""Pictures that are there: each one's file below the folder, its bytes, and what it was made from."""


class Manifest:
    """The manifest of one folder, which is made if it is not there; one batch a time writes into it.

    Raises:
        BlockingIOError: another batch is writing into the folder.
        OSError: the folder or the manifest cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.path = folder / NAME
        # Not one lock a thread: it is acquired in a worker thread and released in another.
        self._lock = filelock.FileLock(folder / LOCK, blocking=False, thread_local=False)
        try:
            self._lock.acquire()
        except filelock.Timeout:
            raise BlockingIOError(f"Another batch is writing into {folder}. Wait for it, or choose another folder.") from None
        # A digest a picture, not its line: a hundred thousand fit into a few megabytes.
        self._known: dict[str, tuple[int, bytes]] = {}
        self._read()
        self._file = self.path.open("a", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()
        self._lock.release()

    def has(self, file: str, made_from: MadeFrom) -> bool:
        """Whether this file was made from just this, and lies there as it was written."""
        size, digest = self._known.get(file, (-1, b""))
        if digest != _digest(made_from):
            return False
        try:
            return (self.folder / file).stat().st_size == size
        except OSError:
            return False

    def add(self, pictures: Made) -> None:
        """Write down pictures that are there."""
        lines = [json.dumps({"file": file, "bytes": size, **made_from}) + "\n" for file, size, made_from in pictures]
        self._file.write("".join(lines))
        self._file.flush()

    def _read(self) -> None:
        if not self.path.exists():
            return
        # Without the end of a line that a killed run left: what is added next stands on a line of its own.
        whole = 0
        with self.path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                self._remember(line)
        if whole < self.path.stat().st_size:
            with self.path.open("rb+") as file:
                file.truncate(whole)

    def _remember(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
            file, size = entry.pop("file"), entry.pop("bytes")
            self._known[file] = (size, _digest(entry))
        except (ValueError, KeyError, AttributeError, TypeError):
            return  # a line that somebody broke: its picture is made again


def _digest(made_from: MadeFrom) -> bytes:
    return hashlib.blake2b(json.dumps(made_from, sort_keys=True).encode(), digest_size=16).digest()

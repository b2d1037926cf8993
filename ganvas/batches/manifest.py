"""manifest.jsonl: what each image was made from, one JSON object per line, written as soon as the image exists.

    {"file": "lake.jpg", "bytes": 90213, "source": "/photos/lake.jpg", ..., "style": "starry-night", "model": "painters", ...}

All fields but `file` and `bytes` are the image's provenance. A later line for the same file replaces an earlier one.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import filelock

NAME = "manifest.jsonl"
LOCK = ".manifest.lock"

Provenance = Mapping[str, object]
"""What an image was made from."""


class Entry(NamedTuple):
    """An image that exists: its file below the folder, the file's size in bytes, and its provenance."""

    file: str
    size: int
    provenance: Provenance


class Manifest:
    """The manifest of one folder. The folder is created if it does not exist. One batch at a time writes into it.

    Raises:
        BlockingIOError: another batch writes into the folder.
        OSError: the folder or the manifest cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.path = folder / NAME
        # The lock is not thread-local: one thread acquires it and another releases it.
        self._lock = filelock.FileLock(folder / LOCK, blocking=False, thread_local=False)
        try:
            self._lock.acquire()
        except filelock.Timeout:
            raise BlockingIOError(f"Another batch is writing into {folder}. Wait for it, or choose another folder.") from None
        # A digest per image instead of its line: 100,000 digests take a few megabytes.
        self._known: dict[str, tuple[int, bytes]] = {}
        self._read()
        self._file = self.path.open("a", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()
        self._lock.release()

    def has(self, file: str, provenance: Provenance) -> bool:
        """Whether the file exists with the size that was written, and was made from exactly this."""
        size, digest = self._known.get(file, (-1, b""))
        if digest != _digest(provenance):
            return False
        try:
            return (self.folder / file).stat().st_size == size
        except OSError:
            return False

    def add(self, entries: Sequence[Entry]) -> None:
        """Record images that exist."""
        lines = [json.dumps({"file": entry.file, "bytes": entry.size, **entry.provenance}) + "\n" for entry in entries]
        self._file.write("".join(lines))
        self._file.flush()

    def _read(self) -> None:
        if not self.path.exists():
            return
        # A killed run may leave half a line. It is cut off, so that the next entry starts on a new line.
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
            return  # this line is broken: its image is made again


def _digest(provenance: Provenance) -> bytes:
    return hashlib.blake2b(json.dumps(provenance, sort_keys=True).encode(), digest_size=16).digest()

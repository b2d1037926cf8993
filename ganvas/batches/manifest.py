"""manifest.jsonl: what each image was made from, one JSON object per line, written as soon as the image exists.

    {"file": "lake.jpg", "bytes": 90213, "source": "/photos/lake.jpg", ..., "style": "starry-night", "model": "painters", ...}

All fields but `file` and `bytes` are the image's provenance. A later line for the same file replaces an earlier one. A
broken line is ignored.
"""

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import filelock

NAME = "manifest.jsonl"
LOCK = ".manifest.lock"
MAX_LINE = 2**16  # bytes; a path has at most 4,096 and a blend 4,096 characters

Provenance = Mapping[str, object]
"""What an image was made from."""


class Entry(NamedTuple):
    """An image that exists: its file below the folder, the file's size in bytes, and its provenance."""

    file: str
    size: int
    provenance: Provenance


class Manifest:
    """The manifest of one folder. One batch at a time writes into it.

    The folder is created if it does not exist. It is removed again if the batch fails before its first image.

    Raises:
        BlockingIOError: another batch writes into the folder.
        OSError: the folder or the manifest cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self._made = not folder.exists()
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
        try:
            self._read()
            self._file = self.path.open("ab", buffering=0)
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()
        if error and self._made and not self.path.stat().st_size:
            # Nothing was made, for instance because there is no such style. The lock is held, so no other batch is here.
            with contextlib.suppress(OSError):
                self.path.unlink()
                (self.folder / LOCK).unlink()
                self.folder.rmdir()
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
        """Record images that exist.

        Raises:
            OSError: the manifest cannot be written. No partial line is left.
        """
        lines = [json.dumps({"file": entry.file, "bytes": entry.size, **entry.provenance}) + "\n" for entry in entries]
        data = "".join(lines).encode()
        before = os.fstat(self._file.fileno()).st_size
        try:
            while data:  # a full disk may take a part first
                data = data[self._file.write(data) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(before)
            error.filename = str(self.path)
            raise

    def __len__(self) -> int:
        return len(self._known)

    def _read(self) -> None:
        if not self.path.exists():
            return
        if not self.path.is_file():
            raise FileExistsError(errno.EEXIST, "Is not a file. Remove it, or choose another folder", str(self.path))
        # A killed run may leave half a line. It is cut off, so that the next entry starts on a new line. A line longer than
        # MAX_LINE, which no batch writes, is read in pieces, so that memory is bounded, and is skipped.
        position = whole = 0
        starts_line = True
        with self.path.open("rb") as file:
            while piece := file.readline(MAX_LINE):
                position += len(piece)
                ends_line = piece.endswith(b"\n")
                if ends_line:
                    whole = position
                    if starts_line:
                        self._remember(piece)
                starts_line = ends_line
        if whole < position:
            with self.path.open("rb+") as file:
                file.truncate(whole)

    def _remember(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
            file, size = entry.pop("file"), entry.pop("bytes")
            digest = _digest(entry)
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
            return  # this line is broken: its image is made again
        if isinstance(file, str) and type(size) is int:
            self._known[file] = (size, digest)


def _digest(provenance: Provenance) -> bytes:
    return hashlib.blake2b(json.dumps(provenance, sort_keys=True).encode(), digest_size=16).digest()

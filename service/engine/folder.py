"""The files of the models folder, and which of them changed since the last look.

The folder is polled. Kernel notifications do not reach network volumes, and they also report copies that have only begun.
"""

import contextlib
import hashlib
from pathlib import Path

from ganvas.style_file import SUFFIX

Signature = tuple[int, int, int]
"""Time of change, size and inode. A file that is copied, moved or linked again differs in at least one of them."""

NOT_READ = (0, 0, 0)  # not the signature of any file

Look = dict[Path, Signature | None]
"""The files of one look; None for a file that exists but cannot be examined now."""


def version_of(content: bytes) -> str:
    """The version of a model: the start of the SHA-256 of its file."""
    return hashlib.sha256(content).hexdigest()[:12]


def is_style_file(path: Path) -> bool:
    """Whether a path is that of a style file; see `ganvas.style_file`."""
    return path.name.endswith(SUFFIX)


class Folder:
    """The models and style files of one folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last: Look = {}
        with contextlib.suppress(OSError):  # the next look finds what this one did not, or raises
            self._last = self._look()
        self._known = {path: found or NOT_READ for path, found in self._last.items()}

    def files(self) -> list[Path]:
        """The files of the first look, by name, also those that cannot be examined."""
        return sorted(self._known)

    def changes(self) -> tuple[list[Path], list[Path]]:
        """The files that are new or changed, and the files that were removed, since the last call.

        A file counts as changed when two looks in a row found the same: a file that is still being written is left to the next
        call. It counts as removed when two looks in a row missed it: a file that is deleted and copied again is only replaced.

        Raises:
            OSError: the folder cannot be read, as happens with network volumes. This look is then ignored.
        """
        found = self._look()
        before, self._last = self._last, found
        changed = {}
        for path, now in sorted(found.items()):
            if path not in before or before[path] != now:
                continue
            # A known file that cannot be examined now stays. A new one is reported: reading it finds the reason.
            signature = now or self._known.get(path, NOT_READ)
            if signature != self._known.get(path):
                changed[path] = signature
        removed = [path for path in self._known if path not in found and path not in before]
        self._known.update(changed)
        for path in removed:
            del self._known[path]
        return list(changed), removed

    def retry(self, path: Path) -> None:
        """Report a file as changed at the next call, because it could not be read."""
        if path in self._known:
            self._known[path] = NOT_READ

    def _look(self) -> Look:
        found: Look = {}
        try:
            paths = [path for path in self.path.iterdir() if path.suffix == ".onnx" or is_style_file(path)]
        except FileNotFoundError:
            return found
        for path in paths:
            try:
                status = path.stat()
            except FileNotFoundError:  # removed between the two calls, or a broken link
                continue
            except OSError:  # mostly of a network volume: the file may exist or not
                found[path] = None
            else:
                found[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
        return found

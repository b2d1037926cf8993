"""What lies in the models folder, and what of it changed since it was last looked at.

It is looked at again and again rather than watched: notifications of the kernel do not reach network volumes, and tell of a
copy that has only begun.
"""

import contextlib
from pathlib import Path

Signature = tuple[int, int, int]
"""Time of change, size and inode: a file that is copied, moved or linked anew differs in one of them."""

NOT_READ = (0, 0, 0)  # no file's signature

Look = dict[Path, Signature | None]
"""The files of one look; None where a file is there and says nothing of itself just now."""


class Folder:
    """The .onnx files of one folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: Look = {}
        with contextlib.suppress(OSError):  # the next look finds what this one did not, or raises
            self._seen = self._look()
        self._known = {path: found for path, found in self._seen.items() if found}

    def files(self) -> list[Path]:
        """The files as they were when the folder was first looked at, by name."""
        return sorted(self._known)

    def changes(self) -> tuple[list[Path], list[Path]]:
        """What is new or changed, and what is gone, since the last call.

        A file counts as changed once it has looked the same twice: one that is still being written is left to the next call. It
        counts as gone once it was missing twice: one that is removed and copied anew is no other than one that is replaced.

        Raises:
            OSError: the folder cannot be read, as a network volume at times; it is as if it had not been looked at.
        """
        found = self._look()
        before, self._seen = self._seen, found
        changed = {path: now for path, now in sorted(found.items()) if now and before.get(path) == now != self._known.get(path)}
        gone = [path for path in self._known if path not in found and path not in before]
        self._known.update(changed)
        for path in gone:
            del self._known[path]
        return list(changed), gone

    def again(self, path: Path) -> None:
        """Count a file as changed with the next call, since it could not be read."""
        if path in self._known:
            self._known[path] = NOT_READ

    def _look(self) -> Look:
        found: Look = {}
        try:
            paths = [path for path in self.path.iterdir() if path.suffix == ".onnx"]
        except FileNotFoundError:
            return found
        for path in paths:
            try:
                status = path.stat()
            except FileNotFoundError:  # gone between the two calls, or a link that leads nowhere
                continue
            except OSError:  # of a network volume, mostly: no word on whether it is there
                found[path] = None
            else:
                found[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
        return found

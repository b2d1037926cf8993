"""What lies in the models folder, and what of it changed since it was last looked at.

It is looked at again and again rather than watched: notifications of the kernel do not reach network volumes, and tell of a
copy that has only begun.
"""

from pathlib import Path

Signature = tuple[int, int, int]
"""Time of change, size and inode: a file that is copied, moved or linked anew differs in one of them."""


class Folder:
    """The .onnx files of one folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known = self._look()
        self._seen = dict(self._known)

    def files(self) -> list[Path]:
        """The files as they were when the folder was first looked at, by name."""
        return sorted(self._known)

    def changes(self) -> tuple[list[Path], list[Path]]:
        """What is new or changed, and what is gone, since the last call.

        A file counts as changed once it has looked the same twice: one that is still being written is left to the next call.
        """
        before, self._seen = self._seen, self._look()
        changed = [path for path, found in sorted(self._seen.items()) if before.get(path) == found != self._known.get(path)]
        gone = [path for path in self._known if path not in self._seen]
        for path in changed:
            self._known[path] = self._seen[path]
        for path in gone:
            del self._known[path]
        return changed, gone

    def _look(self) -> dict[Path, Signature]:
        found = {}
        for path in self.path.glob("*.onnx"):
            try:
                status = path.stat()
            except OSError:  # gone between the two calls, or a link that leads nowhere: nothing that could be read
                continue
            found[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
        return found

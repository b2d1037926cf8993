"""Files of a folder or an object store, through fsspec. They are written completely or not at all."""

from pathlib import Path

import fsspec

from ganvas.files import write_whole


def absolute(url: str) -> str:
    """The absolute path of a folder, because workers have other working directories. A URL stays as it is."""
    return url if "://" in url else str(Path(url).resolve())


def find(url: str) -> list[str]:
    """List every file below a folder or URL by its relative path, sorted. Hidden folders are left out.

    Raises:
        OSError: the folder cannot be listed.
        ValueError: fsspec does not know the protocol.
        ImportError: the package for the protocol is not installed.
    """
    filesystem, root = fsspec.core.url_to_fs(url)
    start = len(root.rstrip("/")) + 1
    names = (path[start:] for path in filesystem.find(root))
    return sorted(name for name in names if not any(part.startswith(".") for part in name.split("/")[:-1]))


class Storage:
    """A folder or URL to read from or write to, from several threads."""

    def __init__(self, url: str) -> None:
        self._filesystem, self._root = fsspec.core.url_to_fs(url)
        self._root = self._root.rstrip("/")
        self._local = "file" in self._filesystem.protocol

    def read(self, name: str) -> bytes:
        """Read a whole file."""
        data: bytes = self._filesystem.cat_file(f"{self._root}/{name}")
        return data

    def start(self, name: str, size: int) -> bytes:
        """Read the first bytes of a file."""
        data: bytes = self._filesystem.cat_file(f"{self._root}/{name}", start=0, end=size)
        return data

    def write(self, name: str, data: bytes) -> None:
        """Write a file completely or not at all. Object stores do so by themselves."""
        if self._local:
            path = Path(self._root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, data)
        else:
            self._filesystem.pipe_file(f"{self._root}/{name}", data)

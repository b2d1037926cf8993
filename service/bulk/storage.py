"""Files of a folder or of an object store, through fsspec: listed, read, and written whole or not at all."""

from pathlib import Path

import fsspec

from ganvas.files import write_whole


def absolute(url: str) -> str:
    """A folder by its whole path, since workers begin elsewhere; a URL as it is."""
    return url if "://" in url else str(Path(url).resolve())


def find(url: str) -> list[str]:
    """Every file below a folder or URL, sorted, by its path from there; hidden ones are left out.

    Raises:
        OSError: it cannot be listed.
        ValueError: fsspec does not know the protocol.
        ImportError: fsspec knows it, but the package that speaks it is not installed.
    """
    filesystem, root = fsspec.core.url_to_fs(url)
    start = len(root.rstrip("/")) + 1
    names = (path[start:] for path in filesystem.find(root))
    return sorted(name for name in names if not any(part.startswith(".") for part in name.split("/")))


class Storage:
    """A folder or URL that is read from or written to, from several threads."""

    def __init__(self, url: str) -> None:
        self._filesystem, self._root = fsspec.core.url_to_fs(url)
        self._root = self._root.rstrip("/")
        self._local = "file" in self._filesystem.protocol

    def read(self, name: str) -> bytes:
        """A whole file."""
        data: bytes = self._filesystem.cat_file(f"{self._root}/{name}")
        return data

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole or not at all. An object store does so by itself."""
        if self._local:
            path = Path(self._root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, data)
        else:
            self._filesystem.pipe_file(f"{self._root}/{name}", data)

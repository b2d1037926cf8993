"""Files that are written completely or not at all."""

import contextlib
import hashlib
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path


def write_whole(path: Path, content: bytes | Callable[[Path], object]) -> None:
    """Write a file beside `path`, flush it to the disk, then put it in place in one step.

    If the process is killed, the old file stays, if there was one. The next write replaces the partial file beside `path`, so
    two processes must not write the same file at the same time.

    Args:
        path: the file; its folder exists.
        content: the bytes, or a function that writes a file at the path that it is given.

    Raises:
        OSError: the file cannot be written; names it. The old file is unchanged.
    """
    partial = partial_path(path)
    try:
        if callable(content):
            content(partial)
        else:
            partial.write_bytes(content)
        with partial.open("rb+") as stream:  # Windows flushes only what is open for writing
            os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        if isinstance(error, OSError) and error.errno and (error.filename is None or Path(error.filename) == partial):
            error.filename = str(path)  # the name that the caller knows; a full disk names none
        raise


def partial_path(path: Path) -> Path:
    """Where `write_whole` writes before it puts the file in place. If the process is killed, this file stays."""
    # The name does not contain that of the file, which may already have the longest length that the disk allows.
    digest = hashlib.blake2b(os.fsencode(path.name), digest_size=8).hexdigest()
    return path.with_name(f".{digest}.partial")


def write_new(path: Path, content: bytes) -> Path:
    """`write_whole`, but never over a file that exists: a number is added to the name, as in `digits-7-2.png`.

    Raises:
        OSError: the file cannot be written.
    """
    for i in itertools.count(1):
        free = path if i == 1 else path.with_name(f"{path.stem}-{i}{path.suffix}")
        try:
            free.touch(exist_ok=False)
        except FileExistsError:
            continue
        try:
            write_whole(free, content)
        except BaseException:
            with contextlib.suppress(OSError):
                free.unlink()
            raise
        return free
    raise AssertionError


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Give the file its name in an `OSError` that has none, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise

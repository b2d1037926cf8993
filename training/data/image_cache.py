"""The images of a GAN, prepared once and kept in a file that training maps into its memory.

prepared = prepare_images(folder, size=256, channels=3, cache=Path("runs/.images"))
prepared[np.array([5, 70_000])]         # uint8 [2, 3, 256, 256]

The file holds the decoded, cropped and resized images, so that more images than fit into memory can be trained on. The system
keeps what was read in its page cache, which it can drop at any time. Processes and runs with the same images share the file.

cache/KEY-256-rgb.images     uint8 [N, c, size, size]; a footer in JSON; its length in 8 bytes; MAGIC

The key is a hash of everything that the content depends on. The footer comes last and the file is put in place in one step, so
an interrupted preparation never looks complete. The footer has a checksum of each image, to find damage.
"""

import errno
import hashlib
import json
import mmap
import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import filelock
import numpy as np
import PIL
import torch
from torch import Tensor

from ganvas.files import partial_path, write_whole
from training.console import track
from training.data.dataset import decoded
from training.data.image_folder import ImageFolder, nothing_decoded
from training.errors import DataError
from training.text import count_of

CACHE = ".images"
"""Folder of the files, beside the run folders that use them."""

MAGIC = b"GANVAS-1"
LIMIT_GB = 100.0
"""Most gigabytes that the files of a cache take together, unless an option changes it."""

_MODES = {1: "grey", 3: "rgb", 4: "rgba"}  # by the number of channels, for names of files
_LAYOUT = 1  # of the file and of the preparation; raise it if either changes
_END = 8 + len(MAGIC)  # bytes after the footer
_MOST_CHECKED = 4096  # images whose checksums are compared when a file is opened
_SPARE = 0.02  # of the size of the images, for the footer and the checkpoints of the run


class PreparedImages:
    """The images of a complete file; `training.data.image_set.Images`.

    Args:
        path: of the file.
        key: that the file must have.

    Attributes:
        unreadable: name -> why the image could not be decoded.

    Raises:
        FileNotFoundError: there is no file.
        BrokenError: the file is not complete, or is damaged.
    """

    def __init__(self, path: Path, key: str) -> None:
        with path.open("rb") as stream:
            footer = _read_footer(stream, key)
            # Not numpy's memmap, which does not offer `madvise`.
            self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        self._row = footer.channels * footer.size**2
        pixels = np.frombuffer(self._map, np.uint8, footer.count * self._row)
        self._images = pixels.reshape(footer.count, footer.channels, footer.size, footer.size)
        self.unreadable = footer.unreadable
        for index in np.unique(np.linspace(0, footer.count - 1, _MOST_CHECKED).astype(int)):
            if zlib.crc32(self._images[index]) != footer.checksums[index]:
                raise BrokenError(f"image {index} has another checksum")

    def __len__(self) -> int:
        """Number of images."""
        return len(self._images)

    def __getitem__(self, indices: np.ndarray, /) -> Tensor:
        """See `training.data.image_set.Images`."""
        if hasattr(mmap, "MADV_WILLNEED"):
            # Images of a batch lie far apart. The system reads them all at once instead of a few pages at each page fault.
            for start in (indices * self._row).tolist():
                aligned = start - start % mmap.PAGESIZE
                self._map.madvise(mmap.MADV_WILLNEED, aligned, start + self._row - aligned)
        return torch.from_numpy(np.take(self._images, indices, axis=0))


class BrokenError(Exception):
    """A file of prepared images that is not complete, or damaged. The message says why."""


def prepare_images(
    folder: ImageFolder,
    size: int,
    channels: int,
    cache: Path,
    limit_gb: float = LIMIT_GB,
    say: Callable[[str], object] = print,
) -> PreparedImages:
    """The prepared images of a folder: those of an earlier run if they are complete and not damaged.

    Args:
        folder: no image has a side under `size`.
        size: side of the squares in pixels.
        channels: 1 for grey, 3 for RGB, with transparency on white, 4 for RGB and alpha.
        cache: folder of the files; is made if needed.
        limit_gb: most gigabytes that the files in `cache` may take together.
        say: shows what is done before it is done.

    Raises:
        DataError: no image can be decoded, or the images would take more than the limit or the disk allows.
        OSError: the file cannot be written.
    """
    key = _key(folder, size, channels)
    path = cache / f"{key}-{size}-{_MODES[channels]}.images"
    if (found := _open(path, key, say)) is not None:
        return found
    cache.mkdir(parents=True, exist_ok=True)
    with _only_process(path.with_suffix(".lock"), say):
        if (found := _open(path, key, lambda _: None)) is not None:
            return found
        _prepare(folder, size, channels, path, key, limit_gb, say)
    return PreparedImages(path, key)


@contextmanager
def _only_process(path: Path, say: Callable[[str], object]) -> Iterator[None]:
    """Hold a lock, after any other process that holds it. It ends with the process."""
    lock = filelock.FileLock(path)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        say(f"Another process prepares the images in {path.parent}. Waiting for it.")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True)
class _Footer:
    key: str
    count: int
    size: int
    channels: int
    checksums: list[int]
    unreadable: dict[str, str]


def _open(path: Path, key: str, say: Callable[[str], object]) -> PreparedImages | None:
    try:
        return PreparedImages(path, key)
    except FileNotFoundError:
        return None
    except BrokenError as error:
        say(f"{path} is damaged ({error}). The images are prepared again.")
        return None


def _read_footer(stream: BinaryIO, key: str) -> _Footer:
    """The footer of an open file. Raises BrokenError."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(size - _END, 0))
    end = stream.read()
    length = int.from_bytes(end[:8], "little")
    if end[8:] != MAGIC or length > size - _END:
        raise BrokenError("it has no end")
    stream.seek(size - _END - length)
    try:
        footer = _Footer(**json.loads(stream.read(length)))
    except (ValueError, TypeError) as error:
        raise BrokenError("its footer cannot be read") from error
    if footer.key != key:
        raise BrokenError("it holds other images")
    if len(footer.checksums) != footer.count or size != footer.count * footer.channels * footer.size**2 + length + _END:
        raise BrokenError("its footer does not fit it")
    return footer


def _key(folder: ImageFolder, size: int, channels: int) -> str:
    """Hash of everything that prepared images depend on; Pillow's decoders may change with its version."""
    parts = [str(_LAYOUT), PIL.__version__, folder.revision, str(size), str(channels), *folder.names]
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:16]


def _prepare(
    folder: ImageFolder, size: int, channels: int, path: Path, key: str, limit_gb: float, say: Callable[[str], object]
) -> None:
    row = channels * size**2
    needed = len(folder.names) * row
    partial_path(path).unlink(missing_ok=True)  # of a process that was killed
    _require_room(needed, path, limit_gb)
    say(
        f"Preparing {count_of(len(folder.names), 'image')} at {size} x {size}: {_gb(needed)} in {path}. Other runs with the "
        "same images use this file as well."
    )
    checksums: list[int] = []
    unreadable: dict[str, str] = {}

    def write(partial: Path) -> None:
        with partial.open("wb") as stream, closing(decoded(folder, size, channels)) as squares:
            _reserve(stream, needed)
            for name, square in zip(folder.names, track(squares, "Preparing", len(folder.names), "image"), strict=True):
                if isinstance(square, str):
                    unreadable[name] = square
                else:
                    content = square.tobytes()
                    checksums.append(zlib.crc32(content))
                    stream.write(content)
            if not checksums:
                raise nothing_decoded(folder, "image", unreadable)
            footer = json.dumps(asdict(_Footer(key, len(checksums), size, channels, checksums, unreadable))).encode()
            stream.write(footer + len(footer).to_bytes(8, "little") + MAGIC)
            stream.truncate()

    write_whole(path, write)


def _reserve(stream: BinaryIO, size: int) -> None:
    """Take the room on the disk, so that it does not become full halfway, where the system can do that."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(stream.fileno(), 0, size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise


def _require_room(needed: int, path: Path, limit_gb: float) -> None:
    """Refuse images that take too much. A damaged file at `path` stays until it is replaced, so it does not count as free."""
    cache = path.parent
    others = sum(file.stat().st_size for file in cache.glob("*.images") if file != path)
    if needed + others > limit_gb * 1e9:
        used = f", and {cache} already holds {_gb(others)}" if others else ""
        raise DataError(
            f"The prepared images need {_gb(needed)}{used}. The limit is {limit_gb:g} GB. Raise it with --cache-gb, train at a "
            f"smaller image_size{f', or delete files in {cache} that no run uses' if others else ''}."
        )
    free = shutil.disk_usage(cache).free
    if needed * (1 + _SPARE) > free:
        raise DataError(
            f"The prepared images need {_gb(needed)}, but the disk of {cache} has only {_gb(free)} free. Free some space, name "
            "a folder on another disk with --cache, or train at a smaller image_size."
        )


def _gb(size: int) -> str:
    unit, name = (1e9, "GB") if size >= 1e9 else (1e6, "MB") if size >= 1e6 else (1e3, "kB")
    return f"{size / unit:.1f} {name}"

"""Which photos a batch takes, and where each of its pictures goes."""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ganvas.api import FILE_TYPES, UPLOAD_SUFFIXES, ImageFormat

Sources = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""A folder, a file, a pattern such as `photos/*.jpg`, or several of these."""

Identity = tuple[int, int]


@dataclass(frozen=True)
class Item:
    """One photo of a batch: where it is, and its picture's path below the batch's folder."""

    source: Path
    file: str


def find_items(sources: Sources, out_dir: Path, image_format: ImageFormat) -> list[Item]:
    """List the photos, in a folder's order, and name their pictures.

    A folder is taken with all folders below it, and its pictures lie as its photos do; hidden files and `out_dir` are left
    out. Two photos whose names differ in the suffix alone keep it: `lake.png.jpg`.

    Raises:
        FileNotFoundError: a source that is not there, a pattern that fits nothing, or no photo at all.
        ValueError: two photos would become the same file, or a photo be overwritten by a picture.
    """
    found = dict(_walk(sources, _identity(out_dir)))  # a photo that is named twice is painted once
    if not found:
        raise FileNotFoundError(f"no picture ({', '.join(UPLOAD_SUFFIXES)}) in {_shown(sources)}")
    suffix = FILE_TYPES[image_format].suffix
    shared = Counter(place.with_suffix(suffix) for place in found.values())
    items = [
        Item(
            source,
            (place.with_suffix(suffix) if shared[place.with_suffix(suffix)] == 1 else Path(f"{place}{suffix}")).as_posix(),
        )
        for source, place in found.items()
    ]
    for file, count in Counter(item.file for item in items).items():
        if count > 1:
            twins = [str(item.source) for item in items if item.file == file]
            raise ValueError(f"{' and '.join(twins)} would both become {out_dir / file}; paint them into folders of their own")
    photos = {_identity(item.source): item.source for item in items}
    for item in items:
        lies_there = _identity(out_dir / item.file)
        if lies_there and lies_there in photos:
            photo = photos[lies_there]
            raise ValueError(f"{photo} would be overwritten by a picture; take another folder than {out_dir}")
    return items


def _walk(sources: Sources, out_dir: Identity | None) -> Iterator[tuple[Path, Path]]:
    """Each photo, and its place below the folder that it was found in."""
    for source in [sources] if isinstance(sources, str | os.PathLike) else sources:
        path = Path(source)
        if path.is_dir():
            # One path for one folder, whether through `..` or a link: the manifest knows its photos by it.
            folder = path.resolve()
            for photo in _photos_of(folder, out_dir):
                yield photo, photo.relative_to(folder)
        elif path.exists():
            # Only the folder: a photo that is a link keeps its own name.
            yield path.parent.resolve() / path.name, Path(path.name)
        elif matches := sorted(glob.glob(os.fspath(source), recursive=True)):  # noqa: PTH207  it may be absolute
            yield from _walk(matches, out_dir)
        else:
            raise FileNotFoundError(f"there is no {os.fspath(source)}")


def _photos_of(folder: Path, out_dir: Identity | None) -> Iterator[Path]:
    if out_dir and _identity(folder) == out_dir:
        raise ValueError(f"the pictures of {folder} would go among its photos; take another folder for them")
    for place, folders, files in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and not (out_dir and _identity(here / name) == out_dir)
        )
        for name in sorted(files):
            if name.lower().endswith(UPLOAD_SUFFIXES) and not name.startswith("."):
                yield here / name


def _identity(path: Path) -> Identity | None:
    """What is the same for every path to one file: through `..`, links, and names whose case the disk ignores."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _shown(sources: Sources) -> str:
    return os.fspath(sources) if isinstance(sources, str | os.PathLike) else ", ".join(os.fspath(source) for source in sources)

"""The photos of a batch, and the file name of each image."""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ganvas.api import FILE_TYPES, UPLOAD_SUFFIXES, ImageFormat
from ganvas.left_out import START_BYTES, left_out_text, why_left_out

Sources = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""A folder, a file, a pattern such as `photos/*.jpg`, or several of these."""

Identity = tuple[int, int]


@dataclass(frozen=True)
class Photo:
    """One photo of a batch: its path, and the path of its image below the batch's folder."""

    source: Path
    file: str


class Found(NamedTuple):
    """What the sources hold.

    Attributes:
        photos: in a folder's order.
        left_out: path -> reason for each file of the folders that is not read as a photo.
    """

    photos: list[Photo]
    left_out: dict[str, str]


def find_photos(sources: Sources, out_dir: Path, image_format: ImageFormat) -> Found:
    """List the photos, and name their images.

    All folders below a folder are included, and the images are arranged as their photos are. Hidden folders and `out_dir` are
    left out, and so are hidden files and files whose suffix is not that of an image. Without a suffix, the content decides.
    Two photos whose names differ in the suffix alone keep it: `lake.png.jpg`.

    Raises:
        FileNotFoundError: a source does not exist, a pattern matches nothing, or no photo was found.
        ValueError: two photos would become the same file, or an image would overwrite a photo.
    """
    left_out: dict[str, str] = {}
    found = dict(_walk(sources, _identity(out_dir), left_out))  # a photo that is named twice is stylized once
    if not found:
        detail = f" ({left_out_text(left_out)})" if left_out else ""
        raise FileNotFoundError(f"No image found in {_shown(sources)}{detail}. Names must end in {', '.join(UPLOAD_SUFFIXES)}.")
    suffix = FILE_TYPES[image_format].suffix
    shared = Counter(place.with_suffix(suffix) for place in found.values())
    photos = [
        Photo(
            source,
            (place.with_suffix(suffix) if shared[place.with_suffix(suffix)] == 1 else Path(f"{place}{suffix}")).as_posix(),
        )
        for source, place in found.items()
    ]
    for file, count in Counter(photo.file for photo in photos).items():
        if count > 1:
            twins = " and ".join(str(photo.source) for photo in photos if photo.file == file)
            raise ValueError(f"{twins} would both become {out_dir / file}. Stylize them into different folders.")
    sources_by_identity = {_identity(photo.source): photo.source for photo in photos}
    for photo in photos:
        existing = _identity(out_dir / photo.file)
        if existing and existing in sources_by_identity:
            overwritten = sources_by_identity[existing]
            raise ValueError(f"{overwritten} would be overwritten by an image. Choose another folder than {out_dir}.")
    return Found(photos, left_out)


def _walk(sources: Sources, out_dir: Identity | None, left_out: dict[str, str]) -> Iterator[tuple[Path, Path]]:
    """Each photo, and its path below the folder in which it was found."""
    for source in [sources] if isinstance(sources, str | os.PathLike) else sources:
        path = Path(source)
        if path.is_dir():
            # One path per folder, through `..` and links too: the manifest identifies photos by it.
            folder = path.resolve()
            for photo in _photos_of(folder, out_dir, left_out):
                yield photo, photo.relative_to(folder)
        elif path.exists():
            # Only the folder is resolved: a photo that is a link keeps its own name.
            yield path.parent.resolve() / path.name, Path(path.name)
        elif matches := sorted(glob.glob(os.fspath(source), recursive=True)):  # noqa: PTH207  it may be absolute
            yield from _walk(matches, out_dir, left_out)
        else:
            raise FileNotFoundError(f"{os.fspath(source)} does not exist.")


def _photos_of(folder: Path, out_dir: Identity | None, left_out: dict[str, str]) -> Iterator[Path]:
    if out_dir and _identity(folder) == out_dir:
        raise ValueError(f"The images of {folder} would be written among its photos. Choose another folder.")
    for place, folders, files in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and not (out_dir and _identity(here / name) == out_dir)
        )
        for name in sorted(files):
            path = here / name
            try:
                reason = why_left_out(name, partial(_start_of, path))
            except OSError as error:
                reason = error.strerror or "cannot be read"
            if reason is None:
                yield path
            else:
                left_out[str(path)] = reason


def _start_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(START_BYTES)


def _identity(path: Path) -> Identity | None:
    """The same for every path to one file: through `..`, links, and names whose case the disk ignores."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _shown(sources: Sources) -> str:
    return os.fspath(sources) if isinstance(sources, str | os.PathLike) else ", ".join(os.fspath(source) for source in sources)

"""A folder or zip of images, with folders inside or without. `ganvas.images` reads the files, as it does for the service.

folder = open_image_folder(Path("photos"))      # a folder or a .zip
folder.sizes, folder.unreadable                 # by name: sizes in pixels, and reasons
image = folder.open(folder.names[0], "RGB")     # upright, in sRGB, transparency on white; "RGBA" keeps it
"""

import hashlib
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from PIL import Image
from rich.console import Console
from rich.progress import track

from ganvas import images
from ganvas.api import UPLOAD_FORMATS_TEXT
from ganvas.left_out import START_BYTES, left_out_text, why_left_out
from training.errors import DataError, first_line
from training.program import command
from training.text import count_of

Mode = Literal["L", "RGB", "RGBA"]

UNREADABLE = Exception
"""What reading an image may raise: ganvas.images.ImageFileError, and for a broken zip nearly any class."""

_LARGEST_FILE = 512 * 2**20  # bytes; in a zip, a few thousand bytes may unpack to any size


@dataclass(frozen=True)
class ImageFolder:
    """The readable images of one folder or zip.

    Attributes:
        path: of the folder or zip.
        sizes: name (path below the folder) -> (width, height) in pixels, upright; sorted by name.
        grey: whether all images are grey.
        unreadable: name -> why the file cannot be read.
        left_out: name -> why the file is not read as an image: its format, or a hidden file. Sorted by name.
        transparent: names of the images whose header states transparency.
        fingerprint: hash of the names and file sizes of the readable images; other images have another hash.
        revision: hash that also changes with the modification times of the files or, in a zip, with their checksums.
    """

    path: Path
    sizes: dict[str, tuple[int, int]]
    grey: bool
    unreadable: dict[str, str]
    fingerprint: str = ""
    revision: str = ""
    left_out: dict[str, str] = field(default_factory=dict)
    transparent: frozenset[str] = frozenset()
    _zip: zipfile.ZipFile | None = field(default=None, repr=False, compare=False)

    @property
    def names(self) -> list[str]:
        """Names of the readable images, sorted."""
        return list(self.sizes)

    def open(self, name: str, mode: Mode, min_size: tuple[int, int] | None = None) -> Image.Image:
        """Decode one image.

        Args:
            name: one of `names`.
            mode: "L" for grey, "RGB" for colour, "RGBA" for colour and straight alpha; 8 bits a channel.
            min_size: (width, height) in pixels that suffice. A large JPEG is then decoded at a fraction of its size.

        Raises:
            Exception: an ImageFileError if the data after a valid header is broken; for a broken zip, nearly any class.
        """
        image = images.read_image(self._file(name), min_size=min_size, keep_alpha=mode == "RGBA")
        return image.convert(mode) if mode == "L" else image

    def read(self, name: str) -> bytes:
        """The content of one image file. Raises as `open`."""
        file = self._file(name)
        return file if isinstance(file, bytes) else file.read_bytes()

    def _start(self, name: str) -> bytes:
        """The first bytes of a file, which say its format."""
        with (self.path / name).open("rb") if self._zip is None else self._zip.open(name) as file:
            return file.read(START_BYTES)

    def _file(self, name: str) -> bytes | Path:
        return self.path / name if self._zip is None else self._zip.read(name)


def require_existing(path: Path) -> None:
    """Refuse a path that does not exist.

    Raises:
        DataError: the path does not exist.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist. Name a folder or a .zip of images ({UPLOAD_FORMATS_TEXT}).")


def open_image_folder(path: Path) -> ImageFolder:
    """Find every image in a folder or zip and read its header.

    Raises:
        DataError: the path does not exist, is neither a folder nor a zip, or holds no readable image.
    """
    require_existing(path)
    unreadable: dict[str, str] = {}
    archive = None
    if path.is_dir():
        found = dict(_files(path, unreadable))
    elif zipfile.is_zipfile(path):
        try:
            archive = zipfile.ZipFile(path)
            found = {info.filename: (info.file_size, info.CRC) for info in archive.infolist() if not info.is_dir()}
        except UNREADABLE as error:
            raise DataError(f"{path} is a broken zip: {first_line(error)}. Make it again, or name a folder.") from error
    else:
        raise DataError(f"{path} is neither a folder nor a zip. Name a folder or a .zip of images ({UPLOAD_FORMATS_TEXT}).")

    candidates = ImageFolder(path, {}, grey=False, unreadable={}, _zip=archive)
    sizes: dict[str, tuple[int, int]] = {}
    digest, stamped = hashlib.sha256(), hashlib.sha256()
    grey = True
    left_out: dict[str, str] = {}
    transparent: set[str] = set()
    for name in track(sorted(found), description="Reading images", transient=True, console=Console(stderr=True)):
        try:
            if why := why_left_out(name, partial(candidates._start, name)):
                left_out[name] = why
                continue
        except UNREADABLE as error:
            unreadable[name] = reason(error)
            continue
        length, stamp = found[name]
        if archive is not None and length > _LARGEST_FILE:
            unreadable[name] = f"over {_LARGEST_FILE >> 20} MiB unpacked"
            continue
        try:
            header = images.read_header(candidates._file(name))
        except UNREADABLE as error:
            unreadable[name] = reason(error)
        else:
            sizes[name] = header.width, header.height
            grey = grey and header.is_grey
            if header.transparent:
                transparent.add(name)
            digest.update(f"{name}\0{length}\0".encode(errors="replace"))
            stamped.update(f"{name}\0{length}\0{stamp}\0".encode(errors="replace"))
    if not sizes:
        detail = f" ({len(unreadable)} cannot be read, such as {next(iter(unreadable))})" if unreadable else ""
        detail += f" ({left_out_text(left_out)})" if left_out else ""
        raise DataError(f"{path} holds no image that can be read{detail}. Put {UPLOAD_FORMATS_TEXT} files into it.")
    return ImageFolder(
        path,
        sizes,
        grey,
        unreadable,
        digest.hexdigest()[:16],
        stamped.hexdigest()[:16],
        left_out,
        frozenset(transparent),
        archive,
    )


def open_image_or_folder(path: Path) -> ImageFolder:
    """As `open_image_folder`. The path may also be that of one image, which is then the only one.

    Raises:
        DataError: as `open_image_folder`, or the image cannot be read.
    """
    if path.is_file() and not zipfile.is_zipfile(path):
        try:
            header = images.read_header(path)
        except UNREADABLE as error:
            raise DataError(f"{path} cannot be read: {reason(error)}. Name another image: {UPLOAD_FORMATS_TEXT}.") from error
        return ImageFolder(path.parent, {path.name: (header.width, header.height)}, header.is_grey, {})
    return open_image_folder(path)


def read_image(path: Path) -> Image.Image:
    """Read one image file, upright, RGB.

    Raises:
        DataError: the file does not exist or cannot be read.
    """
    if not path.is_file():
        raise DataError(f"{path} is not a file. Name an image: {UPLOAD_FORMATS_TEXT}.")
    try:
        return images.read_image(path)
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read: {reason(error)}. Name another image: {UPLOAD_FORMATS_TEXT}.") from error


def require_size(folder: ImageFolder, side: int, option: str, check: Sequence[str] = ()) -> None:
    """Refuse images with a side under `side` pixels: enlarged images would teach the network to blur.

    Args:
        folder: the images.
        side: the smallest allowed side in pixels.
        option: of the command line that lowers `side`, for the message.
        check: words of `check` with which it names the images, for the message; none: the message does not mention `check`.

    Raises:
        DataError: an image is smaller.
    """
    small = [name for name, size in folder.sizes.items() if min(size) < side]
    if small:
        smallest = min(min(size) for size in folder.sizes.values())
        shown = ", ".join(f"{name} ({folder.sizes[name][0]}x{folder.sizes[name][1]})" for name in small[:3])
        verb = "has" if len(small) == 1 else "have"
        raise DataError(
            f"{len(small)} of {len(folder.sizes)} images in {folder.path} {verb} a side under {side} pixels: {shown}"
            f"{', ...' if len(small) > 3 else ''}. Remove them, or train at a smaller size with {option} (the smallest side "
            f"is {smallest})." + (f" To check the images: {command('check', str(folder.path), *check)}" if check else "")
        )


def require_count(folder: ImageFolder, least: int) -> None:
    """Refuse fewer than `least` readable images.

    Raises:
        DataError: there are fewer.
    """
    if len(folder.sizes) < least:
        unreadable = f" ({len(folder.unreadable)} more cannot be read)" if folder.unreadable else ""
        count = count_of(len(folder.sizes), "readable image")
        raise DataError(f"{folder.path} holds {count}{unreadable}. At least {least} are needed. Add more.")


def nothing_decoded(folder: ImageFolder, noun: str, broken: Mapping[str, str]) -> DataError:
    """The error if no image of a folder can be decoded.

    Args:
        folder: has at least one image.
        noun: what its images are, in the singular.
        broken: name -> why this image cannot be decoded; at least one.
    """
    name, why = next(iter(broken.items()))
    return DataError(f"No {noun} in {folder.path} can be decoded ({name}: {why}). Put {UPLOAD_FORMATS_TEXT} files into it.")


def _files(folder: Path, unreadable: dict[str, str]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Name below the folder, size in bytes and modification time of every file. Follows links; notes unreadable folders."""

    def note(error: OSError) -> None:
        unreadable[Path(error.filename).relative_to(folder).as_posix() + "/"] = error.strerror or "cannot be read"

    seen: set[str] = set()
    for root, folders, files in os.walk(folder, onerror=note, followlinks=True):
        seen.add(os.path.realpath(root))
        folders[:] = [name for name in folders if os.path.realpath(Path(root, name)) not in seen]
        for name in files:
            file = Path(root, name)
            if file.is_file():
                status = file.stat()
                yield file.relative_to(folder).as_posix(), (status.st_size, status.st_mtime_ns)


def reason(error: BaseException) -> str:
    """Why an image cannot be read."""
    if isinstance(error, images.ImageFileError):
        return (
            f"{error.reason}: {first_line(error.__cause__)}" if error.reason == "broken" and error.__cause__ else error.reason
        )
    return first_line(error)

"""Any folder or zip of images, however nested. `ganvas.images` reads the files, as it does for the service.

pictures = open_image_folder(Path("photos"))            # a folder or a .zip, class folders or not
pictures.sizes, pictures.unreadable                 # what can be used, and what cannot, by name
picture = pictures.open(pictures.names[0], "RGB")   # upright, in sRGB, transparency on white
"""

import hashlib
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from PIL import Image
from rich.progress import track

from ganvas import images
from training.errors import DataError, first_line

Mode = Literal["L", "RGB"]
EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".webp"})
READABLE = "jpeg, png or webp"

UNREADABLE = Exception
"""What reading an image may raise: ganvas.images.ImageFileError, and nearly anything on a broken zip."""

_LARGEST_FILE = 512 * 2**20  # bytes, in a zip, where a few thousand may unpack to any size


@dataclass(frozen=True)
class ImageFolder:
    """The readable pictures of one folder or zip.

    Attributes:
        path: the folder or zip.
        sizes: name (path below the folder) -> (width, height) in pixels, upright; in sorted order of names.
        grey: every picture is grey.
        unreadable: name -> why it cannot be read.
        fingerprint: tells these pictures from others, by their names and sizes.
    """

    path: Path
    sizes: dict[str, tuple[int, int]]
    grey: bool
    unreadable: dict[str, str]
    fingerprint: str = ""
    _zip: zipfile.ZipFile | None = field(default=None, repr=False, compare=False)

    @property
    def names(self) -> list[str]:
        """Names of the readable pictures, sorted."""
        return list(self.sizes)

    def open(self, name: str, mode: Mode, at_least: tuple[int, int] | None = None) -> Image.Image:
        """Decode one picture.

        Args:
            name: one of `names`.
            mode: "L" for grey, "RGB" for colour, 8 bits a channel either way.
            at_least: (width, height) in pixels that suffice: a big jpeg is then decoded at a fraction of its size.

        Raises:
            Exception: an ImageFileError if the data behind a good header is broken; a broken zip raises nearly anything.
        """
        image = images.read_image(self._file(name), min_size=at_least)
        return image if mode == "RGB" else image.convert(mode)

    def _file(self, name: str) -> bytes | Path:
        return self.path / name if self._zip is None else self._zip.read(name)


def open_image_folder(path: Path) -> ImageFolder:
    """Find every picture below a folder or in a zip and read its header.

    Raises:
        DataError: the path does not exist, is neither folder nor zip, or holds not one readable picture.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist. Name a folder or a .zip of pictures ({READABLE}).")
    unreadable: dict[str, str] = {}
    archive = None
    if path.is_dir():
        found = dict(_files(path, unreadable))
    elif zipfile.is_zipfile(path):
        try:
            archive = zipfile.ZipFile(path)
            found = {info.filename: info.file_size for info in archive.infolist() if not info.is_dir()}
        except UNREADABLE as error:
            raise DataError(f"{path} is a broken zip: {first_line(error)}. Make it again, or name a folder.") from error
    else:
        raise DataError(f"{path} is neither a folder nor a zip. Name a folder or a .zip of pictures ({READABLE}).")

    candidates = ImageFolder(path, {}, grey=False, unreadable={}, _zip=archive)
    sizes: dict[str, tuple[int, int]] = {}
    digest = hashlib.sha256()
    grey = True
    for name in track(sorted(filter(_looks_like_a_picture, found)), description="Reading pictures", transient=True):
        if archive is not None and found[name] > _LARGEST_FILE:
            unreadable[name] = f"over {_LARGEST_FILE >> 20} MiB unpacked"
            continue
        try:
            header = images.read_header(candidates._file(name))
        except UNREADABLE as error:
            unreadable[name] = reason(error)
        else:
            sizes[name] = header.width, header.height
            grey = grey and header.is_grey
            digest.update(f"{name}\0{found[name]}\0".encode(errors="replace"))
    if not sizes:
        detail = f" ({len(unreadable)} cannot be read, such as {next(iter(unreadable))})" if unreadable else ""
        raise DataError(f"{path} holds no picture that can be read{detail}. Put {READABLE} files into it.")
    return ImageFolder(path, sizes, grey, unreadable, digest.hexdigest()[:16], archive)


def read_image(path: Path) -> Image.Image:
    """One picture file, upright, RGB.

    Raises:
        DataError: it does not exist, or cannot be read.
    """
    if not path.is_file():
        raise DataError(f"{path} is no file. Name a picture: {READABLE}.")
    try:
        return images.read_image(path)
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read: {reason(error)}. Name another picture: {READABLE}.") from error


def require_size(pictures: ImageFolder, side: int, option: str) -> None:
    """Refuse pictures with a side under `side` pixels: enlarging them would teach the network to blur.

    Raises:
        DataError: names some of them, and the option that would let them in.
    """
    small = [name for name, size in pictures.sizes.items() if min(size) < side]
    if small:
        smallest = min(min(size) for size in pictures.sizes.values())
        shown = ", ".join(f"{name} ({pictures.sizes[name][0]}x{pictures.sizes[name][1]})" for name in small[:3])
        raise DataError(
            f"{len(small)} of {len(pictures.sizes)} pictures in {pictures.path} have a side under {side} pixels: {shown}"
            f"{', ...' if len(small) > 3 else ''}. Take them out, or train smaller with {option} (the smallest side here "
            f"is {smallest})."
        )


def require_count(pictures: ImageFolder, least: int) -> None:
    """Refuse fewer than `least` readable pictures.

    Raises:
        DataError: says how many there are and how many it takes.
    """
    if len(pictures.sizes) < least:
        unreadable = f" ({len(pictures.unreadable)} more cannot be read)" if pictures.unreadable else ""
        raise DataError(
            f"{pictures.path} holds {len(pictures.sizes)} readable pictures{unreadable}; this takes at least {least}. Add more."
        )


def _files(folder: Path, unreadable: dict[str, str]) -> Iterator[tuple[str, int]]:
    """Name below the folder and bytes of every file, through links as well; folders that cannot be read are noted."""

    def note(error: OSError) -> None:
        unreadable[Path(error.filename).relative_to(folder).as_posix() + "/"] = error.strerror or "cannot be read"

    seen: set[str] = set()
    for root, folders, files in os.walk(folder, onerror=note, followlinks=True):
        seen.add(os.path.realpath(root))
        folders[:] = [name for name in folders if os.path.realpath(Path(root, name)) not in seen]
        for name in files:
            file = Path(root, name)
            if file.is_file():
                yield file.relative_to(folder).as_posix(), file.stat().st_size


def _looks_like_a_picture(name: str) -> bool:
    """Whether the name says so; macOS puts `._` companions and a __MACOSX folder beside real pictures."""
    path = PurePosixPath(name)
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith("._") and "__MACOSX" not in path.parts


def reason(error: BaseException) -> str:
    """Why an image cannot be read, in words."""
    if isinstance(error, images.ImageFileError):
        return (
            f"{error.reason}: {first_line(error.__cause__)}" if error.reason == "broken" and error.__cause__ else error.reason
        )
    return first_line(error)

"""Images out: the response of a POST route as PIL images, as an array, or as the file that was received."""

import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, overload

from PIL import Image, ImageSequence

from ganvas.api import FILE_TYPES, IMAGE_FORMATS
from ganvas.errors import UnexpectedResponseError
from ganvas.files import write_whole
from ganvas.limits import MIB, NO_LIMIT, Limit
from ganvas.npy import MAGIC, layout_of
from ganvas.text import printable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

NPY = FILE_TYPES["npy"].media_type
ZIP = FILE_TYPES["zip"].media_type
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # Python unpacks the others without a limit

SIGNATURES = {
    "png": b"\x89PNG\r\n\x1a\n",
    "jpeg": b"\xff\xd8\xff",
    "gif": b"GIF8",
    "zip": b"PK\x03\x04",
    "npy": MAGIC,
}
PILLOW_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")  # its other readers, such as that of EPS, run other programs
MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # by channels
ZIP_ENTRY = b"PK\x01\x02"  # in a zip's directory
CHANCE_ENTRIES = 1000


def format_of(content: bytes) -> str | None:
    """The format of a file by its first bytes, as `ganvas.api.FILE_TYPES` names it, or None."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    return next((name for name, start in SIGNATURES.items() if content.startswith(start)), None)


@dataclass(frozen=True)
class ImageResult(Sequence[Image.Image]):
    """One or more images that the service made: a sequence of PIL images.

    Attributes:
        content: the body of the response: a PNG, JPEG, WebP, GIF, zip or .npy file.
        media_type: the type of the content, such as `image/png`.
        model: name of the model.
        version: version of the model's file.
        seeds: these make the same images again: the seed or seeds of a sample, the keys of an interpolation. Empty if latents
            were given or nothing is random.
        filename: a name for the file, made of the model or photo and the seeds. It is safe on every system.
        request_id: identifies the request in the service's log.
        limit: what the result may hold, so that a hostile service cannot fill the memory.
    """

    content: bytes
    media_type: str
    model: str
    version: str
    seeds: tuple[int, ...] = ()
    filename: str = ""
    request_id: str | None = None
    limit: Limit = field(default=NO_LIMIT, repr=False)

    @overload
    def __getitem__(self, index: int) -> Image.Image: ...
    @overload
    def __getitem__(self, index: slice) -> list[Image.Image]: ...
    def __getitem__(self, index: int | slice) -> Image.Image | list[Image.Image]:
        return self.images[index]

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[Image.Image]:
        return iter(self.images)

    def __repr__(self) -> str:
        seeds = f", seeds={self.seeds}" if self.seeds else ""
        return f"ImageResult({len(self.content)} bytes of {self.media_type} by {self.model}@{self.version}{seeds})"

    @property
    def seed(self) -> int | None:
        """The seed of a sample, or None."""
        return self.seeds[0] if self.seeds else None

    @property
    def image(self) -> Image.Image:
        """The first image."""
        return self.images[0]

    @cached_property
    def images(self) -> list[Image.Image]:
        """Every image, decoded: mode L if the model is grey, RGBA if the image has transparency, otherwise RGB.

        A contact sheet is one image.

        Raises:
            UnexpectedResponseError: the content cannot be read.
        """
        try:
            return list(self._decoded())
        except UnexpectedResponseError:
            raise
        except Exception as error:
            # A broken file makes Pillow and zipfile raise nearly anything.
            raise self._broken(self.media_type, error) from error

    @property
    def array(self) -> "npt.NDArray[np.uint8]":
        """The images as one array, uint8 [n, h, w, c]. Needs numpy (`pip install "ganvas[numpy]"`).

        Raises:
            ModuleNotFoundError: numpy is not installed.
            UnexpectedResponseError: the content cannot be read.
        """
        import numpy as np

        if self.media_type == NPY:
            try:
                layout = layout_of(self.content)
            except ValueError as error:
                raise self._broken(self.media_type, error) from error
            pixels = np.frombuffer(self.content, np.uint8, offset=layout.start)
            return pixels.reshape(layout[1:]).copy()
        stacked = np.stack([np.asarray(image) for image in self.images])
        return stacked if stacked.ndim == 4 else stacked[..., None]

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the content as received, completely or not at all. `images[0].save(...)` writes another format.

        Raises:
            OSError: the file cannot be written.
        """
        write_whole(Path(path), self.content)
        return Path(path)

    def files(self) -> list[bytes]:
        """The image files of a zip in order, or else the content alone.

        Raises:
            UnexpectedResponseError: the zip cannot be read, or holds anything but the images that were asked for.
        """
        if self.media_type != ZIP:
            return [self.content]
        try:
            return self._unzipped()
        except Exception as error:
            # A broken zip makes zipfile raise BadZipFile, NotImplementedError, RuntimeError, zlib.error...
            raise self._broken("zip", error) from error

    def _unzipped(self) -> list[bytes]:
        too_many = ValueError(f"it holds more files than were requested ({self.limit.images})")
        # Count before zipfile makes an object for each entry. Pixels may look like an entry by chance.
        if self.content.count(ZIP_ENTRY) > self.limit.images + CHANCE_ENTRIES:
            raise too_many
        with zipfile.ZipFile(io.BytesIO(self.content)) as zipped:
            entries = zipped.infolist()
            if len(entries) > self.limit.images:
                raise too_many
            self._check_size(sum(entry.file_size for entry in entries))
            if any(entry.compress_type not in PACKINGS for entry in entries):
                raise ValueError("it is compressed in a way that the service does not use")
            files = [zipped.read(entry) for entry in entries]
        if any(format_of(file) not in IMAGE_FORMATS for file in files):
            raise ValueError("it holds a file that is not an image")
        return files

    def _check_size(self, size: int) -> None:
        if size > self.limit.bytes:
            raise ValueError(f"it holds more than {self.limit.bytes / MIB:.0f} MiB, the limit for this request")

    def _broken(self, kind: str, error: Exception) -> UnexpectedResponseError:
        reason = printable(str(error), 300) or type(error).__name__
        return UnexpectedResponseError(
            f"The service returned a {kind} that cannot be read: {reason}", request_id=self.request_id
        )

    def _decoded(self) -> Iterator[Image.Image]:
        count = size = 0
        for image in self._frames():
            mode = image.mode if image.mode in MODES.values() else "RGB"
            count, size = count + 1, size + image.width * image.height * len(mode)
            if count > self.limit.images:
                raise ValueError(f"it holds more images than were requested ({self.limit.images})")
            self._check_size(size)  # before `convert`, which decodes
            yield image.convert(mode)

    def _frames(self) -> Iterator[Image.Image]:
        if self.media_type == NPY:
            yield from _images_of_npy(self.content, self.limit)
            return
        for data in self.files():
            with Image.open(io.BytesIO(data), formats=PILLOW_FORMATS) as image:
                yield from ImageSequence.Iterator(image)


def _images_of_npy(data: bytes, limit: Limit) -> Iterator[Image.Image]:
    start, n, height, width, channels = layout_of(data)
    size = height * width * channels
    for i in range(min(n, limit.images + 1)):
        pixels = data[start + i * size : start + (i + 1) * size]
        yield Image.frombytes(MODES[channels], (width, height), pixels)

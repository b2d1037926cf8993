"""Images out: the response of a POST route as PIL images, as an array, or as the file that was received."""

import ast
import io
import struct
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, overload

from PIL import Image, ImageSequence

from ganvas.api import FILE_TYPES
from ganvas.errors import UnexpectedResponseError
from ganvas.files import write_whole

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

NPY = FILE_TYPES["npy"].media_type
ZIP = FILE_TYPES["zip"].media_type


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
        filename: the name that the service suggests.
        request_id: identifies the request in the service's log.
    """

    content: bytes
    media_type: str
    model: str
    version: str
    seeds: tuple[int, ...] = ()
    filename: str = ""
    request_id: str | None = None

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
        """Every image, decoded: mode L if the model is grey, otherwise RGB. A contact sheet is one image.

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
        """The images as one array, uint8 [n, h, w, c]. Needs numpy (`pip install "ganvas[numpy]"`)."""
        import numpy as np

        if self.media_type == NPY:
            pixels: npt.NDArray[np.uint8] = np.load(io.BytesIO(self.content), allow_pickle=False)
            return pixels
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
        """The files of a zip in order, or else the content alone.

        Raises:
            UnexpectedResponseError: the zip cannot be read.
        """
        if self.media_type != ZIP:
            return [self.content]
        try:
            with zipfile.ZipFile(io.BytesIO(self.content)) as zipped:
                return [zipped.read(entry) for entry in zipped.infolist()]
        except zipfile.BadZipFile as error:
            raise self._broken("zip", error) from error

    def _broken(self, kind: str, error: Exception) -> UnexpectedResponseError:
        return UnexpectedResponseError(
            f"The service returned a {kind} that cannot be read: {error}", request_id=self.request_id
        )

    def _decoded(self) -> Iterator[Image.Image]:
        if self.media_type == NPY:
            yield from _images_of_npy(self.content)
            return
        for data in self.files():
            with Image.open(io.BytesIO(data)) as image:
                for frame in ImageSequence.Iterator(image):
                    yield frame.convert("L" if image.mode == "L" else "RGB")


def _images_of_npy(data: bytes) -> Iterator[Image.Image]:
    """Read a .npy file of uint8 [n, h, w, c] without numpy, which this package does not require.

    The format is numpy's NEP 1: a magic number, a version, the header's length, the header as a Python dict, the pixels.
    """
    if data[:6] != b"\x93NUMPY":
        raise ValueError("not a .npy file")
    start, width = (10, "<H") if data[6] == 1 else (12, "<I")
    end = start + struct.unpack_from(width, data, 8)[0]
    header = ast.literal_eval(data[start:end].decode("latin-1"))
    n, height, width_px, channels = header["shape"]
    if header["descr"] != "|u1" or header["fortran_order"] or channels not in (1, 3):
        raise ValueError(f"not images: {header}")
    size = height * width_px * channels
    if len(data) - end != n * size:
        raise ValueError(f"{len(data) - end} bytes of pixels, not the {n * size} of {header['shape']}")
    for i in range(n):
        pixels = data[end + i * size : end + (i + 1) * size]
        yield Image.frombytes("L" if channels == 1 else "RGB", (width_px, height), pixels)

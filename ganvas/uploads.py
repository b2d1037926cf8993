"""Images in: turns a caller's image, of any accepted type, into the bytes of a file."""

import io
import os
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from PIL import Image, ImageOps


class ArrayLike(Protocol):
    """Arrays of numpy, and of other libraries that follow its array interface."""

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """Shape, type and memory, as numpy's manual defines them."""


class Readable(Protocol):
    """A file that is open for reading bytes."""

    def read(self) -> bytes:
        """The rest of the file."""


ImageSource = str | os.PathLike[str] | bytes | bytearray | memoryview | Readable | Image.Image | ArrayLike
"""An image: a path, the bytes of an image file, an open file, a PIL image, or uint8 [h, w], [h, w, 1 or 3 or 4]."""

WRITABLE_MODES = ("1", "L", "LA", "P", "RGB", "RGBA")  # PIL's modes that an 8-bit PNG can hold
ALLOWED = "a path, bytes, an open binary file, a PIL image, or an array uint8 [h, w] or [h, w, 1, 3 or 4]"


class Upload(NamedTuple):
    """A file to send: its name and its bytes."""

    name: str
    data: bytes


def upload_of(image: ImageSource) -> Upload:
    """Turn an image into a file. Files are sent unchanged; PIL images and arrays as PNG, without loss.

    Raises:
        OSError: the path cannot be read.
        TypeError: the type is not accepted.
        ValueError: the shape of an array is not accepted, or the file is empty.
    """
    upload = _upload_of(image)
    if not upload.data:
        raise ValueError(f"{upload.name} is empty. Choose a file that holds an image.")
    return upload


def _upload_of(image: ImageSource) -> Upload:
    if isinstance(image, str | os.PathLike):
        path = Path(image)
        # On Linux a name may contain any bytes; in a form it must be text.
        return Upload(path.name.encode("utf-8", "replace").decode(), path.read_bytes())
    if isinstance(image, bytes | bytearray | memoryview):
        return Upload("image", bytes(image))
    if isinstance(image, Image.Image):
        # PIL keeps the EXIF orientation beside the pixels, and this PNG would lose it.
        return Upload(_name(getattr(image, "filename", "")), _png(ImageOps.exif_transpose(image)))
    if hasattr(image, "__array_interface__"):
        return Upload("array", _png(_from_array(image)))
    if hasattr(image, "read"):
        data = image.read()
        if not isinstance(data, bytes | bytearray):
            raise TypeError("The file is open in text mode. Open it with mode 'rb'.")
        return Upload(_name(getattr(image, "name", "")), bytes(data))
    raise TypeError(f"An image must be {ALLOWED}, not {type(image).__name__}")


def _name(name: object) -> str:
    """The name of a file, or `image` if it has none: file descriptors have numbers, and PIL images often no name."""
    return (isinstance(name, str) and Path(name).name) or "image"


def _png(image: Image.Image) -> bytes:
    if image.mode not in WRITABLE_MODES:
        image = image.convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, "png", compress_level=1)
    return buffer.getvalue()


def _from_array(array: Any) -> Image.Image:
    interface = array.__array_interface__
    shape, kind = tuple(interface["shape"]), interface["typestr"]
    if kind != "|u1" or not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4))) or 0 in shape:
        raise ValueError(f"An array must be uint8 [h, w] or [h, w, 1, 3 or 4], not {list(shape)} of type {kind}")
    return Image.fromarray(array[:, :, 0] if shape[2:] == (1,) else array)

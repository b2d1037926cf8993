"""Decodes WebP files without Python's lock, with the libwebp that Pillow brings.

Pillow's own WebP decoder holds the lock until it has decoded the image. This takes seconds for a large image, and no other
thread of the process runs in that time: a service answers nobody. `ctypes` releases the lock during a call. The calls are the
same as in Pillow's decoder, so the pixels are the same.

If Pillow was built with libwebp inside its own module, as on Windows, the functions cannot be found. Then Pillow decodes.
"""

import ctypes
import functools

from PIL import Image

from ganvas.formats.limits import UnreadableImageError

# WEBP_DECODER_ABI_VERSION and WEBP_DEMUX_ABI_VERSION: the versions of the structures below. libwebp refuses others.
_DECODER_ABI = 0x0209
_DEMUX_ABI = 0x0107

_SAMPLE = bytes.fromhex("5249464620000000574542505650384c140000002f00000000075081540820000a9afec78888fe07")  # one pixel


class _Data(ctypes.Structure):
    """WebPData."""

    _fields_ = (("bytes", ctypes.c_char_p), ("size", ctypes.c_size_t))


class _Features(ctypes.Structure):
    """WebPBitstreamFeatures."""

    _fields_ = (
        ("width", ctypes.c_int),
        ("height", ctypes.c_int),
        ("has_alpha", ctypes.c_int),
        ("has_animation", ctypes.c_int),
        ("format", ctypes.c_int),
        ("padding", ctypes.c_uint32 * 5),
    )


class Libwebp:
    """The functions of libwebp that decode the first image of a file.

    Raises:
        ImportError: Pillow has no WebP.
        AttributeError: the functions cannot be found.
    """

    def __init__(self) -> None:
        from PIL import _webp

        # The handle of a library also finds the functions of the libraries that it is linked with.
        library = ctypes.CDLL(_webp.__file__)
        self.features = library.WebPGetFeaturesInternal
        self.features.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(_Features), ctypes.c_int)
        self.open = library.WebPAnimDecoderNewInternal
        self.open.argtypes = (ctypes.POINTER(_Data), ctypes.c_void_p, ctypes.c_int)
        self.open.restype = ctypes.c_void_p
        self.next = library.WebPAnimDecoderGetNext
        self.next.argtypes = (ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_int))
        self.close = library.WebPAnimDecoderDelete
        self.close.argtypes = (ctypes.c_void_p,)
        self.close.restype = None

    def decode(self, file: bytes, size: tuple[int, int]) -> Image.Image:
        """The first image of a file, in mode RGB or RGBA.

        Args:
            file: complete.
            size: width and height in pixels that the file must have.

        Raises:
            UnreadableImageError: the file is broken.
        """
        features = _Features()
        if self.features(file, len(file), ctypes.byref(features), _DECODER_ABI):
            raise UnreadableImageError("broken")
        if (features.width, features.height) != size:
            raise UnreadableImageError("broken: it states two sizes")
        decoder = self.open(ctypes.byref(_Data(file, len(file))), None, _DEMUX_ABI)
        if not decoder:
            raise UnreadableImageError("broken")
        try:
            canvas, end_ms = ctypes.c_void_p(), ctypes.c_int()
            if not self.next(decoder, ctypes.byref(canvas), ctypes.byref(end_ms)) or not canvas.value:
                raise UnreadableImageError("broken")
            pixels = (ctypes.c_ubyte * (4 * size[0] * size[1])).from_address(canvas.value)
            mode = "RGBA" if features.has_alpha else "RGBX"
            image = Image.frombuffer(mode, size, pixels, "raw", mode, 0, 1)  # type: ignore[arg-type]  # it takes any buffer
            return image.copy() if features.has_alpha else image.convert("RGB")  # the canvas ends with the decoder
        finally:
            self.close(decoder)


@functools.cache
def libwebp() -> Libwebp | None:
    """What decodes; None if Pillow has to."""
    try:
        found = Libwebp()
        found.decode(_SAMPLE, (1, 1))  # fails if the versions of the structures differ
    except (ImportError, OSError, AttributeError, UnreadableImageError):
        return None
    return found

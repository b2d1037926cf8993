"""Colours from an image's ICC profile to sRGB, which models are trained on and browsers show.

An image is read as sRGB if it has no profile, or if its profile is broken or for other colours, as in browsers.
"""

import functools
import io
import itertools
from typing import Literal

from PIL import Image, ImageChops, ImageCms

from ganvas.formats.limits import MAX_PROFILE_BYTES

Colours = Literal["L", "RGB", "CMYK"]

CACHED_PROFILES = 16  # a handful of cameras and programs write nearly all profiles
CLOSE = 2  # grey levels: a profile that changes no colour by more counts as sRGB

_SUITABLE = {"L": ("L", "RGB"), "RGB": ("RGB",), "CMYK": ("CMYK",)}
_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}


class SrgbTransform:
    """The transform from a profile's colours to sRGB.

    Attributes:
        mode: the mode of the images that it takes: RGB, L or CMYK.
        needless: whether no colour changes visibly.

    Raises:
        PyCMSError, OSError, ValueError: the profile is broken.
        KeyError: the profile is of another colour space.
    """

    def __init__(self, profile: bytes) -> None:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        self.mode = _MODES[source.profile.xcolor_space]
        target = ImageCms.createProfile("sRGB")
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
        self._transform = ImageCms.buildTransform(source, target, self.mode, "RGB", intent, flags)
        self.needless = self._is_needless()

    def apply(self, image: Image.Image) -> Image.Image:
        """Convert an image of `mode` to sRGB, mode RGB."""
        converted = ImageCms.applyTransform(image, self._transform)
        if converted is None:
            raise ImageCms.PyCMSError("the transform returned no image")
        return converted

    def _is_needless(self) -> bool:
        if self.mode == "CMYK":
            return False
        levels = range(0, 256, 51)
        colours = bytes(itertools.chain.from_iterable(itertools.product(levels, repeat=3)))
        probe = Image.frombytes("RGB", (len(colours) // 3, 1), colours).convert(self.mode)
        difference = ImageChops.difference(self.apply(probe), probe.convert("RGB"))
        return max(difference.tobytes()) <= CLOSE


@functools.lru_cache(CACHED_PROFILES)
def _transform_of(profile: bytes) -> SrgbTransform | None:
    """None if the profile cannot be used or already means sRGB."""
    try:
        transform = SrgbTransform(profile)
    except (ImageCms.PyCMSError, KeyError, OSError, ValueError):
        return None
    return None if transform.needless else transform


def srgb_transform(profile: bytes | None, colours: Colours) -> SrgbTransform | None:
    """The transform from an image's colours to sRGB. None if the image is read as sRGB.

    Args:
        profile: of the image.
        colours: of the image as stored. A profile for other colours is ignored, as in browsers. A profile for RGB also applies
            to a grey image, whose colours have equal red, green and blue.
    """
    transform = _transform_of(profile) if profile and len(profile) <= MAX_PROFILE_BYTES else None
    return transform if transform and transform.mode in _SUITABLE[colours] else None


def to_srgb(image: Image.Image, transform: SrgbTransform | None) -> Image.Image:
    """Convert a loaded image to sRGB: RGB, or RGBA if it has transparency.

    Without a transform, Pillow's own conversion makes RGB of the other modes.
    """
    has_transparency = image.has_transparency_data
    if transform is None:
        return as_mode(image, "RGBA" if has_transparency else "RGB")
    if not has_transparency:
        return transform.apply(as_mode(image, transform.mode))
    rgba = as_mode(image, "RGBA")
    converted = transform.apply(rgba.convert(transform.mode))
    converted.putalpha(rgba.getchannel("A"))
    return converted


def as_mode(image: Image.Image, mode: str) -> Image.Image:
    """Convert an image. Unlike Pillow's `convert`, an image that has the mode is not copied."""
    return image if image.mode == mode else image.convert(mode)

"""Colours from an image's ICC profile to sRGB, which models are trained on and browsers show.

An image without a profile is read as sRGB. So is an image whose profile is broken, as browsers do.
"""

import functools
import io
import itertools

from PIL import Image, ImageChops, ImageCms

MAX_PROFILE_BYTES = 4 * 2**20  # profiles of printers have up to about three million
CACHED_PROFILES = 16  # a handful of cameras and programs write nearly all profiles
CLOSE = 2  # grey levels: a profile that changes no colour by more counts as sRGB

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


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert a loaded image from its profile's colours to sRGB: RGB, or RGBA if it has transparency.

    Without a usable profile, Pillow's own conversion makes RGB of the other modes.
    """
    transform = _transform_of(profile) if profile and len(profile) <= MAX_PROFILE_BYTES else None
    has_transparency = image.has_transparency_data
    if transform is None:
        return image.convert("RGBA" if has_transparency else "RGB")
    if not has_transparency:
        return transform.apply(image.convert(transform.mode))
    rgba = image.convert("RGBA")
    converted = transform.apply(rgba.convert(transform.mode))
    converted.putalpha(rgba.getchannel("A"))
    return converted

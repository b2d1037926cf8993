"""Colours of an upload as its profile means them, in sRGB: what models are trained on and browsers show.

A picture without a profile is taken for sRGB; so is one whose profile is broken, as browsers do.
"""

import functools
import io
import itertools

import numpy as np
from PIL import Image, ImageCms

LARGEST_PROFILE = 4 * 2**20  # bytes; printers' profiles have up to about three million
KEPT = 16  # profiles whose way to sRGB is remembered: a handful of cameras and programs makes nearly all
CLOSE = 2  # grey levels: a profile that moves no colour further is sRGB by another name

_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}


class _Way:
    """From a profile's colours to sRGB."""

    def __init__(self, profile: bytes) -> None:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        self.mode = _MODES[source.profile.xcolor_space]
        target = ImageCms.createProfile("sRGB")
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
        self._transform = ImageCms.buildTransform(source, target, self.mode, "RGB", intent, flags)
        self.needless = self._is_needless()

    def walk(self, image: Image.Image) -> Image.Image:
        """The picture in sRGB."""
        moved = ImageCms.applyTransform(image, self._transform)
        if moved is None:
            raise ImageCms.PyCMSError("no picture came back")
        return moved

    def _is_needless(self) -> bool:
        if self.mode == "CMYK":
            return False
        levels = np.linspace(0, 255, 6).astype(np.uint8)
        colours = np.array(list(itertools.product(levels, repeat=3)), np.uint8)[None]
        probe = Image.fromarray(colours).convert(self.mode)
        return bool(np.abs(np.asarray(self.walk(probe), np.int16) - np.asarray(probe.convert("RGB"), np.int16)).max() <= CLOSE)


@functools.lru_cache(KEPT)
def _way(profile: bytes) -> _Way | None:
    """None where a profile cannot be used, or means sRGB."""
    try:
        way = _Way(profile)
    except (ImageCms.PyCMSError, KeyError, OSError, ValueError):
        return None
    return None if way.needless else way


def in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """A loaded picture with the colours that its profile means, as RGB, or as RGBA where it has transparency.

    Without a usable profile, Pillow's own conversion makes RGB of the other modes.
    """
    way = _way(profile) if profile and len(profile) <= LARGEST_PROFILE else None
    transparent = image.has_transparency_data
    if way is None:
        return image.convert("RGBA" if transparent else "RGB")
    if not transparent:
        return way.walk(image.convert(way.mode))
    shown = image.convert("RGBA")
    moved = way.walk(shown.convert(way.mode))
    moved.putalpha(shown.getchannel("A"))
    return moved

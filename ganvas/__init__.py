"""Ganvas: from a folder of images to pictures over HTTP.

    import ganvas

    with ganvas.Client("http://localhost:3000") as client:
        client.stylize("photo.jpg", style="starry-night").save("painted.jpg")

What `ganvas.sdk` lists is here too, loaded when it is first used: the service and training import `ganvas.card` alone, and
are not made to load a client with it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganvas.sdk import *  # noqa: F403


def __getattr__(name: str) -> object:
    if name[:1].isupper():  # as all of them are, and no module is
        sdk = import_module("ganvas.sdk")
        if name in sdk.__all__:
            return getattr(sdk, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

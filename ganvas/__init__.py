"""Ganvas: from a folder of images to a service that makes images.

    import ganvas

    with ganvas.Client("http://localhost:3000") as client:
        client.stylize("photo.jpg", style="starry-night").save("painted.jpg")

The names of `ganvas.sdk` are available here and load when they are first used. So the service and training, which import only
modules such as `ganvas.card`, do not load a client.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganvas.sdk import *  # noqa: F403


def __getattr__(name: str) -> object:
    if name[:1].isupper():  # as all names of the SDK do, and no module
        sdk = import_module("ganvas.sdk")
        if name in sdk.__all__:
            return getattr(sdk, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

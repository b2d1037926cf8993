"""The versions of this code and of the libraries that images and speed depend on."""

import functools
import importlib.metadata

import onnxruntime


@functools.cache
def versions() -> dict[str, str]:
    """Versions by name of package."""
    installed = {name: _installed(name) for name in ("ganvas", "bentoml", "numpy", "pillow")}
    return {**installed, "onnxruntime": onnxruntime.__version__}


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # a checkout without installation
        return "unknown"

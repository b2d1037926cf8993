"""The versions of what answers: this code, and the runtime and libraries that its pictures and speed depend on."""

import functools
import importlib.metadata

import onnxruntime


@functools.cache
def versions() -> dict[str, str]:
    """By name."""
    installed = {name: _installed(name) for name in ("ganvas", "bentoml", "numpy", "pillow")}
    return {**installed, "onnxruntime": onnxruntime.__version__}


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # a checkout that was not installed
        return "unknown"

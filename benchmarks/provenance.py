"""The machine and the versions that a measurement depends on."""

import importlib.metadata
import os
import platform
from collections.abc import Callable
from pathlib import Path

from service.settings import ROOT

CONSTRAINTS = ROOT / "constraints.txt"


def pinned(*packages: str) -> tuple[str, ...]:
    """Requirements with the versions that Ganvas is pinned to, so that other servers are measured with the same versions.

    Args:
        packages: names as constraints.txt writes them, extras allowed: `uvicorn[standard]`.

    Raises:
        KeyError: constraints.txt pins no such package.
    """
    pins = dict(line.split("==") for line in CONSTRAINTS.read_text().splitlines() if "==" in line)
    return tuple(f"{package}=={pins[package.partition('[')[0]]}" for package in packages)


def installed(package: str) -> str:
    """Version of a package in the environment of this process. For onnxruntime, either build counts."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        if package == "onnxruntime":
            return importlib.metadata.version("onnxruntime-gpu")
        raise


def measured_on(version: Callable[[str], str] = installed) -> str:
    """The machine and the versions of the measured service, for the head of a table.

    Args:
        version: returns the version of a package in the environment of the service. Default: the environment of this process.
    """
    packages = ", ".join(f"{title} {version(title.lower())}" for title in ("Ganvas", "onnxruntime", "BentoML"))
    return f"{machine()}; {packages}, Python {platform.python_version()}."


def machine() -> str:
    """Name of the processor and number of cores that this process may use."""
    names = [line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores ({names[0] if names else platform.processor() or platform.machine()})"


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.is_file() else []

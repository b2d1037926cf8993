"""Builds and mounts images with buildah, which needs no daemon. Run this as root or inside `buildah unshare`."""

import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
IMAGE = "localhost/ganvas:container-test"
STAND_IN = "localhost/ganvas-base:container-test"
BUILD = (
    "build", "--isolation", "chroot", "--format", "docker", "--layers",
    # If a proxy is between this machine and the package index, the machine has its certificate.
    "--volume", "/etc/ssl/certs:/etc/ssl/certs:ro",
)  # fmt: skip


def buildah(*arguments: str) -> str:
    """Run buildah and return its stdout without the last newline."""
    return _run(*arguments).stdout.rstrip("\n")


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(["buildah", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"buildah {' '.join(arguments)}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done


def base_image() -> str:
    """The base image of the Dockerfile. If it cannot be pulled: a stand-in with the same Debian and Python."""
    match = re.search(r"^ARG BASE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert match
    for known in (match[1], STAND_IN):
        if subprocess.run(["buildah", "images", "--quiet", known], capture_output=True).returncode == 0:
            return known
    pulled = subprocess.run(["buildah", "pull", f"docker.io/library/{match[1]}"], capture_output=True, timeout=600)
    return match[1] if pulled.returncode == 0 else stand_in()


def stand_in(tag: str = STAND_IN) -> str:
    """Make a slim Debian with Python, with the commands of docs/container.md."""
    assert shutil.which("debootstrap"), (
        "No registry can be reached, and debootstrap is not installed. Install debootstrap to make a base image."
    )
    (commands,) = (block for block in shell_blocks("docs/container.md") if block.startswith("debootstrap "))
    assert commands.count(" ganvas-base\n") == 1
    with tempfile.TemporaryDirectory() as folder:
        command = ["bash", "-euc", commands.replace(" ganvas-base\n", f" {tag}\n")]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return tag


def shell_blocks(page: str) -> list[str]:
    """The blocks of commands in a page."""
    return re.findall(r"^```sh\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def build(target: str, folder: Path = ROOT, tag: str = IMAGE, revision: str = "unknown") -> str:
    """Build a target of the Dockerfile and return the output of buildah."""
    arguments = ["--build-arg", f"BASE={base_image()}", "--build-arg", f"REVISION={revision}", "--target", target, "--tag", tag]
    command = ["buildah", *BUILD, *arguments, str(folder)]
    # One stream, so that the output of a step follows its name.
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-6000:]}"
    return done.stdout


@dataclass(frozen=True)
class Opened:
    """The file system and the config of an image."""

    root: Path
    config: dict[str, Any]


class Mounted:
    """Mount an image inside a `with` block."""

    def __init__(self, image: str) -> None:
        self._image = image

    def __enter__(self) -> Opened:
        self._container = buildah("from", "--pull-never", self._image)
        root = Path(buildah("mount", self._container))
        inspected = json.loads(buildah("inspect", "--type", "image", self._image))
        return Opened(root, inspected["Docker"]["config"])

    def __exit__(self, *_: object) -> None:
        buildah("umount", self._container)
        buildah("rm", self._container)


def megabytes(root: Path) -> float:
    """Unpacked size of a file system in MB (a million bytes)."""
    done = subprocess.run(
        ["du", "--bytes", "--summarize", "--one-file-system", root], capture_output=True, text=True, check=True
    )
    return int(done.stdout.split()[0]) / 1e6

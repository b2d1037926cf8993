"""Runs an image as Kubernetes does with our manifests, but only with tools of Linux.

The image has its own user, no new privileges, a read-only root with a writable /tmp, and process 1 of its own PID namespace. It
shares the network of the machine.
"""

import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx

from tests.container.images import Opened

LIMIT_S = 120  # generous, because the machine may be busy

CONFINE = """
set -eu
mount --bind "$ROOT" "$ROOT"
mount -t proc proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
mount --rbind /sys "$ROOT/sys"
mount -t tmpfs -o size=1g,mode=1777 tmpfs "$ROOT/tmp"
mount -o remount,bind,ro "$ROOT"
exec env -i {environment} setpriv --no-new-privs chroot --userspec={user} --groups= "$ROOT" \
    /usr/bin/env --chdir={folder} -- {command}
"""


def confined(image: Opened, command: Sequence[str], **environment: str) -> list[str]:
    """The command line that runs a command in an image."""
    config = image.config
    variables = [*config["Env"], *(f"{name}={value}" for name, value in environment.items())]
    script = CONFINE.format(
        environment=shlex.join(variables), user=config["User"], folder=config["WorkingDir"], command=shlex.join(command)
    )
    # --kill-child would not work: the kernel drops it when setpriv changes the user.
    namespaces = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork"]
    return ["env", f"ROOT={image.root}", *namespaces, "sh", "-c", script]


def run(image: Opened, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in an image and wait for it."""
    return subprocess.run(confined(image, command, **environment), capture_output=True, text=True, timeout=LIMIT_S)


class Pod:
    """The running command of an image. It is ready when the constructor returns."""

    def __init__(self, image: Opened, folder: Path, *arguments: str, **environment: str) -> None:
        folder.mkdir(parents=True)
        self._err = folder / "stderr"
        self._out = folder / "stdout"
        self.started = time.monotonic()
        with self._out.open("w") as out, self._err.open("w") as err:
            self._unshare = subprocess.Popen(
                confined(image, [*image.config["Entrypoint"], *(image.config["Cmd"] or []), *arguments], **environment),
                stdout=out, stderr=err,
            )  # fmt: skip
        self.url = self._wait_until_ready()

    def stderr(self) -> str:
        return self._err.read_text()

    def process_1(self) -> int:
        """Process id, outside the pod, of process 1 of the pod."""
        # env has become unshare, which has one child.
        pid = self._unshare.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    def signal(self, number: int) -> None:
        subprocess.run(["kill", f"-{number}", str(self.process_1())], check=True)

    def wait(self, limit_s: float) -> int:
        return self._unshare.wait(limit_s)

    def kill(self) -> None:
        """Kill the pod if it still runs."""
        if self._unshare.poll() is None:
            self.signal(signal.SIGKILL)  # when process 1 dies, so do all processes of the pod
        self._unshare.wait()

    def status(self) -> dict[str, str]:
        """/proc/PID/status of process 1."""
        lines = Path(f"/proc/{self.process_1()}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def _wait_until_ready(self) -> str:
        while time.monotonic() < self.started + LIMIT_S and self._unshare.poll() is None:
            first = self._out.read_text().partition("\n")
            if first[1]:
                return first[0].removeprefix("Ganvas is ready: ")
            time.sleep(0.02)
        self.kill()
        raise AssertionError(f"the container did not start:\n{self.stderr()}")


def sample(url: str) -> httpx.Response:
    """Sample 4 digits from a seed."""
    return httpx.post(f"{url}/v1/sample", json={"model": "digits", "n": 4, "seed": 7}, timeout=LIMIT_S)


def stylize(url: str, photo: bytes, max_side: int = 256, sent: Callable[[], object] = lambda: None) -> httpx.Response:
    """Paint a photo. `sent` is called when the last byte of the request was sent."""

    def trace(event: str, _: object) -> None:
        if event == "http11.send_request_body.complete":
            sent()

    fields = {"model": "painters", "style": "great-wave", "max_side": str(max_side)}
    with httpx.Client(timeout=LIMIT_S) as client:
        request = client.build_request("POST", f"{url}/v1/stylize", data=fields, files={"image": photo})
        request.extensions["trace"] = trace
        return client.send(request)

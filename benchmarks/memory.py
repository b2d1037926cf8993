"""Measures the memory of the service in a memory cgroup: idle, with one caller, and under eight callers that want to fill it.

    python -m benchmarks.memory [--limit-mib 4096] [--seconds 60] [--table docs/container.md]

It needs Linux and root, because it makes the cgroup. The service has its default settings and the models in `exported/`.
"""

import contextlib
import io
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import httpx
import typer
from PIL import Image
from rich.console import Console

from benchmarks.command import run_command
from benchmarks.processes import service_process
from benchmarks.provenance import measured_on
from benchmarks.tables import replace_section
from ganvas.api import INTERPOLATE, STYLIZE
from service.settings import ROOT

SECTION = "memory"
CALLERS = 8
BOMB_SIDE = 7000  # pixels; just below the default of GANVAS_MAX_PIXELS
UPLOAD_BYTES = 31 * 2**20  # just below the default of GANVAS_MAX_BODY_MB
UPLOADS = 8  # of one caller at a time
PAUSE_S = 0.2  # after a rejection

Call = Callable[[httpx.Client], int]


def main(
    limit_mib: Annotated[int, typer.Option(min=256, help="Limit of the cgroup, as in deploy/overlays/cpu.")] = 4096,
    seconds: Annotated[float, typer.Option(min=1, help="Seconds of attack.")] = 60,
    table: Annotated[Path | None, typer.Option(help="Markdown file. The section of this benchmark is replaced.")] = None,
) -> None:
    """Measure the memory of the service."""
    with memory_group(limit_mib) as group:
        enter = ("sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$0" "$@"')
        with service_process(prefix=enter, drain_s=1) as service:
            peaks = {"it has started": _peak_mib(group)}
            with httpx.Client(base_url=service.url, timeout=120) as client:
                _photo()(client)
            peaks["one caller painted a photo at 2048 x 2048"] = _peak_mib(group)
            statuses = attack(service.url, seconds)
            peaks[f"{CALLERS} callers attacked it for {seconds:g} s"] = _peak_mib(group)
            service.stop()
        kills = _kills(group)
    lines = [f"{measured_on()} Limit of the cgroup: {limit_mib:,} MiB.", "", "| after | peak, MiB |", "| --- | ---: |"]
    lines += [f"| {what} | {mib:,} |" for what, mib in peaks.items()]
    counted = ", ".join(f"{count:,} with {status}" for status, count in sorted(statuses.items()))
    lines += ["", f"The kernel killed {kills} processes. Requests of the attack that were answered: {counted}."]
    text = "\n".join(lines)
    Console().print(text)
    if table:
        replace_section(table, SECTION, text)


@contextlib.contextmanager
def memory_group(limit_mib: int) -> Iterator[Path]:
    """Make a memory cgroup, of version 1 or 2, and remove it after the block."""
    root = Path("/sys/fs/cgroup")
    first = (root / "memory").is_dir()
    group = root / ("memory" if first else "") / f"ganvas-memory-{os.getpid()}"
    try:
        group.mkdir()
        (group / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(limit_mib * 2**20))
    except OSError as error:
        raise typer.BadParameter(f"{group} cannot be made: {error.strerror}. Run as root, with a memory cgroup.") from None
    try:
        yield group
    finally:
        for _ in range(100):
            try:
                group.rmdir()
                break
            except OSError:  # the kernel has not yet removed the processes
                time.sleep(0.1)


def attack(url: str, seconds: float) -> Counter[int]:
    """Let callers with addresses of their own fill the memory. Returns how their requests were answered."""
    end = time.monotonic() + seconds
    bombs = [_bomb("RGBA", "webp", lossless=True, quality=0, method=0), _bomb("RGBA", "png"), _bomb("CMYK", "jpeg")]
    bombs.append(_bomb("RGB", "jpeg", progressive=True, subsampling=0))
    calls: list[Call] = [_stylize([bomb]) for bomb in bombs]
    calls += [_stylize(bombs * 4), _walk]
    statuses: Counter[int] = Counter()

    def caller(number: int) -> None:
        transport = httpx.HTTPTransport(local_address=f"127.0.0.{number + 2}")
        with httpx.Client(base_url=url, transport=transport, timeout=120) as client:
            while time.monotonic() < end:
                status = calls[number](client)
                statuses[status] += 1
                if status != 200:
                    time.sleep(PAUSE_S)

    with ThreadPoolExecutor(CALLERS) as pool:
        for number in range(len(calls)):
            pool.submit(caller, number)
        for number in range(len(calls), CALLERS):
            pool.submit(_unfinished_uploads, url, f"127.0.0.{number + 2}", end)
    return statuses


def _unfinished_uploads(url: str, address: str, end: float) -> None:
    """Send bodies without their last byte, which the service keeps until they time out."""
    target = httpx.URL(url)
    head = f"POST {STYLIZE} HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=B\r\n"
    head += f"Content-Length: {UPLOAD_BYTES}\r\n\r\n"
    part = b'--B\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    almost_all = head.encode() + part + bytes(UPLOAD_BYTES - len(part) - 1)

    def one() -> None:
        while time.monotonic() < end:
            with (
                contextlib.suppress(OSError),
                socket.create_connection((target.host, target.port or 80), 5, (address, 0)) as sent,
            ):
                sent.sendall(almost_all)
                sent.settimeout(max(0.1, end - time.monotonic()))
                sent.recv(1)
            time.sleep(PAUSE_S)

    threads = [threading.Thread(target=one) for _ in range(UPLOADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _bomb(mode: str, image_format: str, **options: object) -> bytes:
    """A small file that is large to decode."""
    stream = io.BytesIO()
    Image.new(mode, (BOMB_SIDE, BOMB_SIDE), (1, 2, 3, 4)[: len(mode)]).save(stream, image_format, **options)
    return stream.getvalue()


def _photo() -> Call:
    stream = io.BytesIO()
    with Image.open(ROOT / "docs/images/photo.jpg") as photo:
        photo.resize((2048, 2048)).save(stream, "jpeg")
    return _stylize([stream.getvalue()])


def _stylize(images: list[bytes]) -> Call:
    files = [("image", image) for image in images]
    fields = {"model": "painters", "style": "starry-night", "max_side": "2048"}
    return lambda client: client.post(STYLIZE, data=fields, files=files).status_code


def _walk(client: httpx.Client) -> int:
    body = {"model": "toon-heads", "seeds": [1, 2, 3, 4], "steps": 120, "format": "gif"}
    return client.post(INTERPOLATE, json=body).status_code


def _peak_mib(group: Path) -> int:
    v1 = group / "memory.max_usage_in_bytes"
    return round(int((v1 if v1.exists() else group / "memory.peak").read_text()) / 2**20)


def _kills(group: Path) -> int:
    v1 = group / "memory.oom_control"
    text = (v1 if v1.exists() else group / "memory.events").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill "))


if __name__ == "__main__":
    run_command(main)

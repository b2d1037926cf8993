"""The memory of the real service under callers that want to fill it."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest
from PIL import Image

from service.engine.codecs import OpenUpload
from tests.service.conftest import image_bytes
from tests.service.http.test_telemetry import value
from tests.service.onnx_models import save, stylizer_card, stylizer_model
from tests.service.running import Running, running

MIB = 2**20
SIDE = 3000  # pixels
CALLERS = 8
UPLOADS_MB = 4
REST_MIB = 64  # the model's small images, threads, and what malloc keeps


def peak(service: Running) -> int:
    """The most memory that the worker has had, in bytes."""
    (worker,) = psutil.Process(service.process.pid).children()
    status = Path(f"/proc/{worker.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def uploads() -> list[bytes]:
    """Images that are small to send and large to decode, of every format."""
    return [
        image_bytes(Image.new("RGBA", (SIDE, SIDE), (1, 2, 3, 4)), "webp", lossless=True, quality=0, method=0),
        image_bytes(Image.new("RGBA", (SIDE, SIDE), (1, 2, 3, 4))),
        image_bytes(Image.new("RGB", (SIDE, SIDE), (1, 2, 3)), "jpeg", progressive=True),
        image_bytes(Image.new("CMYK", (SIDE, SIDE), (1, 2, 3, 4)), "jpeg"),
    ]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory of a process from /proc")
def test_memory_stays_within_the_documented_sum(tmp_path: Path) -> None:
    save(stylizer_model(), tmp_path / "painters.onnx", stylizer_card())
    files = uploads()
    largest = max(OpenUpload(file, name="photo", max_pixels=10**8, max_side=64).decode_bytes for file in files)
    memory_mb = largest * 3 // 2 // MIB  # one of the largest and one of the smaller ones
    options = {"codec_threads": 4, "max_image_memory_mb": memory_mb, "max_body_mb": 1, "max_uploads_mb": UPLOADS_MB}
    with running(tmp_path, tmp_path / "log", **options) as service:

        def call(i: int) -> list[int]:
            fields = {"style": "night", "max_side": "64"}
            with httpx.Client(base_url=service.url, timeout=60) as client:
                image = files[i % len(files)]
                return [client.post("/v1/stylize", files={"image": image}, data=fields).status_code for _ in range(6)]

        small = image_bytes(Image.new("RGB", (64, 64)))
        assert httpx.post(f"{service.url}/v1/stylize", files={"image": small}, data={"style": "night"}).status_code == 200
        before = peak(service)
        with ThreadPoolExecutor(CALLERS) as pool:
            statuses = Counter(status for each in pool.map(call, range(CALLERS)) for status in each)
        assert statuses.keys() == {200, 429}
        assert (peak(service) - before) / MIB < memory_mb + UPLOADS_MB + REST_MIB
        with httpx.Client(base_url=service.url) as client:
            assert value(client, "ganvas_image_memory_bytes") == 0
        assert "Traceback" not in service.stderr()
        assert service.stop() == 0

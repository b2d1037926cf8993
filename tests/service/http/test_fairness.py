"""One caller that ignores 429 and Retry-After takes only its share of the service."""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.service.onnx_models import generator_card, save, slow_generator_model
from tests.service.process.test_drain import until
from tests.service.running import running

GREEDY_THREADS = 12


@contextlib.contextmanager
def greedy(url: str, local_address: str = "127.0.0.1", forwarded: str = "") -> Iterator[Counter[int]]:
    """Send requests of 8 rows all the time in many threads. Yields the statuses of their responses, after the first 429."""
    ended = threading.Event()
    statuses: Counter[int] = Counter()

    def send() -> None:
        transport = httpx.HTTPTransport(local_address=local_address)
        headers = {"X-Forwarded-For": forwarded} if forwarded else {}
        with httpx.Client(base_url=url, transport=transport, headers=headers, timeout=60) as client:
            while not ended.is_set():
                statuses[client.post("/v1/sample", json={"n": 8}).status_code] += 1

    threads = [threading.Thread(target=send) for _ in range(GREEDY_THREADS)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: statuses[429] > 0)
        yield statuses
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def test_greedy_caller_does_not_shut_out_a_polite_one(tmp_path: Path) -> None:
    save(slow_generator_model(0.02), tmp_path / "slow.onnx", generator_card("slow"))
    limits = {"max_batch_rows": 8, "max_queue_rows": 64}
    with running(tmp_path, tmp_path / "log", trusted_proxies="127.0.0.1", **limits) as service:
        for options in ({"forwarded": "203.0.113.7"}, {"local_address": "127.0.0.2"}):
            with greedy(service.url, **options) as statuses, httpx.Client(base_url=service.url, timeout=60) as polite:
                assert [polite.post("/v1/sample", json={"n": 1}).status_code for _ in range(10)] == [200] * 10
            assert set(statuses) == {200, 429}
        assert service.stop() == 0


def test_spoofed_address_gives_no_second_share(tmp_path: Path) -> None:
    """Without a trusted proxy, the caller is the address that the connection comes from."""
    save(slow_generator_model(0.02), tmp_path / "slow.onnx", generator_card("slow"))
    limits = {"max_batch_rows": 8, "max_queue_rows": 32, "max_queue_wait_s": 100}
    with running(tmp_path, tmp_path / "log", **limits) as service:

        def rejections(count: int, local_address: str) -> list[str]:
            transport = httpx.HTTPTransport(local_address=local_address)
            with httpx.Client(base_url=service.url, transport=transport, timeout=60) as client:
                headers = [{"X-Forwarded-For": f"198.51.100.{i}"} for i in range(count)]
                answers = [client.post("/v1/sample", json={"n": 8}, headers=one) for one in headers]
                return [answer.json()["detail"] for answer in answers if answer.status_code == 429]

        with greedy(service.url):
            assert any("Your share of the queue" in detail for detail in rejections(40, "127.0.0.1"))
            assert not rejections(5, "127.0.0.3")

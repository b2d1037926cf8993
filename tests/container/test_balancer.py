"""Clients with connection pools while a pod leaves, as in `test_node_drain_loses_no_request`, but without containers."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ganvas
from tests.container.balancer import Balancer
from tests.service.onnx_models import generator_card, generator_model, save
from tests.service.running import running


def test_pooled_clients_lose_no_request_when_a_pod_leaves(tmp_path: Path) -> None:
    save(generator_model(), tmp_path / "models" / "digits.onnx", generator_card())
    with running(tmp_path / "models", tmp_path / "a") as leaving, running(tmp_path / "models", tmp_path / "b") as staying:
        endpoints = [leaving.url, staying.url]
        stop, warm, moved = threading.Event(), threading.Barrier(3), threading.Barrier(3)

        def load(url: str) -> int:
            with ganvas.Client(url, timeout=120) as client:
                client.sample(1, seed=7)
                warm.wait(120)  # each client has a connection to a different pod
                moved.wait(120)
                asked = 0
                while not stop.is_set() or asked < 3:
                    client.sample(1, seed=7)
                    asked += 1
                return asked

        with Balancer(endpoints) as balancer, ThreadPoolExecutor(2) as callers:
            answered = [callers.submit(load, balancer.url) for _ in range(2)]
            warm.wait(120)
            endpoints.remove(leaving.url)
            moved.wait(120)
            leaving.process.send_signal(signal.SIGTERM)
            assert leaving.process.wait(120) == 0
            stop.set()
            assert min(caller.result() for caller in answered) >= 3
            assert balancer.connections() >= 3  # two at first, and one that replaces the connection to the leaving pod

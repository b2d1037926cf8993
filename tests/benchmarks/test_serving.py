"""The load of the serving benchmarks on a real server, and their tables."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import typer

from benchmarks.serving.__main__ import Round, tables
from benchmarks.serving.contestants import CONTESTANTS, Server
from benchmarks.serving.load import Responses, closed_loop, open_loop
from benchmarks.serving.workloads import WORKLOADS
from benchmarks.tables import replace_section
from service.settings import ROOT
from tests.service.running import Running, running

GANVAS = CONTESTANTS["ganvas"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(ROOT / "exported", tmp_path_factory.mktemp("service")) as started:
        yield started


@pytest.mark.parametrize("name", WORKLOADS)
def test_all_workloads_are_answered(service: Running, name: str) -> None:
    request = GANVAS.request(WORKLOADS[name])
    response = httpx.post(service.url + request.path, content=request.body, headers=dict(request.headers), timeout=60)
    assert response.status_code == 200, response.text


def test_closed_loop_sends_one_request_per_connection_at_a_time(service: Running) -> None:
    responses = asyncio.run(closed_loop(service.url, WORKLOADS["sample-1"].json(), 0.5, 3))
    assert responses.count() >= 3
    assert set(responses.times) == {200}
    assert sum(responses.times[200]) <= 3 * responses.seconds  # at most three at the same time
    assert responses.rate() == responses.count() / responses.seconds


def test_open_loop_sends_at_its_rate(service: Running) -> None:
    responses = asyncio.run(open_loop(service.url, WORKLOADS["sample-1"].json(), 0.5, 10))
    assert responses.count() == 6  # at 0, 0.1 .. 0.5 s


def test_rows_and_batches_come_from_the_metrics(service: Running) -> None:
    server = Server(GANVAS, service.process.pid, service.url)
    before = server.batches("toon-heads")
    responses = asyncio.run(closed_loop(service.url, WORKLOADS["sample-16"].json(), 0.5, 3))
    after = server.batches("toon-heads")
    assert before is not None
    assert after is not None
    assert after[0] - before[0] == 16 * responses.count()
    assert 0 < after[1] - before[1] <= responses.count()
    assert Server(CONTESTANTS["starlette"], service.process.pid, service.url).batches("toon-heads") is None


def test_ratios_use_the_bare_loop_of_the_same_round() -> None:
    ganvas, peer, workload = GANVAS, CONTESTANTS["starlette"], WORKLOADS["sample-16"]
    found = {
        (workload.name, "ganvas"): [Round(100, 90, 0.1, 20.0), Round(200, 200, 0.2, 30.0), Round(400, 440, 1.5, 40.0)],
        (workload.name, "starlette"): [Round(100, 50, 0.3, None)],
    }
    lines = tables(found, [ganvas, peer], [workload])
    assert "**sampling, n = 16, npy** (toon-heads); the bare loop makes 150 images/s." in lines
    assert lines[-3:] == [
        "| Ganvas | 200 | 1.00 (0.90 to 1.10) | 200 | 30.0 |",
        "| Starlette, thread pool | 50 | 0.50 (0.50 to 0.50) | 300 |  |",
        "",
    ]


def test_broken_connections_are_counted() -> None:
    responses = asyncio.run(open_loop("http://127.0.0.1:9", WORKLOADS["sample-1"].json(), 0.1, 10))
    assert responses.count(-1) == 2
    assert responses.count() == 0
    assert np.isnan(responses.percentile(99))


def test_percentiles_count_only_one_status() -> None:
    responses = Responses(seconds=2.0)
    for taken in range(1, 102):
        responses.add(200, taken)
    responses.add(429, 7.0)
    assert (responses.percentile(50), responses.percentile(99), responses.percentile(99, 429)) == (51, 100, 7)
    assert responses.rate() == 50.5


def test_section_of_a_page_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a -->\nold\n<!-- /a -->\nafter\n")
    replace_section(page, "a", r"new \1")
    assert page.read_text() == "before\n<!-- a -->\n\nnew \\1\n\n<!-- /a -->\nafter\n"
    with pytest.raises(typer.BadParameter, match="has no line <!-- b -->"):
        replace_section(page, "b", "new")


def test_page_has_a_section_for_each_benchmark() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    for name in (
        "serving",
        "overload",
        "soak",
        "shutdown",
        "fuzz",
        "codecs",
        "client",
        "studio",
        "sessions",
        "device-cpu",
        "device-cuda",
    ):
        assert page.count(f"<!-- {name} -->\n") == page.count(f"<!-- /{name} -->\n") == 1

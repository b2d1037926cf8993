"""Temporary failures are retried, and nothing else."""

import time

import httpx
import pytest

import ganvas
from ganvas.transport import retrying
from service.engine.batcher import MAX_RETRY_AFTER_S
from tests.ganvas.conftest import HANG_UP, Ask, Gateway

LISTING = b'{"models": []}'


def respond_with_listing(gateway: Gateway) -> None:
    gateway.will(200, LISTING, Content_Type="application/json")


@pytest.mark.parametrize("status", [429, 502, 503, 504, HANG_UP])
def test_retries_temporary_failures(gateway: Gateway, ask: Ask, status: int) -> None:
    gateway.will(status, Retry_After="0")
    gateway.will(status, Retry_After="0")
    respond_with_listing(gateway)
    assert list(ask(gateway.url, "models")) == []
    assert len(gateway.seen) == 3
    assert len({seen["X-Request-ID"] for seen in gateway.seen}) == 1  # one request id for all three tries


def test_retry_sends_the_whole_body(gateway: Gateway, ask: Ask) -> None:
    gateway.will(503)
    gateway.will(200, b"\xff\xd8\xff", Content_Type="image/jpeg", Ganvas_Model="painters@1")
    ask(gateway.url, "stylize", b"a photo" * 100_000, style="night")
    lengths = [seen["Content-Length"] for seen in gateway.seen]
    assert len(lengths) == 2
    assert lengths[0] == lengths[1]
    assert int(lengths[0]) > 700_000


def test_retries_response_that_breaks_off(gateway: Gateway, ask: Ask) -> None:
    gateway.will(200, LISTING[:5], Content_Type="application/json", Content_Length=str(len(LISTING)))
    respond_with_listing(gateway)
    assert list(ask(gateway.url, "models")) == []
    assert len(gateway.seen) == 2


@pytest.mark.parametrize("status", [400, 401, 404, 413, 415, 422, 500])
def test_does_not_retry_other_errors(gateway: Gateway, ask: Ask, status: int) -> None:
    gateway.will(status)
    with pytest.raises(ganvas.ProblemError):
        ask(gateway.url, "models")
    assert len(gateway.seen) == 1


def test_gives_up_after_the_last_retry(gateway: Gateway, ask: Ask) -> None:
    for _ in range(9):
        gateway.will(429, Retry_After="0")
    with pytest.raises(ganvas.QueueFullError) as caught:
        ask(gateway.url, "models", options={"retries": 2})
    assert caught.value.retry_after == 0
    assert len(gateway.seen) == 3


def test_waits_for_retry_after(gateway: Gateway, ask: Ask) -> None:
    gateway.will(429, Retry_After="1")
    respond_with_listing(gateway)
    started = time.monotonic()
    ask(gateway.url, "models")
    assert time.monotonic() - started >= 1


def test_waits_for_a_long_retry_after() -> None:
    """Checks the computed wait, without waiting."""
    policy = retrying(httpx.HTTPTransport(), 4).retry
    waits = [policy._calculate_sleep({"Retry-After": str(MAX_RETRY_AFTER_S)}) for _ in range(50)]
    assert all(MAX_RETRY_AFTER_S <= seconds <= 1.25 * MAX_RETRY_AFTER_S for seconds in waits)
    assert len(set(waits)) > 1
    assert policy._calculate_sleep({"Retry-After": "86400"}) == 75


def test_waits_grow_and_are_random() -> None:
    policy = retrying(httpx.HTTPTransport(), 9).retry
    waits = {policy.parse_retry_after("2") for _ in range(50)}
    assert all(2 <= seconds <= 2.5 for seconds in waits)
    assert len(waits) > 1
    for attempt, longest in enumerate([0.5, 1, 2, 4, 8, 16, 30, 30]):
        policy = policy.increment()
        backoffs = [policy.backoff_strategy() for _ in range(200)]
        assert longest / 2 < max(backoffs) <= longest, attempt
        assert min(backoffs) < longest / 2

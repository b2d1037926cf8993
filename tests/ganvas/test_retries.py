"""What fails in passing is sent again, and nothing else."""

import time

import httpx
import pytest

import ganvas
from ganvas.transport import retrying
from service.engine.batcher import MAX_RETRY_AFTER_S
from tests.ganvas.conftest import HANG_UP, Ask, Gateway

LISTING = b'{"models": []}'


def good(gateway: Gateway) -> None:
    gateway.will(200, LISTING, Content_Type="application/json")


@pytest.mark.parametrize("status", [429, 502, 503, 504, HANG_UP])
def test_it_is_sent_again(gateway: Gateway, ask: Ask, status: int) -> None:
    gateway.will(status, Retry_After="0")
    gateway.will(status, Retry_After="0")
    good(gateway)
    assert list(ask(gateway.url, "models")) == []
    assert len(gateway.seen) == 3
    assert len({seen["X-Request-ID"] for seen in gateway.seen}) == 1  # one request in the service's log, tried three times


def test_a_body_is_sent_again_whole(gateway: Gateway, ask: Ask) -> None:
    gateway.will(503)
    gateway.will(200, b"\x89PNG", Content_Type="image/png", Ganvas_Model="painters@1")
    ask(gateway.url, "stylize", b"a photo" * 100_000, style="night")
    lengths = [seen["Content-Length"] for seen in gateway.seen]
    assert len(lengths) == 2
    assert lengths[0] == lengths[1]
    assert int(lengths[0]) > 700_000


def test_an_answer_that_breaks_off_is_asked_for_again(gateway: Gateway, ask: Ask) -> None:
    gateway.will(200, LISTING[:5], Content_Type="application/json", Content_Length=str(len(LISTING)))
    good(gateway)
    assert list(ask(gateway.url, "models")) == []
    assert len(gateway.seen) == 2


@pytest.mark.parametrize("status", [400, 401, 404, 413, 415, 422, 500])
def test_it_is_not_sent_again(gateway: Gateway, ask: Ask, status: int) -> None:
    gateway.will(status)
    with pytest.raises(ganvas.ProblemError):
        ask(gateway.url, "models")
    assert len(gateway.seen) == 1


def test_it_gives_up_in_the_end(gateway: Gateway, ask: Ask) -> None:
    for _ in range(9):
        gateway.will(429, Retry_After="0")
    with pytest.raises(ganvas.QueueFullError) as caught:
        ask(gateway.url, "models", options={"retries": 2})
    assert caught.value.retry_after == 0
    assert len(gateway.seen) == 3


def test_it_waits_as_long_as_it_is_told(gateway: Gateway, ask: Ask) -> None:
    gateway.will(429, Retry_After="1")
    good(gateway)
    started = time.monotonic()
    ask(gateway.url, "models")
    assert time.monotonic() - started >= 1


def test_a_long_wait_is_waited_whole() -> None:
    """As the transport reckons it: nobody wants to wait for it here."""
    policy = retrying(httpx.HTTPTransport(), 4).retry
    told = [policy._calculate_sleep({"Retry-After": str(MAX_RETRY_AFTER_S)}) for _ in range(50)]
    assert all(MAX_RETRY_AFTER_S <= seconds <= 1.25 * MAX_RETRY_AFTER_S for seconds in told)
    assert len(set(told)) > 1
    assert policy._calculate_sleep({"Retry-After": "86400"}) == 75


def test_waits_grow_and_differ() -> None:
    policy = retrying(httpx.HTTPTransport(), 9).retry
    told = {policy.parse_retry_after("2") for _ in range(50)}
    assert all(2 <= seconds <= 2.5 for seconds in told)
    assert len(told) > 1
    for attempt, longest in enumerate([0.5, 1, 2, 4, 8, 16, 30, 30]):
        policy = policy.increment()
        waits = [policy.backoff_strategy() for _ in range(200)]
        assert longest / 2 < max(waits) <= longest, attempt
        assert min(waits) < longest / 2

from hypothesis import given
from hypothesis import strategies as st

from service.engine.shares import RESERVE, SHARE, FairShare

CALLERS = st.sampled_from("abcde")


@given(st.lists(st.tuples(CALLERS, st.integers(1, 60)), max_size=60))
def test_callers_never_hold_more_than_the_limit_and_one_never_more_than_its_share(wanted: list[tuple[str, int]]) -> None:
    share = FairShare(320)
    for caller, amount in wanted:
        if share.fits(caller, amount):
            share.take(caller, amount)
    assert share.held <= 320
    assert share.held == sum(share.held_by(caller) for caller in "abcde")
    if len({caller for caller, _ in wanted}) == 1:
        assert share.held <= SHARE * 320
        assert share.fits("new", 40)


@given(st.integers(1, 60))
def test_what_is_given_back_can_be_taken_again(amount: int) -> None:
    share = FairShare(64)
    assert share.fits("a", 1000)  # nobody holds anything
    share.take("a", amount)
    share.give_back("a", amount)
    assert share.held == share.held_by("a") == 0
    assert share.fits("a", 1000)


def test_large_requests_leave_the_reserve_to_small_ones() -> None:
    share = FairShare(320)
    share.take("a", 200)
    free = (1 - RESERVE) * 320 - 200
    assert share.fits("b", free)
    assert not share.fits("b", free + 1)
    share.take("b", free)
    assert not share.fits("c", 11)
    assert share.fits("c", 10)

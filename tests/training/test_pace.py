"""What a run shows and saves after which step, with a clock of its own."""

import itertools

import pytest

from ganvas.signals import StopRequest
from training.pace import Every, Pace


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def times(every: Every, seconds_per_step: float, steps: int, work_s: float = 0.0) -> list[float]:
    """When samples are due, in seconds, while a run makes its steps."""
    clock, found = Clock(), []
    pace = Pace(steps + 1, 20, every, "auto", StopRequest(), clock=clock)
    for step in range(1, steps + 1):
        clock.now += seconds_per_step
        if pace.due(step).sample:
            found.append(clock.now)
            with pace.samples.work():
                clock.now += work_s
    return found


def test_samples_follow_the_clock_at_growing_intervals() -> None:
    assert times("auto", 1, 2000) == [20, 60, 140, 300, 620, 1220, 1820]


def test_slow_steps_show_a_sample_after_each_of_the_first() -> None:
    assert times("auto", 90, 3) == [90, 180, 270]


def test_slow_work_is_done_more_rarely() -> None:
    assert times("auto", 1, 500, work_s=10) == [20, 230, 440]  # 10 s are 5% of 200 s


def test_steps_do_not_follow_the_clock() -> None:
    assert times(7, 100, 30) == [700, 1400, 2100, 2800]


def test_checkpoints_are_at_most_two_minutes_apart() -> None:
    clock, found = Clock(), [0.0]
    pace = Pace(10**6, 20, "auto", "auto", StopRequest(), clock=clock)
    for step in range(1, 1000):
        clock.now += 1
        if pace.due(step).checkpoint:
            found.append(clock.now)
            with pace.checkpoints.work():
                pass
    gaps = [later - earlier for earlier, later in itertools.pairwise(found)]
    assert gaps[0] == 30
    assert max(gaps) == 120


@pytest.mark.parametrize("every", [500, "auto"])
def test_last_step_is_shown_and_saved_after_a_report(every: Every) -> None:
    due = Pace(3, 20, every, every, StopRequest(), clock=Clock()).due(3)
    assert (due.sample, due.checkpoint, due.report) == (True, True, True)


def test_slow_steps_are_reported_by_the_clock() -> None:
    clock = Clock()
    pace = Pace(1000, 20, 500, 500, StopRequest(), clock=clock)
    reported = []
    for step in range(1, 41):
        clock.now += 3
        if pace.due(step).report:
            reported.append(step)
    assert reported[:4] == [2, 6, 10, 14]
    assert {20, 40} <= set(reported)


def test_stop_request_makes_a_checkpoint_due() -> None:
    with StopRequest() as stop:
        pace = Pace(1000, 20, 500, 500, stop, clock=Clock())
        assert pace.due(1).stop is None
        stop.exit_code = 143
        due = pace.due(2)
    assert (due.stop, due.checkpoint, due.report) == (143, True, True)

"""The progress of long work: lines without a terminal, a whole bar on one."""

import io
import time

import pytest
from rich.console import Console

from training.console import Display, _Bar, duration, track


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_log_gets_a_line_after_5_s_and_then_every_30_s(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Display("Training", 6250) as display:
        for step in range(1, 101):
            clock[0] += 1
            display.show(step, {"": "64 images/s", "d_loss": "0.51"})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Training: step 5 of 6,250 (0.1%), 5 s elapsed, 1 h 44 min left, 64 images/s, d_loss 0.51"
    assert [line.split()[2] for line in lines] == ["5", "35", "65", "95"]


def test_slow_steps_give_a_line_each(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    for item in track(["a", "b", "c"], "Painting", unit="pair"):
        assert item
        clock[0] += 100
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Painting: pair 1 of 3 (33.3%), 2 min elapsed, 3 min left"
    assert lines[-1] == "Painting: pair 3 of 3 (100.0%), 5 min elapsed"
    assert len(lines) == 3


def test_estimate_follows_the_speed_of_the_last_minute(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Display("Training", 10_000) as display:
        for step in range(1, 1001):
            clock[0] += 0.01
            display.show(step)
        for step in range(1001, 1301):  # other programs take the CPU
            clock[0] += 1
            display.show(step)
    assert "2 h 25 min left" in capsys.readouterr().out.splitlines()[-1]  # 8,700 steps of a second


def test_work_that_goes_back_has_no_estimate_until_its_next_step(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with Display("Training", 100) as display:
        clock[0] += 50
        display.show(50)
        clock[0] += 40
        display.show(20)
        clock[0] += 40
        display.show(30)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "Training: step 20 of 100 (20.0%), 2 min elapsed"
    assert lines[2] == "Training: step 30 of 100 (30.0%), 2 min elapsed, 5 min left"


def test_quiet_display_shows_nothing(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Display("Training", 10, quiet=True) as display:
        clock[0] += 100
        display.show(5)
        display.say("Back to the checkpoint.")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("width", [80, 100, 60])
def test_bar_is_whole_on_a_terminal(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    bar = _Bar("Training", 1_000_000, 123_456, console)
    words = ["12,345 images/s", "d_loss 0.512", "g_loss 1.25", "d_accuracy 0.75", "feature_accuracy 0.512", "more 1", "again 2"]
    bar.show(234_567, "23 h 59 min left", words)
    with console.capture() as captured:
        for part in bar.get_renderables():
            console.print(part)
    shown = captured.get()
    first, second, *rest = shown.splitlines()
    assert not rest
    assert max(len(first), len(second)) <= width
    assert "Training" in first
    assert "━" in first
    assert "234,567/1,000,000" in first
    assert first.rstrip().endswith("23 h 59 min left")
    assert "…" not in shown
    whole = second.rstrip().split("  ")
    assert whole == words[: len(whole)]
    assert second.startswith("12,345 images/s  d_loss 0.512")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (89, "89 s"), (90, "2 min"), (3540, "59 min"), (3600, "1 h"), (7500, "2 h 5 min"), (100 * 3600, "4 d 4 h")],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words

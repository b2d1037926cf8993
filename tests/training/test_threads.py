"""The number of threads of a training."""

import time
from collections.abc import Callable, Iterator

import pytest
import torch

from training import threads
from training.threads import fastest, use_threads

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def four_cpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(threads, "available_cpus", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


class Step:
    """Takes a time that depends on the number of threads, on a clock of its own."""

    def __init__(self, seconds: dict[int, float]) -> None:
        self.seconds, self.now = seconds, 0.0

    def __call__(self) -> None:
        self.now += self.seconds[torch.get_num_threads()]


MakeStep = Callable[[dict[int, float]], Step]


@pytest.fixture
def make_step(monkeypatch: pytest.MonkeyPatch) -> MakeStep:
    def make(seconds: dict[int, float]) -> Step:
        step = Step(seconds)
        monkeypatch.setattr(time, "monotonic", lambda: step.now)
        return step

    return make


@pytest.mark.parametrize(
    ("seconds", "best"),
    [
        ({1: 0.4, 2: 0.22, 4: 0.15}, 4),
        ({1: 0.14, 2: 5.3, 4: 9.0}, 1),  # another program uses all cores: the threads wait for each other
        ({1: 0.4, 2: 0.25, 4: 1.0}, 2),
        ({1: 0.4, 2: 0.39, 4: 0.385}, 1),  # not worth it
        ({1: 60.0, 2: 31.0, 4: 16.0}, 4),  # very slow steps
    ],
)
def test_takes_the_fastest_number(make_step: MakeStep, seconds: dict[int, float], best: int) -> None:
    step = make_step(seconds)
    assert fastest(step, 4) == best
    assert use_threads(CPU, None, None, step) == best == torch.get_num_threads()


def test_option_comes_before_the_number_of_the_run(make_step: MakeStep) -> None:
    step = make_step({})  # must not be tried
    assert use_threads(CPU, 8, 2, step) == 8  # asked for, even above the number of CPUs
    torch.set_num_threads(4)
    assert use_threads(CPU, None, 2, step) == 2 == torch.get_num_threads()
    torch.set_num_threads(4)
    assert use_threads(CPU, None, 16, step) == 4  # the run began on a larger machine


def test_environment_variable_replaces_the_trial(make_step: MakeStep, monkeypatch: pytest.MonkeyPatch) -> None:
    step = make_step({})
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    torch.set_num_threads(3)
    assert use_threads(CPU, None, None, step) == 3


def test_no_more_threads_than_the_container_has_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "available_cpus", lambda: 2)
    assert use_threads(CPU, None, None, None) == 2

import contextlib
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from ganvas.signals import StopRequest, Terminated, sigterm_interrupts


def test_sigterm_raises_inside_the_block() -> None:
    with pytest.raises(Terminated), sigterm_interrupts():
        signal.raise_signal(signal.SIGTERM)


def test_previous_handler_is_restored() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with sigterm_interrupts():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_swallowed_sigterm_is_noted_by_the_next_loop() -> None:
    with sigterm_interrupts():
        with contextlib.suppress(Terminated):  # as a library or a destructor may do
            signal.raise_signal(signal.SIGTERM)
        with StopRequest() as stop:
            assert stop.exit_code == 143
    with StopRequest() as stop:
        assert stop.exit_code is None


@pytest.mark.parametrize(
    ("number", "exit_code", "error"), [(signal.SIGINT, 130, KeyboardInterrupt), (signal.SIGTERM, 143, Terminated)]
)
def test_first_signal_is_noted_and_the_second_interrupts(
    number: signal.Signals, exit_code: int, error: type[BaseException]
) -> None:
    before = signal.getsignal(number)
    with StopRequest() as stop:
        signal.raise_signal(number)
        assert stop.exit_code == exit_code
        with pytest.raises(error):
            signal.raise_signal(number)
        assert signal.getsignal(number) == signal.SIG_DFL  # the third kills
    assert signal.getsignal(number) == before


def test_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as under nohup
    try:
        with StopRequest() as stop:
            signal.raise_signal(signal.SIGINT)
            assert stop.exit_code is None
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_note_nothing() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def enter() -> object:
        with StopRequest():
            return signal.getsignal(signal.SIGTERM)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(enter).result() == before

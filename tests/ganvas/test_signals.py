import contextlib
import signal

import pytest

from ganvas.signals import Terminated, raise_if_terminated, sigterm_interrupts


def test_sigterm_raises_inside_the_block() -> None:
    with pytest.raises(Terminated), sigterm_interrupts():
        signal.raise_signal(signal.SIGTERM)


def test_previous_handler_is_restored() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with sigterm_interrupts():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_swallowed_sigterm_is_raised_again() -> None:
    with sigterm_interrupts():
        raise_if_terminated()
        with contextlib.suppress(Terminated):  # as a library or a destructor may do
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Terminated):
            raise_if_terminated()
    raise_if_terminated()

import signal

import pytest

from ganvas.signals import Terminated, sigterm_interrupts


def test_sigterm_raises_inside_the_block() -> None:
    with pytest.raises(Terminated), sigterm_interrupts():
        signal.raise_signal(signal.SIGTERM)


def test_previous_handler_is_restored() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with sigterm_interrupts():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before

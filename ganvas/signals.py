"""SIGTERM as an exception, so that commands stop as they do on Ctrl-C."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Terminated(KeyboardInterrupt):
    """SIGTERM came: the process must end, as on Ctrl-C."""

    exit_code = 143


_sigterm_came = False


def raise_on_sigterm() -> None:
    """Raise `Terminated` in the main thread at SIGTERM.

    Without a handler, the kernel ignores SIGTERM for process 1, which a command in a container is.
    """

    def terminate(number: int, frame: object) -> None:
        global _sigterm_came
        _sigterm_came = True
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)


def raise_if_terminated() -> None:
    """Raise `Terminated` again if SIGTERM has come: destructors and library code may swallow the first exception.

    Long loops call this in the main thread once per step.
    """
    if _sigterm_came:
        raise Terminated


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Raise `Terminated` at SIGTERM until the block ends."""
    global _sigterm_came
    before = signal.getsignal(signal.SIGTERM)
    raise_on_sigterm()
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        _sigterm_came = False

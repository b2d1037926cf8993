"""SIGTERM as an exception, so that commands stop as they do on Ctrl-C, and stops between two steps of a long loop."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

_HINT = b"\nStopping after this step. Press Ctrl-C again to stop at once.\n"


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


class StopRequest:
    """Notes the first Ctrl-C or SIGTERM, so that a loop can stop between two of its steps. A context manager.

    The second signal raises `KeyboardInterrupt` or `Terminated` at once, and the third kills the process. A signal that is
    ignored stays ignored. Outside of the main thread, nothing is noted.

    Attributes:
        exit_code: 130 after Ctrl-C, 143 after SIGTERM, None before. A SIGTERM whose exception was swallowed before the block,
            by library code or a destructor, counts.
    """

    def __init__(self) -> None:
        self.exit_code: int | None = None
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        """Take over both signals."""
        self.exit_code = Terminated.exit_code if _sigterm_came else None
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Give both signals back."""
        while self._before:
            signal.signal(*self._before.popitem())  # type: ignore[arg-type]  # what signal.signal returned

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.exit_code is None:
            self.exit_code = 128 + number
            if os.isatty(2):
                os.write(2, _HINT)  # a signal can come while a stream is in use
            return
        signal.signal(number, signal.SIG_DFL)
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

"""The service's life: it drains once it is told to end, until what was accepted is answered.

serving --SIGTERM--> draining: /readyz fails, new requests are answered 503 --all answers sent--> end
"""

import functools
import time
from collections.abc import Callable

QUIET_S = 0.3  # without a new request: whoever still held a connection has been told, and gone elsewhere
LINGER_S = 2.0  # at most, for those who do not stop asking


class Life:
    """Whether the service drains, and what it still has to answer.

    Args:
        clock: seconds that only rise.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.draining_since: float | None = None
        self.under_way = 0  # requests accepted, and their answers not yet sent
        self._clock = clock
        self._last_refusal = 0.0

    @property
    def draining(self) -> bool:
        """Whether it is on its way to its end."""
        return self.draining_since is not None

    def drain(self) -> None:
        """Accept nothing more."""
        if self.draining_since is None:
            self.draining_since = self._clock()

    def refused(self) -> None:
        """A request came while it drains."""
        self._last_refusal = self._clock()

    def ended(self, connections: int, unsent: int, longest_s: float) -> bool:
        """Whether it is time to end.

        Args:
            connections: open ones; on each the caller may be sending a request just now.
            unsent: bytes of answers that callers are still reading.
            longest_s: when to end at the latest, in seconds after `drain`.
        """
        if self.draining_since is None:
            return False
        now = self._clock()
        passed = now - self.draining_since
        if passed >= longest_s:
            return True
        if self.under_way or unsent:
            return False
        quiet = now - max(self._last_refusal, self.draining_since) >= QUIET_S
        return not connections or quiet or passed >= LINGER_S


@functools.cache
def life() -> Life:
    """That of this process."""
    return Life()

"""The lifecycle of the service: after SIGTERM it drains until every accepted request is answered, then it exits.

serving --SIGTERM--> draining: /readyz fails, new requests get 503 --all responses sent--> exit
"""

import functools
import time
from collections.abc import Callable

QUIET_S = 0.3  # without a new request: callers with open connections were rejected and use another connection now
LINGER_S = 2.0  # longest wait for callers that continue to send requests


class Lifecycle:
    """The state of the drain, and the number of accepted requests that are not answered.

    Args:
        clock: monotonic, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.draining_since: float | None = None
        self.in_flight = 0  # accepted requests whose responses are not sent yet
        self._clock = clock
        self._last_rejection = 0.0

    @property
    def draining(self) -> bool:
        """Whether the service is shutting down."""
        return self.draining_since is not None

    def drain(self) -> None:
        """Accept no new requests from now on."""
        if self.draining_since is None:
            self.draining_since = self._clock()

    def rejected(self) -> None:
        """Note that a request was rejected because the service drains."""
        self._last_rejection = self._clock()

    def should_exit(self, connections: int, unsent: int, longest_s: float) -> bool:
        """Whether the drain is over.

        Args:
            connections: open connections. On each, the caller may be sending a request now.
            unsent: bytes of responses that callers are still reading.
            longest_s: limit of the drain, in seconds.
        """
        if self.draining_since is None:
            return False
        now = self._clock()
        passed = now - self.draining_since
        if passed >= longest_s:
            return True
        if self.in_flight or unsent:
            return False
        quiet = now - max(self._last_rejection, self.draining_since) >= QUIET_S
        return not connections or quiet or passed >= LINGER_S


@functools.cache
def lifecycle() -> Lifecycle:
    """The lifecycle of this process."""
    return Lifecycle()

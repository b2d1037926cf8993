"""A limit on requests in flight that adapts as in TCP: it grows while requests succeed and shrinks when the service is full.

The limit doubles each round until the first rejection. Then it grows by one each round and shrinks to 70% at a rejection
(additive increase, multiplicative decrease: Chiu and Jain 1989), so that several clients share one service evenly.
"""

import time
from collections import deque

import anyio

FIRST_LIMIT = 4
SHRINK = 0.7


class AdaptiveLimiter:
    """Limits the requests in flight to what the service accepts.

    Args:
        maximum: the limit never grows beyond this.

    Attributes:
        limit: requests that may be in flight now; a fraction counts towards the next one.
        in_flight: requests that are in flight now.
    """

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self.limit = float(min(FIRST_LIMIT, maximum))
        self.in_flight = 0
        self._is_doubling = True
        self._shrunk_at = 0.0
        self._waiting: deque[anyio.Event] = deque()

    async def acquire(self, *, first: bool = False) -> float:
        """Wait until a request may be sent; `first` passes the others that wait. Returns the time, for `rejected`."""
        if self.in_flight < int(self.limit) and not self._waiting:
            self.in_flight += 1
            return time.monotonic()
        turn = anyio.Event()
        (self._waiting.appendleft if first else self._waiting.append)(turn)
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():
                self.release()
            else:
                self._waiting.remove(turn)
            raise
        return time.monotonic()

    def release(self) -> None:
        """End a request and admit the next one."""
        self.in_flight -= 1
        self._admit()

    def succeeded(self) -> None:
        """Grow after a response: by one each request at first, later by one each round."""
        self.limit = min(self.maximum, self.limit + (1 if self._is_doubling else 1 / self.limit))
        self._admit()

    def rejected(self, acquired: float) -> None:
        """Shrink after a rejection, but only once for all requests that were in flight together.

        Args:
            acquired: what `acquire` returned for the rejected request.
        """
        self._is_doubling = False
        if acquired > self._shrunk_at:
            self._shrunk_at = time.monotonic()
            self.limit = max(1.0, self.limit * SHRINK)

    def _admit(self) -> None:
        while self._waiting and self.in_flight < int(self.limit):
            self.in_flight += 1
            self._waiting.popleft().set()

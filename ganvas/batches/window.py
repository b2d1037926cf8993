"""How many requests may be under way: as in TCP, more while all goes well, fewer when the service says that it is full.

It doubles each round until the first refusal, then grows by one a round and shrinks to seven tenths at a refusal (additive
increase, multiplicative decrease: Chiu and Jain 1989), so that several clients come to share one service evenly.
"""

import time
from collections import deque

import anyio

FIRST = 4
SHRINK = 0.7


class Window:
    """Lets in as many as the service bears.

    Args:
        most: it never grows beyond this.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.size = float(min(FIRST, most))
        self.under_way = 0
        self._is_starting = True
        self._shrunk_at = 0.0
        self._waiting: deque[anyio.Event] = deque()

    async def enter(self, *, first: bool = False) -> float:
        """Wait for room; `first` goes before the others that wait. Returns the time, which `refused` asks for."""
        if self.under_way < int(self.size) and not self._waiting:
            self.under_way += 1
            return time.monotonic()
        turn = anyio.Event()
        (self._waiting.appendleft if first else self._waiting.append)(turn)
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():
                self.leave()
            else:
                self._waiting.remove(turn)
            raise
        return time.monotonic()

    def leave(self) -> None:
        """Make room for another."""
        self.under_way -= 1
        self._let_in()

    def succeeded(self) -> None:
        """A request was answered: grow, by one a request at first, later by one a round."""
        self.size = min(self.most, self.size + (1 if self._is_starting else 1 / self.size))
        self._let_in()

    def refused(self, entered: float) -> None:
        """A request that entered then was too much: shrink, once for all that were under way together."""
        self._is_starting = False
        if entered > self._shrunk_at:
            self._shrunk_at = time.monotonic()
            self.size = max(1.0, self.size * SHRINK)

    def _let_in(self) -> None:
        while self._waiting and self.under_way < int(self.size):
            self.under_way += 1
            self._waiting.popleft().set()

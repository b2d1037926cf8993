"""The order in which the work of several callers runs: start-time fair queueing (Goyal, Vin and Cheng, 1996).

Every piece of work has a place in virtual time, which advances with the work that starts. The work of one caller is placed end
to end, and the first piece of a caller that has nothing waiting is placed at the present. So work runs in turns, one piece of
each caller, and a caller that sends little does not wait for all that another has sent before.
"""


class Turns:
    """Virtual time, in units of cost, and how far the work of each caller reaches. Not thread-safe: the caller locks."""

    def __init__(self) -> None:
        self._now = 0.0  # the place of the work that started last
        self._ends: dict[str, float] = {}  # of callers whose work reaches beyond `_now`

    def next(self, caller: str) -> float:
        """Where the next piece of work of a caller would be placed."""
        return max(self._now, self._ends.get(caller, 0.0))

    def place(self, caller: str, cost: float) -> float:
        """Place a piece of work behind the other work of its caller. Returns where it starts."""
        start = self.next(caller)
        self._ends[caller] = start + cost
        return start

    def started(self, place: float) -> None:
        """Note that the work at a place has started."""
        self._now = max(self._now, place)
        self._ends = {caller: end for caller, end in self._ends.items() if end > self._now}

    def refund(self, caller: str, cost: float) -> None:
        """Give a caller back the cost of work that never started."""
        if caller in self._ends:
            self._ends[caller] -= cost

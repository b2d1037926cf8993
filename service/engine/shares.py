"""Shares of a bounded resource: one caller cannot take everything.

    share = FairShare(limit=384)
    if share.fits("a", 16):
        share.take("a", 16)

A caller may hold three quarters of what the other callers leave free. So a single caller can use most of the resource, a
quarter of the rest always stays free for others, and the shares of busy callers become equal. No number of callers has to
be configured or counted. (Dynamic thresholds: Choudhury and Hahne, 1998.)

The last eighth is kept for small requests, so that large requests cannot delay them for long.
"""

SHARE = 3 / 4
"""The most that one caller holds, as a fraction of what the others leave free."""

RESERVE = 1 / 8
"""Fraction of the limit that only small requests may use."""

SMALL = 1 / 32
"""Largest small request, as a fraction of the limit."""


class FairShare:
    """Who holds how much. Not thread-safe: the caller locks.

    Args:
        limit: the most that all callers hold together, in any unit.

    Attributes:
        held: what all callers hold together.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.held: float = 0
        self._by_caller: dict[str, float] = {}

    def held_by(self, caller: str) -> float:
        """What one caller holds."""
        return self._by_caller.get(caller, 0)

    def has_room(self, amount: float) -> bool:
        """Whether the amount fits into what is free, no matter who asks."""
        return self.held + amount <= self._limit_of(amount)

    def fits(self, caller: str, amount: float) -> bool:
        """Whether a caller may take an amount now. If nobody holds anything, any amount fits."""
        if not self.held:
            return True
        own = self.held_by(caller)
        free = self._limit_of(amount) - (self.held - own)
        return own + amount <= (SHARE * free if own else free)

    def take(self, caller: str, amount: float) -> None:
        """Count an amount. It is not checked: call `fits` first if the amount may be rejected."""
        self.held += amount
        own = self.held_by(caller) + amount
        if own:
            self._by_caller[caller] = own
        else:
            self._by_caller.pop(caller, None)

    def give_back(self, caller: str, amount: float) -> None:
        """Stop counting an amount."""
        self.take(caller, -amount)

    def _limit_of(self, amount: float) -> float:
        return self.limit if amount <= SMALL * self.limit else (1 - RESERVE) * self.limit

"""How a batch reaches the service: what both clients give it."""

from typing import Protocol, TypeVar

from ganvas.calls import Call

T = TypeVar("T")


class Link(Protocol):
    """Sends a call and reads its answer."""

    async def __call__(self, call: Call[T], *, retries: bool) -> T:
        """Send it, once or with the client's retries.

        Raises:
            GanvasError: whatever the answer was, or that there was none.
        """

"""The function with which each client sends the calls of a batch."""

from typing import Protocol, TypeVar

from ganvas.calls import Call

T = TypeVar("T")


class Send(Protocol):
    """Sends a call and reads the response."""

    async def __call__(self, call: Call[T], *, retries: bool) -> T:
        """Send the call once, or with the client's retries.

        Raises:
            GanvasError: the response is an error, or there is none.
        """

"""Who a request comes from: the key of its share in queues, memory and threads.

`service.http` sets it for each request. Work that no request asked for, such as a bulk run, belongs to the caller "".
"""

from contextvars import ContextVar

CALLER: ContextVar[str] = ContextVar("caller", default="")
"""Identifies the caller of the request that this task serves. It is never logged or sent."""

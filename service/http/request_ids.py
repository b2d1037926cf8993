"""The id of a request. It is in the response, in every problem document, and in every log line of the request."""

import re
import secrets
from contextvars import ContextVar

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that is being served; empty outside of any request."""

_SAFE = re.compile(r"[A-Za-z0-9._~+/=:-]{1,128}", re.ASCII)


def request_id_of(given: str | None) -> str:
    """Return the id that came with a request if it is safe in any header and log; if not, a new id."""
    return given if given and _SAFE.fullmatch(given) else secrets.token_hex(8)

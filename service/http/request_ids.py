"""The id of a request: in its answer, in every problem document, and in every line that is logged for it."""

import re
import secrets
from contextvars import ContextVar

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""That of the request which is being served; empty outside of any."""

_SANE = re.compile(r"[A-Za-z0-9._~+/=:-]{1,128}", re.ASCII)


def request_id_of(given: str | None) -> str:
    """The id that came with a request, where it is safe in any header and log; else a new one."""
    return given if given and _SANE.fullmatch(given) else secrets.token_hex(8)

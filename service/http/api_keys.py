"""API keys: a file of them, one a line, read again when it changes.

    GANVAS_API_KEYS_FILE=/run/secrets/ganvas-keys python -m service
    curl -H "Authorization: Bearer KEY" ...      or      curl -H "X-API-Key: KEY" ...

Keys are kept as hashes and compared in constant time, each with each, so that an answer's time tells nothing of them. They are
never logged.
"""

import hashlib
import hmac
import logging
import time
from collections.abc import Callable
from pathlib import Path

from starlette.datastructures import Headers

logger = logging.getLogger("ganvas.service")

LOOK_EVERY_S = 1.0


class KeysError(Exception):
    """The file of keys cannot be used; the message says why."""


class Keys:
    """The keys of one file.

    Args:
        path: one key a line; blank lines and lines that begin with # do not count.
        clock: seconds that only rise.

    Raises:
        KeysError: the file cannot be read, or holds no key.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._looked = clock()
        self._signature = self._sign()
        self._hashes = self._read()

    def admits(self, headers: Headers) -> bool:
        """Whether a request brings one of the keys."""
        self._follow()
        given = key_of(headers)
        if given is None:
            return False
        hashed = _hash(given)
        matches = [hmac.compare_digest(hashed, known) for known in self._hashes]  # all of them, whichever fits
        return any(matches)

    def _follow(self) -> None:
        """Read the file again where it changed; one that cannot be used leaves the keys as they are."""
        if self._clock() - self._looked < LOOK_EVERY_S:
            return
        self._looked = self._clock()
        signature = self._sign()
        if signature == self._signature:
            return
        self._signature = signature
        try:
            self._hashes = self._read()
            logger.info("the API keys were read anew: %d", len(self._hashes))
        except KeysError as error:
            logger.warning("the API keys stay as they were: %s", error)

    def _sign(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self) -> list[bytes]:
        try:
            lines = self._path.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not text"
            raise KeysError(f"{self._path} cannot be read: {reason}") from None
        keys = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
        if not keys:
            raise KeysError(f"{self._path} holds no key: write one a line")
        return [_hash(key) for key in keys]


def key_of(headers: Headers) -> str | None:
    """The key that a request brings, as a bearer token or in X-API-Key."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("x-api-key")


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()

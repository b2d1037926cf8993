"""API keys: a file with one key per line. The file is read again when it changes. An empty file revokes all keys.

    GANVAS_API_KEYS_FILE=/run/secrets/ganvas-keys python -m service
    curl -H "Authorization: Bearer KEY" ...      or      curl -H "X-API-Key: KEY" ...

Keys are kept as hashes. A key is compared with every hash in constant time, so the response time reveals nothing about the
keys. Keys are never logged.
"""

import codecs
import hashlib
import hmac
import logging
import stat
import time
from collections.abc import Callable
from pathlib import Path

from starlette.datastructures import Headers

logger = logging.getLogger("ganvas.service")

MAX_BYTES = 2**20  # about 16,000 keys, which take milliseconds to compare
POLL_S = 1.0  # seconds between two looks at the file


class KeysError(Exception):
    """The file of keys cannot be used. The message says why."""


class ApiKeys:
    """The keys of one file.

    Args:
        path: one key per line, in UTF-8 or UTF-16; blank lines and lines that begin with # are ignored.
        clock: a monotonic clock, in seconds.

    Raises:
        KeysError: the file cannot be read, or contains no key.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._last_poll = clock()
        self._signature = self._sign()
        self._hashes = self._read()
        if not self._hashes:
            raise KeysError(f"{path} contains no key; write one key per line")

    def accept(self, headers: Headers) -> bool:
        """Whether the headers of a request contain one of the keys."""
        self._follow()
        given = key_of(headers)
        if given is None:
            return False
        hashed = _hash(given.encode("latin-1"))  # the bytes of the header: a key may have any letters
        matches = [hmac.compare_digest(hashed, known) for known in self._hashes]  # all of them, even after a match
        return any(matches)

    def _follow(self) -> None:
        """Read the file again if it has changed. If it is missing or cannot be read, as during an update, keep the keys."""
        if self._clock() - self._last_poll < POLL_S:
            return
        self._last_poll = self._clock()
        signature = self._sign()
        if signature == self._signature:
            return
        self._signature = signature
        try:
            self._hashes = self._read()
            if self._hashes:
                logger.info("API keys reloaded: %d", len(self._hashes))
            else:
                logger.warning("The file of API keys contains no key: all requests to /v1 and /v2 are rejected.")
        except KeysError as error:
            logger.warning("API keys not reloaded, the old ones stay valid: %s", error)

    def _sign(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self) -> list[bytes]:
        try:
            status = self._path.stat()
            if not stat.S_ISREG(status.st_mode):  # reading a pipe would stop the service until somebody writes to it
                raise KeysError(f"{self._path} cannot be read: not a file")
            if status.st_size > MAX_BYTES:
                raise KeysError(f"{self._path} has {status.st_size} bytes; at most {MAX_BYTES} are allowed")
            data = self._path.read_bytes()
            # Windows marks text files: Notepad writes UTF-8 with a mark at the start, PowerShell also UTF-16.
            text = data.decode("utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a text file"
            raise KeysError(f"{self._path} cannot be read: {reason}") from None
        lines = [line.strip() for line in text.splitlines()]
        return [_hash(line.encode()) for line in lines if line and not line.startswith("#")]


def key_of(headers: Headers) -> str | None:
    """Return the key in a request's headers, from `Authorization: Bearer` or from X-API-Key."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("x-api-key")


def _hash(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()

"""Logs on stderr: one JSON object per line, or text on a terminal, with the id of the request."""

import logging
import sys
from datetime import UTC, datetime
from typing import Literal

from pythonjsonlogger.json import JsonFormatter

from service.http.request_ids import REQUEST_ID

TEXT = "%(asctime)s %(levelname)s %(message)s"


class TextFormatter(logging.Formatter):
    """A line of text with the request's id at its end."""

    def __init__(self) -> None:
        super().__init__(TEXT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # name from logging
        """Format one record without its traceback."""
        request_id = REQUEST_ID.get()
        line = super().formatMessage(record)
        return f"{line} [{request_id}]" if request_id else line


def json_formatter() -> logging.Formatter:
    """Formats `time`, `level`, `logger`, `message`, `request_id`, `traceback` and what `extra={...}` adds; see `add_fields`."""
    return JsonFormatter(
        ["time", "level", "name", "message"],
        rename_fields={"name": "logger", "exc_info": "traceback"},
        json_default=str,
    )


def add_fields(record: logging.LogRecord) -> bool:
    """Add the fields of `json_formatter` that logging does not set. A filter that passes every record."""
    record.time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    record.level = record.levelname.lower()
    if request_id := REQUEST_ID.get():
        record.request_id = request_id
    return True


def set_up(log_format: Literal["auto", "json", "text"]) -> None:
    """Log to stderr: this service's messages from INFO, other libraries' messages from WARNING."""
    text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    if text:
        handler.setFormatter(TextFormatter())
    else:
        handler.setFormatter(json_formatter())
        handler.addFilter(add_fields)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("ganvas").setLevel(logging.INFO)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns about every malformed form

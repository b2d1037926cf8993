"""What the service logs: one JSON object a line, or text for people, with the request's id where there is one."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal

from service.http.request_ids import REQUEST_ID

TEXT = "%(asctime)s %(levelname)s %(message)s"


class JsonFormatter(logging.Formatter):
    """A line of JSON: time, level, logger, message, request id, what `extra={"fields": {...}}` adds, and the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := REQUEST_ID.get():
            line["request_id"] = request_id
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """A line for people, with the request's id at its end."""

    def __init__(self) -> None:
        super().__init__(TEXT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's own name
        """Write one record without its traceback."""
        request_id = REQUEST_ID.get()
        line = super().formatMessage(record)
        return f"{line} [{request_id}]" if request_id else line


def set_up(log_format: Literal["auto", "json", "text"]) -> None:
    """Log to stderr: this service's messages from INFO on, others' from WARNING on."""
    text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextFormatter() if text else JsonFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("ganvas").setLevel(logging.INFO)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of every broken form

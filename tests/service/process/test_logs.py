"""The fields of a JSON log line, as docs/operations.md lists them."""

import json
import logging
import sys

from service.http.request_ids import REQUEST_ID
from service.process.logs import add_fields, json_formatter


def line_of(record: logging.LogRecord) -> dict[str, object]:
    assert add_fields(record)
    text = json_formatter().format(record)
    assert "\n" not in text
    fields: dict[str, object] = json.loads(text)
    return fields


def record_of(message: str, *args: object, **extra: object) -> logging.LogRecord:
    logger = logging.getLogger("ganvas.service")
    return logger.makeRecord(logger.name, logging.WARNING, "file.py", 1, message, args, None, extra=extra)


def test_line_has_the_documented_fields() -> None:
    line = line_of(record_of("Loaded %s.", "digits"))
    assert str(line.pop("time")).endswith("+00:00")
    assert line == {"level": "warning", "logger": "ganvas.service", "message": "Loaded digits."}


def test_line_has_the_fields_of_the_call() -> None:
    line = line_of(record_of("GET", route="/v1/models", status=200))
    assert (line["route"], line["status"]) == ("/v1/models", 200)


def test_line_names_the_request() -> None:
    token = REQUEST_ID.set("abc")
    try:
        assert line_of(record_of("Failed."))["request_id"] == "abc"
    finally:
        REQUEST_ID.reset(token)


def test_line_has_the_traceback_of_an_exception() -> None:
    record = record_of("Failed.")
    try:
        raise ValueError("unlucky")
    except ValueError:
        record.exc_info = sys.exc_info()
    assert "ValueError: unlucky" in str(line_of(record)["traceback"])

"""Which thread parses a JSON body; a running service does not show this."""

import subprocess
import sys

# In its own process: the import of BentoML causes warnings, and warnings are errors here.
SCRIPT = """
import asyncio, threading
from pydantic import model_validator
from starlette.requests import Request
from service.http.parsing import MAX_JSON_ON_LOOP, JsonBody
from service.http.problems import Problem


class Recording(JsonBody):
    number: int

    @classmethod
    def max_bytes(cls):
        return 2 * MAX_JSON_ON_LOOP

    @model_validator(mode="before")
    @classmethod
    def record(cls, fields):
        print(threading.current_thread().name, end=" ")
        return fields


def read(data):
    async def receive():
        return {"type": "http.request", "body": data}

    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}
    try:
        print(asyncio.run(Recording.read(Request(scope, receive))).number)
    except Problem as problem:
        print(problem.status, problem.detail)


large = b" " * MAX_JSON_ON_LOOP
read(b'{"number": 1}')
read(b'{"number": 2}' + large)
read(b'{"number": 3, "colour": 4}' + large)
read(b'{' + large)
read(large + large + b' ')
"""


def test_large_json_is_parsed_off_the_event_loop() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True, timeout=60)
    small, large, unknown, malformed, too_large = done.stdout.splitlines()
    assert small == "MainThread 1"
    assert large == "json_0 2"
    assert unknown.startswith("json_0 422 colour: Unknown field")
    assert malformed.startswith("400 The body is not valid JSON")
    assert too_large == "413 The JSON body is larger than the limit of 524288 bytes."

"""How bodies are read, where a running service does not show it: threads, memory, disk."""

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


FORM_SCRIPT = """
import asyncio, tempfile
from starlette.requests import Request
from service.http.parsing import FormBody, Upload

tempfile.tempdir = "/missing"  # as if its disk were full


class Photos(FormBody):
    image: list[Upload]


head = b'--b\\r\\nContent-Disposition: form-data; name="image"; filename="a.png"\\r\\n\\r\\n'
body = b"".join(head + b"x" * size + b"\\r\\n" for size in (3 * 2**20, 5))


async def receive():
    return {"type": "http.request", "body": body + b"--b--\\r\\n"}


headers = [(b"content-type", b"multipart/form-data; boundary=b")]
scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}
read = asyncio.run(Photos.read(Request(scope, receive)))
print([len(upload.data) for upload in read.image])
"""


def test_uploads_never_touch_the_disk() -> None:
    done = subprocess.run([sys.executable, "-c", FORM_SCRIPT], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "[3145728, 5]\n"


SPACES_SCRIPT = """
import asyncio
from starlette.requests import Request
from service.http.forms import read_form

head = b'--b\\r\\nContent-Disposition: form-data; name="image"; filename*=' + b" " * 4000 + b"\\r\\n\\r\\n"


async def receive():
    return {"type": "http.request", "body": (head + b"\\r\\n") * 1000 + b"--b--\\r\\n"}


scope = {"type": "http", "headers": [(b"content-type", b"multipart/form-data; boundary=b")]}
print(len(asyncio.run(read_form(Request(scope, receive))).getlist("image")))
"""


def test_names_of_spaces_are_read_at_once() -> None:
    """The event loop reads them. Before, each took as long as the square of its length: these took over a minute."""
    done = subprocess.run([sys.executable, "-c", SPACES_SCRIPT], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "1000\n"

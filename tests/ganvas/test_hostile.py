"""A hostile service chooses no file, writes nothing to a terminal, and does not fill the memory."""

import asyncio
import gzip
import io
import json
import os
import re
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

import ganvas
from ganvas import api
from ganvas.limits import ERROR_BYTES, JSON_BYTES, MIB, images_limit, stylized_limit
from service.settings import ROOT
from tests.ganvas.conftest import Ask, Gateway
from tests.service.onnx_models import generator_card, stylizer_card

EVIL_TEXTS = [
    "[/x] closing",
    "[bold red]x[/]",
    "[link=http://evil]click[/link]",
    "a\x1b]0;owned\x07b\x1b[2Jc",
    "a\rb",
    "\u202egnp.exe",
    "\ud800",
    "\x9b31m",
    "first\n\nError: forged",
]


def png(width: int = 8, height: int = 8, mode: str = "L") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (width, height)).save(buffer, "png")
    return buffer.getvalue()


def zipped(files: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as opened:
        for name, data in files.items():
            opened.writestr(name, data)
    return buffer.getvalue()


def npy(header: str, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(header)) + header.encode() + data


def images_header(*shape: int) -> str:
    return f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"


def command(gateway: Gateway, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run `ganvas ...` in a process of its own, as a user would."""
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "GANVAS_URL": gateway.url, "PYTHONUTF8": "1", **environment}
    line = [sys.executable, "-m", "ganvas", *arguments]
    return subprocess.run(line, cwd=folder, env=settings, capture_output=True, timeout=120)


def without_bodies(value: object) -> str | None:
    """Ids of tests that do not contain whole bodies: zips hold the time, and workers of pytest must agree on ids."""
    return "body" if isinstance(value, bytes) else None


def is_clean(output: bytes) -> bool:
    """Whether text controls no terminal."""
    return all(character == "\n" or character.isprintable() for character in output.decode())


@pytest.mark.parametrize(
    "headers",
    [
        {"Ganvas-Model": "../../../../owned@1"},
        {"Ganvas-Model": "/tmp/owned@1"},
        {"Ganvas-Model": ".bashrc@1"},
        {"Ganvas-Model": "a\\b@1"},
        {"Ganvas-Model": "a\x1b[2J@1"},
        {"Ganvas-Model": "a" * 64 + "@1"},
        {"Ganvas-Model": "digits"},
        {"Ganvas-Model": "digits@"},
        {"Ganvas-Model": "digits@../1"},
        {"Ganvas-Model": "digits@1\x1b]0;owned\x07"},
        {"Ganvas-Seed": "9" * 5000},
        {"Ganvas-Seed": str(2**32)},
        {"Ganvas-Seed": "-1"},
        {"Ganvas-Seed": "../7"},
        {"Ganvas-Seed": "\xb2"},
        {"Ganvas-Seeds": "7,"},
        {"Ganvas-Seeds": "7, nonsense"},
    ],
)
def test_headers_are_checked(gateway: Gateway, ask: Ask, headers: dict[str, str]) -> None:
    gateway.responses.append((200, {"Content-Type": "image/png", "Ganvas-Model": "digits@1", **headers}, png()))
    with pytest.raises(ganvas.UnexpectedResponseError) as caught:
        ask(gateway.url, "sample", format="png")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "name", [".bashrc", "Makefile", "../x.png", "/tmp/x.png", "x\x1b[2J\x07.png", "CON", "\xe2\x80\xaex.png"]
)
def test_file_is_never_named_by_the_service(gateway: Gateway, tmp_path: Path, name: str) -> None:
    (tmp_path / "Makefile").write_text("mine")
    (tmp_path / "digits-7.png").write_text("mine too")
    for _ in range(2):
        headers = {"Content-Type": "image/png", "Ganvas-Model": "digits@1", "Ganvas-Seed": "7"}
        gateway.responses.append((200, {**headers, "Content-Disposition": f'inline; filename="{name}"'}, png()))
    assert command(gateway, tmp_path, "sample").stdout == b"Wrote digits-7-2.png (digits@1, seed 7).\n"
    with ganvas.Client(gateway.url) as client:
        assert client.sample(format="png").filename == "digits-7.png"
    assert {path.name for path in tmp_path.iterdir()} == {"Makefile", "digits-7.png", "digits-7-2.png"}
    assert (tmp_path / "Makefile").read_text() == "mine"
    assert (tmp_path / "digits-7.png").read_text() == "mine too"


@pytest.mark.parametrize(
    ("image_format", "body"),
    [
        ("png", b"#!/bin/sh\necho owned\n"),
        ("png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n"),
        ("png", b"GIF89a"),
        ("webp", png()),
        ("zip", png()),
        ("npy", zipped({"a.png": png()})),
    ],
    ids=without_bodies,
)
def test_rejects_body_of_another_format(gateway: Gateway, ask: Ask, image_format: str, body: bytes) -> None:
    media_type = api.FILE_TYPES[image_format].media_type
    gateway.will(200, body, Content_Type=media_type, Ganvas_Model="digits@1")
    with pytest.raises(ganvas.UnexpectedResponseError, match=f"is not {media_type}"):
        ask(gateway.url, "sample", format=image_format)
    gateway.will(200, png(), Content_Type="image/png", Ganvas_Model="digits@1")
    with pytest.raises(ganvas.UnexpectedResponseError, match="image/png instead of image/jpeg"):
        ask(gateway.url, "sample", format="jpeg")


ONE = images_limit(1).bytes


@pytest.mark.parametrize(
    ("image_format", "body", "words"),
    [
        ("zip", zipped({"a.png": bytes(64 * MIB)}, zipfile.ZIP_DEFLATED), "more than 17 MiB"),
        ("zip", zipped({"a.png": png(), "b.png": png()}), "more files than were requested"),
        ("zip", zipped({f"{i}": b"" for i in range(3000)}), "more files than were requested"),
        ("zip", zipped({"a.png": png()}, zipfile.ZIP_LZMA), "compressed in a way"),
        ("zip", zipped({"a.png": png()}, zipfile.ZIP_BZIP2), "compressed in a way"),
        ("zip", zipped({"a.png": b"%!PS-Adobe-3.0 EPSF-3.0\n"}), "not an image"),
        ("png", png(30_000, 30_000, "1"), "cannot be read"),
        ("png", png(6_000, 6_000), "more than 17 MiB"),
        ("npy", npy(images_header(30_000_000, 0, 5, 1)), "header"),
        ("npy", npy(images_header(2**40, 1, 1, 1)), "header"),
        ("npy", npy(images_header(1000, 1, 1, 1), bytes(1000)), "more images than were requested"),
        ("npy", npy(images_header(1, 8, 8, 1), bytes(63)), "63 bytes of pixels"),
        ("npy", npy("-" * 3_000_000 + "1"), "header"),
        ("npy", npy("(" * 3_000_000), "header"),
        ("npy", npy("{'descr': '|O', 'fortran_order': False, 'shape': (1, 1, 1, 1), }", b"c__builtin__\n"), "header"),
        ("npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "header"),
    ],
    ids=without_bodies,
)  # fmt: skip
def test_rejects_bombs_when_they_are_read(gateway: Gateway, ask: Ask, image_format: str, body: bytes, words: str) -> None:
    gateway.will(200, body, Content_Type=api.FILE_TYPES[image_format].media_type, Ganvas_Model="digits@1")
    result = ask(gateway.url, "sample", format=image_format)
    with pytest.raises(ganvas.UnexpectedResponseError, match=words):
        _ = result.images


@pytest.mark.parametrize("header", ["-" * 3000, "{'descr': '|O', 'fortran_order': False, 'shape': (1, 1, 1, 1), }"])
def test_array_reads_no_other_npy(gateway: Gateway, ask: Ask, header: str) -> None:
    gateway.will(200, npy(header), Content_Type="application/x-npy", Ganvas_Model="digits@1")
    with pytest.raises(ganvas.UnexpectedResponseError, match="header"):
        _ = ask(gateway.url, "sample").array


def test_animation_has_no_more_frames_than_were_asked_for(gateway: Gateway, ask: Ask) -> None:
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (4, 4), (i, 0, 0)) for i in range(5)]
    frames[0].save(buffer, "webp", save_all=True, append_images=frames[1:], lossless=True)
    for steps in (2, 3):
        gateway.will(200, buffer.getvalue(), Content_Type="image/webp", Ganvas_Model="digits@1")
        walk = ask(gateway.url, "interpolate", [1, 2], steps=steps)
        if steps == 3:
            assert len(walk) == 5
        else:
            with pytest.raises(ganvas.UnexpectedResponseError, match=r"more images than were requested \(4\)"):
                len(walk)


def test_limits_follow_from_what_was_asked() -> None:
    assert images_limit(1).bytes < images_limit(16).bytes < images_limit(10**9).bytes == 1024 * MIB
    assert stylized_limit(384).bytes < 2 * MIB < stylized_limit(None).bytes < stylized_limit(8000).bytes <= 1024 * MIB
    assert stylized_limit(10**9).bytes == 1024 * MIB
    assert images_limit("three").images == 1  # the service rejects it


@pytest.mark.parametrize("method", ["models", "sample"])
@pytest.mark.parametrize("packed", [False, True])
def test_response_is_bounded_after_decompression(gateway: Gateway, ask: Ask, method: str, packed: bool) -> None:
    limit = JSON_BYTES if method == "models" else ONE
    body = bytes(limit + 1)
    encoding = {"Content-Encoding": "gzip"} if packed else {}
    gateway.responses.append((200, encoding, gzip.compress(body) if packed else body))
    with pytest.raises(ganvas.UnexpectedResponseError, match=f"larger than {limit // MIB} MiB"):
        ask(gateway.url, method)


def test_endless_gzip_that_expands_to_nothing_is_bounded(gateway: Gateway, ask: Ask) -> None:
    head, empty_block = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", b"\x00\x00\x00\xff\xff"
    gateway.responses.append((200, {"Content-Encoding": "gzip"}, head + empty_block * (2 * JSON_BYTES // 5)))
    with pytest.raises(ganvas.UnexpectedResponseError, match="larger than"):
        ask(gateway.url, "models")


class Dribble(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that never ends, a byte at a time."""

    def __iter__(self) -> Iterator[bytes]:
        while True:
            time.sleep(0.01)
            yield b" "

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.01)
            yield b" "


@pytest.mark.parametrize("status", [200, 503])
def test_body_that_never_ends_is_given_up(status: int) -> None:
    dribbling = httpx.MockTransport(lambda _: httpx.Response(status, stream=Dribble()))

    async def models() -> None:
        async with ganvas.AsyncClient("http://localhost", timeout=0.1, transport=dribbling) as client:
            await client.models()

    with ganvas.Client("http://localhost", timeout=0.1, retries=0, transport=dribbling) as client:
        for ask in (client.models, lambda: asyncio.run(models())):
            with pytest.raises(ganvas.NoResponseError, match="in time"):
                ask()


def test_gzip_is_understood(gateway: Gateway, ask: Ask) -> None:
    gateway.responses.append((200, {"Content-Encoding": "gzip"}, gzip.compress(b'{"models": []}')))
    assert list(ask(gateway.url, "models")) == []
    assert gateway.seen[0]["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("br", b"x"),
        ("deflate", zlib.compress(b'{"models": []}')),
        ("gzip, gzip", gzip.compress(gzip.compress(b'{"models": []}'))),
        ("gzip", b"not gzip"),
        ("gzip", gzip.compress(b'{"models": []}')[:-9]),
        ("gzip", gzip.compress(b'{"models": []}') * 2),
        ("\xff\x1b[2J", b"x"),
    ],
    ids=without_bodies,
)
def test_rejects_other_encodings(gateway: Gateway, ask: Ask, encoding: str, body: bytes) -> None:
    gateway.responses.append((200, {"Content-Encoding": encoding}, body))
    with pytest.raises(ganvas.UnexpectedResponseError) as caught:
        ask(gateway.url, "models")
    assert str(caught.value).isprintable()


def test_status_of_an_error_counts_without_its_body(gateway: Gateway, ask: Ask) -> None:
    bomb = gzip.compress(bytes(2 * ERROR_BYTES))
    for body, encoding in ((bomb, "gzip"), (b"x", "br"), (b"not gzip", "gzip")):
        gateway.responses.append((404, {"Content-Encoding": encoding, "Content-Type": "text/plain"}, body))
        with pytest.raises(ganvas.NotFoundError, match="Not Found"):
            ask(gateway.url, "models")


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a":' * 100_000, b"9" * 10_000, b"\xff\xfe", b"NaN", b'{"models": {}}'], ids=without_bodies
)
def test_json_of_any_kind_is_an_unexpected_response(gateway: Gateway, ask: Ask, body: bytes) -> None:
    gateway.will(200, body, Content_Type="application/json")
    with pytest.raises(ganvas.UnexpectedResponseError):
        ask(gateway.url, "models")
    gateway.will(422, body, Content_Type="application/json")
    with pytest.raises(ganvas.InvalidError):
        ask(gateway.url, "models")


@pytest.mark.parametrize("listed", ["models", "refused"])
def test_list_of_a_million_models_is_not_read(gateway: Gateway, ask: Ask, listed: str) -> None:
    """Checking each of them would take half a minute and most of a GiB."""
    body = json.dumps({"models": [], "refused": [], listed: [{}] * 1_000_000})
    gateway.will(200, body.encode(), Content_Type="application/json")
    with pytest.raises(ganvas.UnexpectedResponseError, match="it lists more than 10,000 models"):
        ask(gateway.url, "models")


@pytest.mark.parametrize("text", EVIL_TEXTS)
def test_problem_is_printable(gateway: Gateway, ask: Ask, text: str) -> None:
    document = {"type": text, "title": text, "detail": text * 10_000, "errors": [{"field": text, "detail": text}] * 1000}
    headers = {"Content-Type": "application/problem+json", "X-Request-ID": text.encode("utf-8", "replace").decode("latin-1")}
    headers["X-Request-ID"] = headers["X-Request-ID"].replace("\n", " ").replace("\r", " ")
    gateway.responses.append((422, headers, json.dumps(document).encode()))
    with pytest.raises(ganvas.InvalidError) as caught:
        ask(gateway.url, "models")
    error = caught.value
    assert all(part.isprintable() for part in (str(error), error.type, error.title, error.detail, error.request_id or ""))
    assert all((field.field + field.detail).isprintable() for field in error.errors)
    assert len(str(error)) < 3000
    assert len(error.errors) == 100


def test_text_of_a_gateway_is_decoded_as_utf_8_alone(gateway: Gateway, ask: Ask) -> None:
    """`charset=punycode` would take Python minutes."""
    gateway.will(400, b"a-" * 400_000, Content_Type="text/plain; charset=punycode")
    with pytest.raises(ganvas.MalformedError, match="a-a-"):
        ask(gateway.url, "models")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7), (" 7 ", 7), ("-1", None), ("nan", None), ("inf", None), ("1e9", None), ("9" * 400, 86_400), ("\xb2", None),
     ("nonsense\x1b[2J", None), ("Wed, 21 Oct 2055 07:28:00 GMT", None), ("", None)],
)  # fmt: skip
def test_retry_after_is_a_number_of_seconds(
    gateway: Gateway, ask: Ask, value: str, seconds: float | None, capfd: pytest.CaptureFixture[str]
) -> None:
    gateway.responses.append((429, {"Retry-After": value}, b""))
    with pytest.raises(ganvas.QueueFullError) as caught:
        ask(gateway.url, "models", options={"retries": 0})
    assert caught.value.retry_after == seconds
    assert capfd.readouterr() == ("", "")


def test_odd_retry_after_is_retried_without_a_log(gateway: Gateway, tmp_path: Path) -> None:
    gateway.responses.append((429, {"Retry-After": "nonsense\x1b[2J"}, b""))
    gateway.will(200, b'{"models": []}', Content_Type="application/json")
    process = command(gateway, tmp_path, "models")
    assert (process.returncode, process.stderr) == (0, b"The service has no model that this client can read.\n")


def test_redirect_is_not_followed(gateway: Gateway, ask: Ask) -> None:
    for status in (301, 302, 303, 307, 308):
        gateway.will(status, Location=f"{gateway.url}/steal")
        with pytest.raises(ganvas.UnexpectedResponseError, match=r"redirects to .*/steal, which the client does not follow"):
            ask(gateway.url, "sample", options={"api_key": "secret"})
    assert len(gateway.seen) == 5


def evil_listing(text: str) -> bytes:
    digits = generator_card().model_dump(mode="json") | {"title": text, "summary": text, "licence": text}
    painters = stylizer_card().model_dump(mode="json") | {"title": text}
    painters["styles"][0] |= {"title": text, "artist": text}
    newer = generator_card("newer").model_dump(mode="json") | {"kind": text}
    cards: list[Any] = [digits, painters, newer, {"name": text, "schema_version": text}, {text: text}]
    refused = [{"file": text, "reason": text}]
    return json.dumps({"models": [{"version": "1", "card": card} for card in cards], "refused": refused}).encode()


@pytest.mark.parametrize("text", EVIL_TEXTS)
def test_listing_is_printed_as_text(gateway: Gateway, tmp_path: Path, text: str) -> None:
    gateway.will(200, evil_listing(text), Content_Type="application/json")
    listed = command(gateway, tmp_path, "models", COLUMNS="80")
    assert listed.returncode == 0, listed.stderr
    assert is_clean(listed.stdout)
    assert is_clean(listed.stderr)
    assert b"\nError: forged" not in listed.stdout + listed.stderr
    if text.startswith("["):
        assert text.encode() in listed.stdout
    model = json.dumps(json.loads(evil_listing(text))["models"][0]).encode()
    gateway.will(200, model, Content_Type="application/json")
    shown = command(gateway, tmp_path, "models", "digits", COLUMNS="80")
    assert (shown.returncode, is_clean(shown.stdout), shown.stderr) == (0, True, b"")


@pytest.mark.parametrize(
    "title", [r"\"; touch owned; \"", r"\$(touch owned)", r"\`touch owned\`", "$(touch owned)", "';touch owned;'"]
)
def test_completion_gives_a_shell_nothing_to_run(gateway: Gateway, tmp_path: Path, title: str) -> None:
    """zsh evaluates what the completion prints."""
    gateway.will(200, evil_listing(title), Content_Type="application/json")
    environment = {"_GANVAS_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "ganvas sample --model "}
    completed = command(gateway, tmp_path, **environment)
    (described,) = re.findall(r'"digits":"([^"]*)"\)\)', completed.stdout.decode())
    assert "touch owned" in described
    assert set(described) <= set("touch owned()")


def test_batch_writes_only_images(gateway: Gateway, ask: Ask, tmp_path: Path) -> None:
    listing = json.dumps({"models": [{"version": "1", "card": generator_card().model_dump(mode="json")}]}).encode()
    for body, words in (
        (zipped({"../../owned.png": b"#!/bin/sh"}), "not an image"),
        (zipped({"a.png": png(), "b.png": png()}), "more files than were requested"),
        (zipped({"a.png": bytes(64 * MIB)}, zipfile.ZIP_DEFLATED), "more than 17 MiB"),
    ):
        gateway.will(200, listing, Content_Type="application/json")
        gateway.will(200, body, Content_Type="application/zip", Ganvas_Model="digits@1")
        with pytest.raises(ganvas.UnexpectedResponseError, match=words):
            ask(gateway.url, "sample_many", 1, tmp_path / "out")
    gateway.will(200, listing, Content_Type="application/json")
    gateway.will(200, zipped({"../../owned.png": png()}), Content_Type="application/zip", Ganvas_Model="digits@1")
    assert ask(gateway.url, "sample_many", 1, tmp_path / "out").made == 1
    names = {path.name for path in tmp_path.rglob("*")}
    assert names == {"out", "manifest.jsonl", ".manifest.lock", "digits-0-000.png"}

import codecs
import logging
import os
from pathlib import Path

import httpx
import pytest
from starlette.datastructures import Headers

from service.http.api_keys import POLL_S, ApiKeys, KeysError, key_of
from tests.service.conftest import Problem
from tests.service.running import running

SECRET = "first-secret-key"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(f"# of the studio\n{SECRET}\n\n  second-secret-key  \n")
    return path


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def headers(key: str) -> Headers:
    return Headers({"Authorization": f"Bearer {key}"})


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"Authorization": "Bearer abc"}, "abc"),
        ({"authorization": "bearer   abc "}, "abc"),
        ({"X-API-Key": "abc"}, "abc"),
        ({"Authorization": "Basic YTpi", "X-API-Key": "abc"}, "abc"),
        ({"Authorization": "Bearer "}, None),
        ({"Authorization": "abc"}, None),
        ({}, None),
    ],
)
def test_reads_key_from_bearer_token_or_x_api_key_header(given: dict[str, str], key: str | None) -> None:
    assert key_of(Headers(given)) == key


def test_accepts_every_key_of_the_file_and_no_other(file: Path) -> None:
    keys = ApiKeys(file)
    assert keys.accept(headers(SECRET))
    assert keys.accept(headers("second-secret-key"))
    for wrong in ("", "first", SECRET + "x", SECRET.upper(), "# of the studio", "\xff"):
        assert not keys.accept(headers(wrong))
    assert not keys.accept(Headers({}))


def test_accepts_key_of_any_letters(tmp_path: Path) -> None:
    """A client sends them as UTF-8, and a server reads headers as Latin-1."""
    (tmp_path / "keys").write_text("schl\u00fcssel-\u043a\u043b\u044e\u0447", encoding="utf-8")
    keys = ApiKeys(tmp_path / "keys")
    assert keys.accept(Headers(raw=[(b"x-api-key", (tmp_path / "keys").read_bytes())]))
    assert not keys.accept(Headers(raw=[(b"x-api-key", b"schl\xfcssel")]))


def test_keys_are_kept_as_hashes(file: Path) -> None:
    assert SECRET not in str(vars(ApiKeys(file)))


def test_reloads_changed_file(file: Path) -> None:
    clock = Clock()
    keys = ApiKeys(file, clock)
    file.write_text("third\n")
    assert keys.accept(headers(SECRET))  # the file is not read for every request
    clock.now += POLL_S
    assert keys.accept(headers("third"))
    assert not keys.accept(headers(SECRET))


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(b"\xff\xff"), os.remove], ids=["not text", "gone"])
def test_keeps_keys_when_file_becomes_unusable(file: Path, change: object, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    keys = ApiKeys(file, clock)
    change(file)  # type: ignore[operator]
    clock.now += POLL_S
    with caplog.at_level(logging.WARNING):
        assert keys.accept(headers(SECRET))
    assert "the old ones stay valid" in caplog.text


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"# revoked\r\n\r\n"])
def test_file_without_keys_revokes_all(content: bytes, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    keys = ApiKeys(file, clock)
    file.write_bytes(content)
    clock.now += POLL_S
    with caplog.at_level(logging.WARNING):
        for given in (SECRET, "second-secret-key", "", "# revoked"):
            assert not keys.accept(headers(given))
    assert "contains no key: all requests to /v1 and /v2 are rejected" in caplog.text
    file.write_text("third\n")
    clock.now += POLL_S
    assert keys.accept(headers("third"))


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [(b"", "utf-8"), (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_reads_files_of_windows_editors(mark: bytes, encoding: str, end: str, tmp_path: Path) -> None:
    for lines in ([SECRET, "second-secret-key"], ["# schl\u00fcssel", "", SECRET, "second-secret-key", ""]):
        path = tmp_path / "keys"
        path.write_bytes(mark + end.join(lines).encode(encoding))
        keys = ApiKeys(path)
        assert keys.accept(headers(SECRET))
        assert keys.accept(headers("second-secret-key"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no key"),
        (b"#\n \n", "no key"),
        (codecs.BOM_UTF8, "no key"),
        (codecs.BOM_UTF16_LE, "no key"),
        (codecs.BOM_UTF16_LE + b"k", "not a text file"),
        (b"k\xff", "not a text file"),
        (None, "read"),
    ],
)
def test_refuses_file_without_keys_at_start(content: bytes | None, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(KeysError, match=reason):
        ApiKeys(path)


def test_keeps_keys_when_file_becomes_a_pipe(file: Path) -> None:
    """Reading it would stop the service until somebody writes."""
    clock = Clock()
    keys = ApiKeys(file, clock)
    file.unlink()
    os.mkfifo(file)
    clock.now += 2 * POLL_S
    assert keys.accept(headers(SECRET))
    with pytest.raises(KeysError, match="cannot be read: not a file"):
        ApiKeys(file)


def test_refuses_file_that_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("key\n" * 300_000)
    with pytest.raises(KeysError, match="has 1200000 bytes; at most 1048576 are allowed"):
        ApiKeys(tmp_path / "keys")


def test_api_routes_need_a_key_and_other_routes_do_not(
    models_folder: Path, file: Path, tmp_path: Path, problem: Problem
) -> None:
    options = {"api_keys_file": file, "cors_origins": "https://studio.example", "access_log": True}
    with running(models_folder, tmp_path / "log", **options) as service, httpx.Client(base_url=service.url) as client:
        for path in ("/v1/models", "/v1/models/digits", "/v1/models/digits/preview.png", "/v1/nope", "/v2/models/digits"):
            refused = client.get(path)
            problem(refused, 401, mentions="API key")
            assert refused.headers["www-authenticate"] == "Bearer"
        for path in ("/v1/sample", "/v1/stylize", "/%761/sample", "/v2/models/digits/infer", "/v2/repository/index"):
            problem(client.post(path, headers={"Authorization": "Bearer wrong"}), 401)
        error = client.get("/v2").json()
        assert error["error"] == error["detail"]
        for path in ("/livez", "/readyz", "/healthz", "/metrics", "/docs.json", "/", "/v2/health/live", "/v2/health/ready"):
            assert client.get(path).status_code == 200
        assert client.post("/v1/sample", headers={"Authorization": f"Bearer {SECRET}"}).status_code == 200
        assert client.post("/v1/sample", headers={"X-API-Key": "second-secret-key"}).status_code == 200

        # A page of another origin: its preflight request needs no key, and it may read the headers it needs.
        asked = {"Origin": "https://studio.example", "Access-Control-Request-Method": "POST"}
        allowed = client.options("/v1/sample", headers={**asked, "Access-Control-Request-Headers": "authorization"})
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == "https://studio.example"
        response = client.post("/v1/sample", headers={"Origin": "https://studio.example", "X-API-Key": SECRET})
        assert "Ganvas-Seed" in response.headers["access-control-expose-headers"]
        # CORS is outside of authentication, so the page can read why it was rejected.
        rejected = client.post("/v1/sample", headers={"Origin": "https://studio.example"})
        problem(rejected, 401, mentions="API key")
        assert rejected.headers["access-control-allow-origin"] == "https://studio.example"
        assert "X-Request-ID" in rejected.headers["access-control-expose-headers"]
        refused = client.options("/v1/sample", headers={**asked, "Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in refused.headers

        assert service.stop() == 0
        assert '"route": "/v1/sample"' in service.stderr()
        assert "secret-key" not in service.stderr()


def test_cors_is_off_by_default(client: httpx.Client, problem: Problem) -> None:
    origin = {"Origin": "https://evil.example"}
    assert not any(name.startswith("access-control") for name in client.post("/v1/sample", headers=origin).headers)
    problem(client.options("/v1/sample", headers={**origin, "Access-Control-Request-Method": "POST"}), 405)

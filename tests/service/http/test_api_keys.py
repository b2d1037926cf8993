import os
from pathlib import Path

import httpx
import pytest
from starlette.datastructures import Headers

from service.http.api_keys import LOOK_EVERY_S, Keys, KeysError, key_of
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
def test_a_key_comes_as_a_bearer_token_or_in_its_own_header(given: dict[str, str], key: str | None) -> None:
    assert key_of(Headers(given)) == key


def test_any_of_several_keys_opens(file: Path) -> None:
    keys = Keys(file)
    assert keys.admits(headers(SECRET))
    assert keys.admits(headers("second-secret-key"))
    for wrong in ("", "first", SECRET + "x", SECRET.upper(), "# of the studio", "\xff"):
        assert not keys.admits(headers(wrong))
    assert not keys.admits(Headers({}))


def test_keys_are_not_kept_as_they_are(file: Path) -> None:
    assert SECRET not in str(vars(Keys(file)))


def test_a_changed_file_is_read_again(file: Path) -> None:
    clock = Clock()
    keys = Keys(file, clock)
    file.write_text("third\n")
    assert keys.admits(headers(SECRET))  # it is not looked at with every request
    clock.now += LOOK_EVERY_S
    assert keys.admits(headers("third"))
    assert not keys.admits(headers(SECRET))


@pytest.mark.parametrize("change", [lambda path: path.write_text(""), os.remove], ids=["empty", "gone"])
def test_a_file_that_is_broken_later_leaves_the_keys(file: Path, change: object) -> None:
    clock = Clock()
    keys = Keys(file, clock)
    change(file)  # type: ignore[operator]
    clock.now += LOOK_EVERY_S
    assert keys.admits(headers(SECRET))


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "no key"), (b"#\n \n", "no key"), (b"\xff\xfe", "not text"), (None, "read")]
)
def test_a_file_without_keys_is_an_error_at_start(content: bytes | None, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(KeysError, match=reason):
        Keys(path)


def test_pictures_need_a_key_and_probes_do_not(models_folder: Path, file: Path, tmp_path: Path, problem: Problem) -> None:
    options = {"api_keys_file": file, "cors_origins": "https://studio.example", "access_log": True}
    with running(models_folder, tmp_path / "log", **options) as service, httpx.Client(base_url=service.url) as client:
        for path in ("/v1/models", "/v1/models/digits", "/v1/models/digits/preview.png", "/v1/nope"):
            refused = client.get(path)
            problem(refused, 401, mentions="API key")
            assert refused.headers["www-authenticate"] == "Bearer"
        for path in ("/v1/sample", "/v1/stylize", "/%761/sample"):
            problem(client.post(path, headers={"Authorization": "Bearer wrong"}), 401)
        for path in ("/livez", "/readyz", "/healthz", "/metrics", "/docs.json", "/"):
            assert client.get(path).status_code == 200
        assert client.post("/v1/sample", headers={"Authorization": f"Bearer {SECRET}"}).status_code == 200
        assert client.post("/v1/sample", headers={"X-API-Key": "second-secret-key"}).status_code == 200

        # A page of another origin: asked for beforehand without a key, and it may read what it needs of the answer.
        asked = {"Origin": "https://studio.example", "Access-Control-Request-Method": "POST"}
        allowed = client.options("/v1/sample", headers={**asked, "Access-Control-Request-Headers": "authorization"})
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == "https://studio.example"
        answer = client.post("/v1/sample", headers={"Origin": "https://studio.example", "X-API-Key": SECRET})
        assert "Ganvas-Seed" in answer.headers["access-control-expose-headers"]
        refused = client.options("/v1/sample", headers={**asked, "Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in refused.headers

        assert service.stop() == 0
        assert '"route": "/v1/sample"' in service.stderr()
        assert "secret-key" not in service.stderr()


def test_other_origins_are_not_allowed_unless_configured(client: httpx.Client, problem: Problem) -> None:
    origin = {"Origin": "https://evil.example"}
    assert not any(name.startswith("access-control") for name in client.post("/v1/sample", headers=origin).headers)
    problem(client.options("/v1/sample", headers={**origin, "Access-Control-Request-Method": "POST"}), 405)

"""Settings that cannot be used: one error that names the setting and its value, before any request."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ganvas
from ganvas.cli.app import app
from tests.ganvas.conftest import Ask, Gateway

LISTING = b'{"models": []}'


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("GANVAS_URL", "localhost:3000", "must be like http://localhost:3000"),
        ("GANVAS_URL", "http://", "must be like http://localhost:3000"),
        ("GANVAS_URL", "http://localhost:99999", "A port is 1 to 65535, not 99999"),
        ("GANVAS_URL", "http://localhost:0", "A port is 1 to 65535, not 0"),
        ("GANVAS_URL", "http://localhost:many", "must be like http://localhost:3000"),
        ("GANVAS_URL", "http://a\x1b[2Jb", "must be like http://localhost:3000"),
        ("GANVAS_API_KEY", "Schlüssel", "ASCII letters"),
        ("GANVAS_API_KEY", "secret\nkey", "without spaces or line breaks"),
        ("ALL_PROXY", "socks5://localhost:1080", r'pip install "httpx\[socks\]"'),
        ("all_proxy", "socks5h://localhost:1080", r'pip install "httpx\[socks\]"'),
        ("ALL_PROXY", "gopher://localhost:70", "must be like http://localhost:3128"),
        ("HTTP_PROXY", "localhost:3128", "must be like http://localhost:3128"),
        ("http_proxy", "http://me:hunter2@", "must be like http://localhost:3128"),
        ("http_proxy", "http://me:hunter2@localhost:99999", "A port is 1 to 65535"),
        ("SSL_CERT_FILE", "/nowhere/ca.pem", "There is no such file"),
        ("SSL_CERT_FILE", __file__, "holds no certificate in PEM form"),
        ("SSL_CERT_DIR", "/nowhere", "There is no such folder"),
        ("SSL_CERT_DIR", __file__, "There is no such folder"),
    ],
)
def test_variable_that_cannot_be_used_is_named(
    gateway: Gateway, ask: Ask, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    monkeypatch.setenv("GANVAS_URL", gateway.url)
    monkeypatch.setenv("no_proxy", "")
    if "socks" in value:
        monkeypatch.setattr("ganvas.environment.find_spec", lambda name: None)
    monkeypatch.setenv(variable, value)
    with pytest.raises(ganvas.ConfigurationError, match=words) as caught:
        ask(None, "models")
    message = str(caught.value)
    assert message.startswith(f"{variable} is ")
    assert message.isprintable()
    assert "hunter2" not in message
    assert ("secret" in message, isinstance(caught.value, ValueError)) == (False, True)

    printed = CliRunner().invoke(app, ["models"])
    assert (printed.exit_code, printed.stderr, printed.stdout) == (2, f"Error: {message}\n", "")
    printed = CliRunner().invoke(app, ["models", "--json"])
    assert (printed.exit_code, printed.stderr) == (2, "")
    assert json.loads(printed.stdout) == {"error": {"title": "Wrong usage", "detail": message}}
    assert gateway.seen == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"timeout": 0}, "timeout is '0'"),
        ({"timeout": -1.0}, "timeout is '-1.0'"),
        ({"timeout": float("nan")}, "timeout is 'nan'"),
        ({"timeout": float("inf")}, "timeout is 'inf'"),
        ({"timeout": "soon"}, "timeout is 'soon'"),
        ({"retries": -1}, "retries is '-1'"),
        ({"retries": 1.5}, "retries is '1.5'"),
        ({"api_key": "a b"}, "api_key is 'not shown'"),
    ],
)
def test_argument_that_cannot_be_used_is_named(ask: Ask, options: dict, words: str) -> None:
    with pytest.raises(ganvas.ConfigurationError, match=words):
        ask("http://localhost:1", "models", options=options)


def test_command_line_names_its_option() -> None:
    for arguments in (["models", "--url", "localhost"], ["--url", "localhost", "models"]):
        printed = CliRunner().invoke(app, arguments)
        assert (printed.exit_code, printed.stderr.partition(".")[0]) == (2, "Error: --url is 'localhost'")


def test_password_of_the_url_is_never_shown(ask: Ask) -> None:
    with pytest.raises(ganvas.NoResponseError, match=r"http://\*\*\*@127") as caught:
        ask("http://me:hunter2@127.0.0.1:1", "models", options={"retries": 0})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("host", ["a" * 64, "no.such.host.invalid", "a..b"])
def test_host_that_does_not_exist_gives_no_response(ask: Ask, host: str) -> None:
    with pytest.raises((ganvas.NoResponseError, ganvas.ConfigurationError), match=host):
        ask(f"http://{host}", "models", options={"retries": 0})


def test_proxy_that_does_not_respond_is_named(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://me:hunter2@127.0.0.1:1")
    with pytest.raises(ganvas.NoResponseError, match=r"through the proxy http://\S*127\.0\.0\.1:1 \(http_proxy\)") as caught:
        ask("http://ganvas.invalid", "models", options={"retries": 0})
    assert "hunter2" not in str(caught.value)


def test_certificate_variables_accept_certificates(
    gateway: Gateway, ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import certifi

    for variable, value in (("SSL_CERT_FILE", certifi.where()), ("SSL_CERT_DIR", str(tmp_path))):
        with monkeypatch.context() as patched:
            patched.setenv(variable, value)
            gateway.will(200, LISTING, Content_Type="application/json")
            assert list(ask(gateway.url, "models")) == []

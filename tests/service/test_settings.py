import subprocess
import sys
from pathlib import Path

import pytest

from service.settings import ROOT, Settings, misspelt, table
from tests.service.running import command, environment, running


def test_defaults_are_valid() -> None:
    chosen = Settings()
    assert chosen.models_folder == ROOT / "exported"
    assert chosen.default_side <= chosen.max_side


def test_every_setting_has_a_description() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_reads_environment_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GANVAS_MODELS", str(tmp_path))
    monkeypatch.setenv("GANVAS_MAX_N", "5")
    assert Settings().models_folder == tmp_path
    assert Settings().max_n == 5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEVICE", "gpu"),
        ("MAX_N", "many"),
        ("MAX_N", "0"),
        ("MAX_BODY_MB", "-1"),
        ("MAX_BATCH_WAIT_MS", "nan"),
        ("THREADS", "100000"),
        ("LOAD_TIMEOUT_S", "0"),
        ("MAX_MODEL_MB", "4096"),
        ("DEFAULT_MODELS", "painters;digits"),
        ("CORS_ORIGINS", "example.com"),
        ("CORS_ORIGINS", "https://example.com, https://example.org/"),
        ("TIMEOUT_S", "inf"),
        ("DEFAULT_SIDE", "999999"),
        ("API_KEYS_FILE", "/nowhere/keys"),
    ],
)
def test_invalid_value_prints_one_line_and_exits_with_2(name: str, value: str, tmp_path: Path) -> None:
    done = subprocess.run(
        command("--port", "0"),
        cwd=ROOT,
        env={**environment(tmp_path), f"GANVAS_{name}": value},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert f"GANVAS_{name}" in done.stderr


def test_origins_are_compared_as_browsers_send_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANVAS_CORS_ORIGINS", "https://Example.com:8443, null,http://[::1]:80,")
    assert Settings().cors_origins == ("https://example.com:8443", "null", "http://[::1]:80")
    monkeypatch.setenv("GANVAS_CORS_ORIGINS", "*")
    assert Settings().cors_origins == ("*",)


def test_a_variable_that_nearly_names_a_setting_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    for other in ("GANVAS_URL", "GANVAS_API_KEY", "GANVAS_SERVICE_HOST", "GANVAS_PORT_80_TCP", "GANVAS_MAX_N"):
        monkeypatch.setenv(other, "1")
    assert misspelt() == {}
    for name in ("GANVAS_MAXN", "GANVAS_API_KEYS", "GANVAS_CORS_ORIGIN"):
        monkeypatch.setenv(name, "1")
    assert misspelt() == {
        "GANVAS_API_KEYS": "GANVAS_API_KEYS_FILE",
        "GANVAS_CORS_ORIGIN": "GANVAS_CORS_ORIGINS",
        "GANVAS_MAXN": "GANVAS_MAX_N",
    }


def test_the_service_logs_a_misspelt_variable(tmp_path: Path) -> None:
    with running(tmp_path, tmp_path / "log", maxn=3) as service:
        assert "GANVAS_MAXN is not a setting and has no effect. Is GANVAS_MAX_N meant?" in service.stderr()


@pytest.mark.parametrize("arguments", [["--port", "99999"], ["--port", "x"], ["--port", "-1"], ["--nope"], ["extra"]])
def test_invalid_command_line_prints_a_message_and_exits_with_2(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "service", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "error:" in done.stderr
    assert "Traceback" not in done.stderr


def test_documentation_lists_the_current_settings() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    assert f"<!-- settings -->\n\n{table()}\n\n<!-- /settings -->" in page, "put in what `python -m service.settings` prints"

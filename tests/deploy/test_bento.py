"""Builds the bento, checks its contents and serves it with BentoML's command."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from service.settings import ROOT

LIMIT_S = 240  # generous, because the machine may be busy
BENTOML = [sys.executable, "-m", "bentoml"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment with a BentoML home of its own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GANVAS_")}
    folder = tmp_path_factory.mktemp("bentoml")
    return {**inherited, "BENTOML_HOME": str(folder), "BENTOML_DO_NOT_TRACK": "True", "GANVAS_DEVICE": "cpu"}


@pytest.fixture(scope="module")
def bento(home: dict[str, str]) -> Path:
    build = [*BENTOML, "build", "--output", "tag"]
    done = subprocess.run(build, cwd=ROOT, env=home, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr
    (folder,) = Path(home["BENTOML_HOME"]).glob("bentos/ganvas/*/bento.yaml")
    return folder.parent


@pytest.fixture(scope="module")
def served(bento: Path, home: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of `bentoml serve`, started outside the repository."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("elsewhere")
    command = [*BENTOML, "serve", f"ganvas:{bento.name}", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=home, stdout=log, stderr=log, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + LIMIT_S
        while True:
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            try:
                if httpx.get(f"{url}/readyz", timeout=10).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.2)
        yield url
        process.send_signal(signal.SIGTERM)
        process.wait(LIMIT_S)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_bento_contains_only_service_and_models(bento: Path) -> None:
    source = bento / "src"
    files = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    packages = {str(path.relative_to(ROOT)) for name in ("service", "ganvas") for path in (ROOT / name).rglob("*.py")}
    models = {str(path.relative_to(ROOT)) for path in (ROOT / "exported").glob("*.onnx")}
    studio = {str(path.relative_to(ROOT)) for path in (ROOT / "service" / "studio").rglob("*") if path.is_file()}
    assert files == {*packages, *studio, *models, "ganvas/py.typed", "LICENSE", "bentofile.yaml"}
    manifest = yaml.safe_load((bento / "bento.yaml").read_text())
    assert manifest["labels"].keys() == {"project", "licence"}
    assert (bento / "README.md").read_text() == (ROOT / "README.md").read_text()  # the description of the bento
    requirements = (bento / "env" / "python" / "requirements.txt").read_text()
    assert "onnxruntime" in requirements
    assert "torch" not in requirements


def test_packages_match_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    base = [name for name in project["dependencies"] if name.startswith("pydantic")]  # the other packages belong to the client
    wanted = [*base, *extras["http"], *(name for name in extras["service"] if "ganvas" not in name)]
    listed = yaml.safe_load((ROOT / "bentofile.yaml").read_text())["python"]["packages"]
    assert sorted(listed) == sorted(re.sub(r";.*", "", name) for name in wanted)


def test_bentoml_serves_the_bento(served: str) -> None:
    digits = httpx.post(f"{served}/v1/sample", json={"model": "digits", "n": 4, "seed": 7}, timeout=60)
    assert digits.headers["content-type"] == "image/png"
    photo = {"image": (ROOT / "docs/images/photo.jpg").read_bytes()}
    fields = {"model": "painters", "style": "great-wave", "max_side": "128"}
    painted = httpx.post(f"{served}/v1/stylize", data=fields, files=photo, timeout=60)
    assert painted.headers["content-type"] == "image/jpeg"
    names = [model["card"]["name"] for model in httpx.get(f"{served}/v1/models", timeout=60).json()["models"]]
    assert sorted(names) == sorted(path.stem for path in (ROOT / "exported").glob("*.onnx"))

"""Every example runs unchanged against the shipped models."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Error as BrowserError
from playwright.sync_api import expect, sync_playwright

from service.settings import ROOT
from tests.service.running import Running, running

EXAMPLES = ROOT / "examples"
PHOTO = ROOT / "docs" / "images" / "photo.jpg"

Run = Callable[..., str]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(ROOT / "exported", tmp_path_factory.mktemp("log")) as service:
        yield service


@pytest.fixture
def run(shipped: Running, tmp_path: Path) -> Run:
    """Run an example in an empty folder, and return its output."""

    def call(*command: str | Path) -> str:
        environment = {**os.environ, "GANVAS_URL": shipped.url, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        image.load()
        return image.size


def test_table_lists_every_example() -> None:
    listed = set(re.findall(r"\]\(([\w.]+)", (EXAMPLES / "README.md").read_text()))
    assert listed | {"README.md"} >= {path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".sh")}
    assert "[browser/](browser/index.html)" in (EXAMPLES / "README.md").read_text()


def test_sample_grid_makes_a_grid(run: Run, tmp_path: Path) -> None:
    assert "seed 7" in run(sys.executable, EXAMPLES / "sample_grid.py")
    assert size_of(tmp_path / "grid.png") == (8 * 28, 3 * 28)


def test_walk_makes_an_animation_and_frames(run: Run, tmp_path: Path) -> None:
    assert "5 frames from seed 7 to seed 11" in run(sys.executable, EXAMPLES / "walk.py")
    with Image.open(tmp_path / "walk.webp") as walk:
        assert walk.n_frames == 36  # type: ignore[attr-defined]
    assert size_of(tmp_path / "frame-4.png") == (64, 64)


def test_stylize_folder_resumes(run: Run, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with Image.open(PHOTO) as photo:
        for i in range(3):
            photo.resize((64 + i, 48)).save(tmp_path / "photos" / f"{i}.jpg")
    assert "3 made" in run(sys.executable, EXAMPLES / "stylize_folder.py", "photos", "output")
    assert size_of(tmp_path / "output" / "2.jpg") == (66, 48)
    assert "0 made, 3 skipped" in run(sys.executable, EXAMPLES / "stylize_folder.py", "photos", "output")


def test_every_style_paints_one_file_per_style(run: Run, tmp_path: Path) -> None:
    with Image.open(PHOTO) as photo:
        photo.resize((64, 48)).save(tmp_path / "small.jpg")
    printed = run(sys.executable, EXAMPLES / "every_style.py", "small.jpg").split()
    assert "small-starry-night.jpg" in printed
    assert len(printed) >= 4
    assert {size_of(tmp_path / name) for name in printed} == {(64, 48)}


@pytest.mark.parametrize("key", ["", "secret"])
def test_curl_commands_work_with_and_without_a_key(run: Run, tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("curl") is None:
        pytest.skip("this machine has no curl")
    monkeypatch.setenv("GANVAS_API_KEY", key)
    printed = run("sh", EXAMPLES / "curl.sh", PHOTO).lower()
    assert "ganvas-seed: " in printed
    assert "there is no style 'rembrandt'" in printed
    assert size_of(tmp_path / "digits.png")[0] >= 4 * 28
    assert max(size_of(tmp_path / "stylized.jpg")) == 512
    assert not (tmp_path / "key-header").exists()


def test_bentoml_client_saves_responses(run: Run, tmp_path: Path) -> None:
    assert "rembrandt" in run(sys.executable, EXAMPLES / "bentoml_client.py", PHOTO)
    assert size_of(tmp_path / "digits.png")[0] >= 4 * 28
    assert max(size_of(tmp_path / "painted.jpg")) == 512
    assert size_of(tmp_path / "walk.webp") == (28, 28)


@contextlib.contextmanager
def gateway(service_url: str) -> Iterator[str]:
    """The server of the browser example, on a free port."""
    environment = {**os.environ, "GANVAS_URL": service_url}
    command = [sys.executable, str(EXAMPLES / "browser" / "serve.py"), "0"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def test_browser_page_shows_images_and_errors(shipped: Running) -> None:
    """The page samples a head and stylizes it. Its captions describe the images, and its status shows errors."""
    own = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with gateway(shipped.url) as url, sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=own)
        except BrowserError as error:
            pytest.skip(f"Chromium does not start here: {error.message.splitlines()[0]}")
        page = browser.new_page()
        page.goto(url)
        status, captions = page.get_by_role("status"), page.locator("figcaption")
        expect(status).to_have_text("Done.", timeout=60_000)
        styles = page.locator("option").evaluate_all("options => options.map(option => option.value)")
        assert "starry-night" in styles
        assert captions.all_text_contents() == ["seed 7, 64 x 64", f"{styles[0]}, 64 x 64"]

        page.get_by_label("Seed").fill("11")
        page.get_by_label("Style").evaluate("select => select.append(new Option('Rembrandt', 'rembrandt', true, true))")
        page.get_by_role("button").click()
        expect(status).to_contain_text("There is no style 'rembrandt'", timeout=60_000)
        assert captions.all_text_contents() == ["seed 11, 64 x 64"]
        browser.close()

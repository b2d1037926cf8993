"""The command line against the real service: files, folders, patterns, pipes, JSON, exit codes."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from ganvas.api import UPLOAD_FORMATS_TEXT
from ganvas.cli.app import app
from service.engine.classes import with_classes
from service.engine.latents import latents_of_seed
from service.settings import ROOT
from tests.ganvas.conftest import Gateway, draw_photos, photo
from tests.service.onnx_models import LATENT_SIZE, STYLE_OFFSETS, generated, generator_card, styled, stylizer_card
from tests.service.running import Running

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(service: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run `ganvas ...` in a folder that holds only photo.png, and check the exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANVAS_URL", service.url)
    monkeypatch.setenv("COLUMNS", "200")
    Image.fromarray(photo()).save("photo.png")

    def run(*arguments: str, code: int = 0, stdin: bytes | None = None) -> Result:
        result = CliRunner().invoke(app, arguments, input=stdin)
        assert result.exit_code == code, (result.output, result.exception)
        assert "Traceback" not in result.output
        return result

    return run


def size_of(path: str) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_models_lists_models_and_shows_one(invoke: Invoke) -> None:
    listed = invoke("models").output
    words = ("digits (generator)", "painters (stylizer)", "styles: night, wave, scream", "Not served: broken.onnx")
    assert all(word in listed for word in words)
    document = json.loads(invoke("models", "--json").stdout)
    assert [model["card"]["name"] for model in document["models"]] == ["digits", "painters"]
    assert document["refused"][0]["file"] == "broken.onnx"
    assert "latents of 6" in invoke("models", "digits").output
    assert "night: Night, Anon" in invoke("models", "painters").output
    assert json.loads(invoke("models", "digits", "--json").stdout)["card"]["latent_size"] == LATENT_SIZE


def newer_service(gateway: Gateway) -> bytes:
    """Set a listing of known models and of one kind that this client does not know as the next response. Returns its model."""
    larger = generator_card("larger").model_dump(mode="json") | {"kind": "upscaler", "title": "Larger images", "factor": 2}
    cards = [larger, generator_card().model_dump(mode="json"), stylizer_card().model_dump(mode="json")]
    models = [{"version": "0", "card": card} for card in cards]
    gateway.will(200, json.dumps({"models": models}).encode(), Content_Type="application/json")
    return json.dumps(models[0]).encode()


def test_models_shows_a_kind_that_it_does_not_know(invoke: Invoke, gateway: Gateway) -> None:
    larger = newer_service(gateway)
    listed = invoke("models", "--url", gateway.url).output
    assert all(word in listed for word in ("larger", "upscaler", "Larger images", "digits", "painters"))
    gateway.will(200, larger, Content_Type="application/json")
    shown = invoke("models", "larger", "--url", gateway.url).output
    assert all(word in shown for word in ("larger@0", "upscaler", "Larger images"))


@pytest.mark.parametrize("command", [("stylize", ".", "-s", "night", "-o", "out"), ("sheet", "photo.png", "-o", "sheet.png")])
def test_stylizers_are_found_among_kinds_that_are_not_known(invoke: Invoke, gateway: Gateway, command: tuple[str, ...]) -> None:
    newer_service(gateway)
    output = invoke(*command, "--model", "nope", "--url", gateway.url, code=2).output
    assert "There is no stylizer 'nope'. The service has: painters" in output


def test_sample_names_the_file_by_its_seed(invoke: Invoke) -> None:
    assert "Wrote digits-7.png (digits@" in invoke("sample", "--seed", "7").stdout
    np.testing.assert_array_equal(
        np.asarray(Image.open("digits-7.png")), generated(latents_of_seed(7, 1, LATENT_SIZE))[0, :, :, 0]
    )
    output = json.loads(invoke("sample", "--json").stdout)
    assert output["file"] == f"digits-{output['seeds'][0]}.png"
    assert Path(output["file"]).exists()
    assert (output["model"], len(output["request_id"])) == ("digits", 32)


@pytest.mark.parametrize(("name", "kind"), [("a.jpg", "JPEG"), ("a.JPEG", "JPEG"), ("a.webp", "WEBP"), ("a.png", "PNG")])
def test_suffix_chooses_the_format(invoke: Invoke, name: str, kind: str) -> None:
    invoke("sample", "-n", "4", "-o", name)
    with Image.open(name) as sheet:
        assert sheet.format == kind
        assert sheet.size == (18, 18)


def test_sample_writes_array_to_file_and_stdout(invoke: Invoke) -> None:
    invoke("sample", "-n", "3", "--seed", "7", "--truncation", "0.5", "-o", "three.npy")
    expected = generated(latents_of_seed(7, 3, LATENT_SIZE) * np.float32(0.5))
    np.testing.assert_array_equal(np.load("three.npy"), expected)
    piped = invoke("sample", "-n", "3", "--seed", "7", "--truncation", "0.5", "--format", "npy", "-o", "-")
    np.testing.assert_array_equal(np.load(io.BytesIO(piped.stdout_bytes)), expected)


def test_sample_fills_a_folder(invoke: Invoke) -> None:
    assert "50 made" in invoke("sample", "-n", "50", "-o", "many/").stdout
    assert len(list(Path("many").glob("digits-*.png"))) == 50
    again = json.loads(invoke("sample", "-n", "50", "-o", "many", "--json").stdout)
    assert (again["made"], again["skipped"], again["failed"]) == (0, 50, [])
    invoke("sample", "-n", "5", "-o", "many", "--format", "jpeg", code=2)


def test_sample_takes_classes(invoke: Invoke) -> None:
    latents = latents_of_seed(7, 3, LATENT_SIZE)
    assert "Wrote digits_one-7.png" in invoke("sample", "--class", "one", "--seed", "7").stdout
    each = generated(with_classes(latents, np.array([1, 0, 2]), 3))
    invoke("sample", "-c", "one", "-c", "zero", "-c", "T-shirt, top", "--seed", "7", "-o", "each.npy")
    np.testing.assert_array_equal(np.load("each.npy"), each)
    assert "2 made" in invoke("sample", "-n", "2", "-c", "one", "-o", "many/").stdout
    assert Path("many/digits_one-0-001.png").exists()
    output = invoke("sample", "-c", "one", "-c", "zero", "-o", "many/", code=2).output
    assert "A folder receives images of one --class. Run the command once for each class" in output
    invoke("interpolate", "3", "7", "-c", "zero", "-c", "one", "--steps", "4", "-o", "walk.npy")
    assert np.load("walk.npy").shape == (8, 8, 8, 1)


def test_unknown_class_names_the_option_and_lists_the_known(invoke: Invoke) -> None:
    output = invoke("sample", "-c", "one", "-c", "seven", code=3).output
    assert "--class: There is no class 'seven': this model's classes are zero, one, T-shirt, top." in output
    assert "`ganvas models` lists the classes." in output
    assert "classes: zero, one, T-shirt, top" in invoke("models").output


def test_interpolate_writes_animation_and_frames(invoke: Invoke) -> None:
    output = invoke("interpolate", "3", "7", "--steps", "4", "-o", "walk.gif").stdout
    assert "Wrote walk.gif" in output
    assert "seed 3, 7" in output
    with Image.open("walk.gif") as walk:
        assert walk.n_frames == 8  # type: ignore[attr-defined]
    invoke("interpolate", "3", "7", "--steps", "4", "--no-loop", "-o", "walk.npy")
    assert np.load("walk.npy").shape == (5, 8, 8, 1)
    assert json.loads(invoke("interpolate", "--steps", "2", "--json").stdout)["file"].endswith(".webp")


def test_stylize_writes_one_photo(invoke: Invoke) -> None:
    invoke("stylize", "photo.png", "-s", "night", "--strength", "0.5", "--keep-color", "0.25", "-o", "stylized.png")
    expected = styled(photo(), np.array([1, 0, 0], np.float32), 0.5, 0.25)
    np.testing.assert_array_equal(np.asarray(Image.open("stylized.png")), expected)
    invoke("stylize", "photo.png", "-s", "night", "--brush", "2", "-o", "broad.png")
    assert size_of("broad.png") == (50, 30)
    assert (np.asarray(Image.open("broad.png")) != styled(photo(), np.array([1, 0, 0], np.float32), 1, 0)).any()
    assert "0.5" in invoke("stylize", "photo.png", "-s", "night", "--brush", "0.4", code=3).stderr
    assert "Wrote photo-painters.jpg" in invoke("stylize", "photo.png", "-s", "night", "--max-side", "25").stdout
    assert size_of("photo-painters.jpg") == (25, 15)


def test_stylize_reads_stdin_and_writes_stdout(invoke: Invoke) -> None:
    data = Path("photo.png").read_bytes()
    piped = invoke("stylize", "-", "-s", "night", "--format", "png", stdin=data).stdout_bytes
    expected = styled(photo(), np.array([1, 0, 0], np.float32), 1, 0)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(piped))), expected)
    invoke("stylize", "-", "-s", "night", "-o", "from-stdin.webp", stdin=data)
    assert size_of("from-stdin.webp") == (50, 30)
    invoke("stylize", "-", "photo.png", "-s", "night", code=2, stdin=data)
    invoke("stylize", "-", "-s", "night", "--json", code=2, stdin=data)


def test_stylize_takes_folders_files_and_patterns(invoke: Invoke) -> None:
    draw_photos(Path("in"), 5)
    assert "5 made" in invoke("stylize", "in", "-s", "night", "-o", "out").stdout
    assert "1 made" in invoke("stylize", "in/*-0000.png", "in/*-0001.png", "photo.png", "-s", "night", "-o", "out").stdout
    assert len(list(Path("out").glob("*.jpg"))) == 6
    assert "1 made" in invoke("stylize", "photo.png", "-s", "wave", "-o", "out/").stdout
    assert "folder" in invoke("stylize", "in", "-s", "night", code=2).output
    assert "nowhere" in invoke("stylize", "nowhere", "-s", "night", "-o", "out", code=2).output


def test_failed_photos_are_named_and_counted(invoke: Invoke) -> None:
    for path in draw_photos(Path("in"), 30)[:25]:
        path.write_bytes(b"not an image")
    output = invoke("stylize", "in", "-s", "night", "-o", "out", code=1)
    assert "5 made" in output.stdout
    assert "and 5 more" in output.stderr
    assert "All failures are listed in out/failures.txt." in output.stderr
    listed = Path("out/failures.txt").read_text().splitlines()
    broken = sorted(str(path) for path in Path("in").resolve().iterdir())[:25]
    assert sorted(line.partition(": ")[0] for line in listed) == broken
    assert all("is not a" in line for line in listed)
    assert f"is not a {UPLOAD_FORMATS_TEXT} image" in output.stderr
    document = json.loads(invoke("stylize", "in", "-s", "night", "-o", "out", "--json", code=1).stdout)
    assert (document["made"], document["skipped"], len(document["failed"])) == (0, 5, 25)


def test_sheet_shows_every_style(invoke: Invoke) -> None:
    output = invoke("sheet", "photo.png", "-o", "sheet.png", "--max-side", "48").stdout
    assert output == "Wrote sheet.png: the photo, night, wave, scream.\n"
    sheet = np.asarray(Image.open("sheet.png"))
    shrunk = (29, 48)  # of 30 x 50
    columns = round((sheet.shape[1] - 8) / (shrunk[1] + 8))
    corners = [(8 + i // columns * (shrunk[0] + 30), 8 + i % columns * (shrunk[1] + 8)) for i in range(4)]
    tiles = [sheet[y : y + shrunk[0], x : x + shrunk[1]].astype(int) for y, x in corners]
    for tile, offset in zip(tiles[1:], STYLE_OFFSETS.values(), strict=True):
        assert np.abs(tile - (255 - tiles[0] + offset).clip(0, 255)).max() <= 1
    captions = [sheet[y + shrunk[0] : y + shrunk[0] + 22, x : x + shrunk[1]] for y, x in corners]
    assert all(caption.min() < 128 for caption in captions)  # ink
    from_stdin = invoke("sheet", "-", "--json", "-o", "s.jpg", "--max-side", "48", stdin=Path("photo.png").read_bytes())
    assert json.loads(from_stdin.stdout) == {"file": "s.jpg", "styles": list(STYLE_OFFSETS)}
    invoke("sheet", "photo.png", "-m", "digits", code=2)


def test_shows_its_version(invoke: Invoke) -> None:
    assert invoke("--version").stdout == f"ganvas {version('ganvas')}\n"


def test_url_and_json_may_stand_before_the_command(invoke: Invoke, service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANVAS_URL", "http://127.0.0.1:1")
    assert json.loads(invoke("--url", service.url, "--json", "models", "digits").stdout)["card"]["name"] == "digits"
    assert "digits" in invoke("--url", "http://127.0.0.1:1", "models", "--url", service.url).stdout
    assert "digits" in invoke("models", "--url", service.url).stdout  # nothing is left of the calls before


def test_models_fit_into_80_columns(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, gateway: Gateway) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    styles = tuple(f"a-long-style-number-{i}" for i in range(20))
    cards = [generator_card(title="Word " * 40), stylizer_card(styles=styles)]
    models = [{"version": "0", "card": card.model_dump(mode="json")} for card in cards]
    for arguments in (("models",), ("models", "painters")):
        body = {"models": models} if len(arguments) == 1 else models[1]
        gateway.will(200, json.dumps(body).encode(), Content_Type="application/json")
        lines = invoke(*arguments, "--url", gateway.url).stdout.splitlines()
        assert max(map(len, lines)) <= 80
        assert set(styles) <= {word.strip(",:") for line in lines for word in line.split()}


def test_file_of_the_user_is_not_replaced_by_a_default_name(invoke: Invoke) -> None:
    for name in ("photo-painters.jpg", "photo-painters-2.jpg", "photo-painters-3.jpg"):
        assert f"Wrote {name} " in invoke("stylize", "photo.png", "-s", "night").stdout
    Path("photo-painters-2.jpg").write_text("mine")
    invoke("stylize", "photo.png", "-s", "night", "-o", "photo-painters-2.jpg")
    assert size_of("photo-painters-2.jpg") == (50, 30)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["sample", "-o", "nodir/x.png"], 2, "The folder nodir does not exist. Create it"),
        (["sample", "-o", "photo.png/x.png"], 2, "photo.png is a file, not a folder"),
        (["sample", "-o", "many"], 2, "For a folder, write many/."),
        (["interpolate", "-o", "folder/", "--format", "gif"], 2, "folder/ is a folder. Name a file with --out."),
        (["stylize", "photo.png", "-o", "nodir/x.png"], 2, "The folder nodir does not exist"),
        (["stylize", "missing.png"], 2, "missing.png does not exist"),
        (["stylize", "missing.png", "-o", "x.png"], 2, "missing.png does not exist"),
        (["stylize", "fehlt-über.png", "photo.png", "-o", "out/"], 2, "fehlt-über.png does not exist"),
        (["stylize", "--", "-dash.png"], 2, "-dash.png does not exist"),
        (["stylize", ".", "-o", "painted.jpg"], 2, "For a folder, write painted.jpg/."),
        (["stylize", "photo.png", "photo.png", "-o", "photo.png"], 2, "Name one with --out"),
        (["stylize", "empty", "-o", "out"], 2, "No image found in empty"),
        (["sheet", "missing.png"], 2, "missing.png does not exist"),
        (["sheet", "photo.png", "-o", "nodir/x.png"], 2, "The folder nodir does not exist"),
        (["sheet", "photo.png", "-o", "x.gif"], 2, "x.gif does not end in .png"),
    ],
)
def test_wrong_paths_are_found_before_any_request(
    invoke: Invoke, gateway: Gateway, arguments: list[str], code: int, words: str
) -> None:
    Path("empty").mkdir()
    result = invoke("--url", gateway.url, *arguments, code=code)
    assert words in result.stderr
    assert gateway.seen == []
    assert sorted(path.name for path in Path().iterdir()) == ["empty", "photo.png"]


def test_rejections_name_the_option_and_what_to_do(invoke: Invoke, gateway: Gateway) -> None:
    too_many = invoke("sample", "-n", "100", code=3).stderr
    assert "-n: " in too_many
    assert "less than or equal to 40" in too_many
    assert "-o FOLDER/" in too_many
    assert "--max-side: " in invoke("stylize", "photo.png", "-s", "night", "--max-side", "9999", code=3).stderr
    error = {"field": "model", "detail": "Choose one: the generators are digits, toon-heads"}
    document = {"title": "Invalid request", "status": 422, "detail": "model: ...", "errors": [error]}
    gateway.will(422, json.dumps(document).encode(), Content_Type="application/problem+json")
    ambiguous = invoke("sample", "--url", gateway.url, code=3).stderr
    assert "--model: Choose one: the generators are digits, toon-heads. `ganvas models` lists the models." in ambiguous


def several_stylizers(gateway: Gateway) -> None:
    cards = [stylizer_card(), stylizer_card("others", styles=("dawn",))]
    models = [{"version": "0", "card": card.model_dump(mode="json")} for card in cards]
    gateway.will(200, json.dumps({"models": models}).encode(), Content_Type="application/json")


def test_several_stylizers_are_named_with_the_option(invoke: Invoke, gateway: Gateway) -> None:
    for arguments in (("sheet", "photo.png"), ("stylize", "photo.png", "-o", "out/")):
        several_stylizers(gateway)
        output = invoke(*arguments, "--url", gateway.url, code=2).stderr
        assert "Name a stylizer with --model. The service has: painters, others" in output


def test_style_alone_needs_no_model(invoke: Invoke, gateway: Gateway) -> None:
    invoke("stylize", "photo.png", "-s", "dawn", "-o", "x.jpg", "--url", gateway.url, code=3)
    assert len(gateway.seen) == 1  # no listing: the service finds the model
    several_stylizers(gateway)
    buffer = io.BytesIO()
    Image.fromarray(photo()).save(buffer, "jpeg")
    gateway.will(200, buffer.getvalue(), Content_Type="image/jpeg", Ganvas_Model="others@0")
    assert "1 made" in invoke("stylize", "photo.png", "-s", "dawn", "-o", "out/", "--url", gateway.url).stdout
    assert json.loads(Path("out/manifest.jsonl").read_text())["model"] == "others"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["sample", "-o", "a.bmp"], 2, "does not end in .png, .jpg"),
        (["sample", "-n", "0"], 2, "-n"),
        (["sample", "--url", "localhost"], 2, "must be like http://localhost:3000"),
        (["sample", "-o", "nowhere/a.png"], 2, "nowhere"),
        (["stylize", "photo.png", "-s", "dawn"], 3, "There is no style 'dawn'"),
        (["sample", "-n", "41"], 3, "less than or equal to 40"),
        (["models", "nope"], 3, "no model 'nope'"),
        (["interpolate", "7"], 2, "A walk needs 2 to 8 seeds, such as 7 8."),
        (["sheet", "nowhere.png"], 2, "nowhere.png"),
    ],
)
def test_errors_have_exit_code_and_message(invoke: Invoke, arguments: list[str], code: int, words: str) -> None:
    result = invoke(*arguments, code=code)
    assert words in result.stderr
    assert result.stdout == ""


def test_json_reports_errors(invoke: Invoke) -> None:
    error = json.loads(invoke("sample", "-n", "41", "--json", code=3).stdout)["error"]
    assert (error["status"], error["type"], error["errors"][0]["field"]) == (422, "urn:ganvas:invalid-request", "n")
    assert len(error["request_id"]) == 32
    wrong = invoke("sample", "-n", "0", "--json", code=2)  # found before --json is parsed
    assert (wrong.stdout, "-n" in wrong.stderr) == ("", True)
    assert "folder" in json.loads(invoke("stylize", "*.png", "-s", "night", "--json", code=2).stdout)["error"]["detail"]


def test_exit_code_of_failing_or_missing_service(invoke: Invoke, gateway: Gateway) -> None:
    gateway.will(500)
    invoke("models", "--url", gateway.url, code=4)
    gateway.will(401)
    invoke("models", "--url", gateway.url, code=3)
    gateway.will(200, b"hello", Content_Type="text/plain")
    invoke("models", "--url", gateway.url, code=4)
    error = json.loads(invoke("models", "--url", "http://127.0.0.1:1", "--json", code=4).stdout)["error"]
    assert error["title"] == "NoResponse"
    assert len(error["request_id"]) == 32
    assert "[request" not in error["detail"]


def command_of(service: Running, *arguments: str) -> tuple[list[str], dict[str, str]]:
    return [sys.executable, "-m", "ganvas", *arguments], {**os.environ, "GANVAS_URL": service.url, "COLUMNS": "200"}


def test_commands_can_be_piped(service: Running, tmp_path: Path) -> None:
    command, environment = command_of(service, "sample", "--seed", "7", "-o", "-")
    sampled = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    assert sampled.stderr == b""
    command, environment = command_of(service, "stylize", "-", "-s", "night", "--strength", "0", "--format", "png")
    stylized = subprocess.run(command, cwd=ROOT, env=environment, input=sampled.stdout, capture_output=True, check=True)
    same = np.asarray(Image.open(io.BytesIO(stylized.stdout)).convert("L"))
    np.testing.assert_array_equal(same, generated(latents_of_seed(7, 1, LATENT_SIZE))[0, :, :, 0])


def test_full_disk_has_its_own_exit_code(service: Running, tmp_path: Path) -> None:
    code = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)); from ganvas.__main__ import main; main()"
    _, environment = command_of(service)
    command = [sys.executable, "-c", code, "sample", "-n", "9", "-o", str(tmp_path / "a.npy")]
    process = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (process.returncode, process.stderr) == (5, f"Error: {tmp_path / 'a.npy'}: File too large\n")
    process = subprocess.run([*command, "--json"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert process.returncode == 5
    assert json.loads(process.stdout)["error"]["title"] == "Disk failed"


@pytest.mark.parametrize("arguments", [("models", "--json"), ("models",), ("sample", "-o", "-")])
def test_closed_pipe_ends_quietly(service: Running, arguments: tuple[str, ...]) -> None:
    command, environment = command_of(service, *arguments)
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_ctrl_c_stops_a_batch_that_can_continue(service: Running, tmp_path: Path) -> None:
    draw_photos(tmp_path / "in", 300)
    command, environment = command_of(service, "stylize", str(tmp_path / "in"), "-s", "night", "-o", str(tmp_path / "out"))
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob("out/*.jpg"))) < 30:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        output = process.stderr.read()
    assert process.returncode == 130
    assert output == "Stopped. The same command continues a batch.\n"
    done = len((tmp_path / "out/manifest.jsonl").read_text().splitlines())
    command.append("--json")
    again = json.loads(subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True).stdout)
    assert (again["made"], again["skipped"]) == (300 - done, done)


def test_shell_completes_models_styles_and_classes(service: Running) -> None:
    for words, expected in (
        ("ganvas stylize a.jpg --style ", ["night", "wave", "scream"]),
        ("ganvas sample --model ", ["digits"]),
        ("ganvas sample --class ", ["zero", "one"]),
        ("ganvas she", ["sheet"]),
    ):
        command, environment = command_of(service)
        environment |= {"_GANVAS_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": words}
        completed = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert all(f'"{word}"' in completed.stdout for word in expected), (completed.stdout, completed.stderr)


def test_completion_leaves_out_kinds_that_are_not_known(gateway: Gateway) -> None:
    newer_service(gateway)
    environment = {**os.environ, "GANVAS_URL": gateway.url, "_GANVAS_COMPLETE": "complete_zsh"}
    environment["_TYPER_COMPLETE_ARGS"] = "ganvas sample --model "
    command = [sys.executable, "-m", "ganvas"]
    completed = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert '"digits"' in completed.stdout, completed.stderr
    assert "larger" not in completed.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_installed(service: Running, shell: str, tmp_path: Path) -> None:
    command, environment = command_of(service, "--show-completion", shell)
    shown = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert "GANVAS_COMPLETE" in shown.stdout


def test_missing_libraries_are_named() -> None:
    code = "import sys; sys.modules['typer'] = None; from ganvas.__main__ import main; main()"
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert process.returncode == 1
    assert process.stderr == 'The command line needs typer and rich. Run: pip install "ganvas[cli]"\n'

"""`python -m training check`, called as a user does."""

import json
import shlex
from pathlib import Path

from PIL import Image

from tests.training.commands import call, done, refused
from tests.training.conftest import MakeImages, draw
from training.cli.check import UNUSABLE


def test_says_what_is_there_and_what_to_run_next(make_images: MakeImages, tmp_path: Path) -> None:
    folder = make_images("my photos", 20, (64, 64))
    (folder / "copy.png").write_bytes((folder / "003.png").read_bytes())
    (folder / "notes.txt").write_text("hello")
    said = done("check", folder, "--out", tmp_path / "same.png")
    words = " ".join(said.split())
    assert f"{folder} at 64 x 64: 21 images can be used, 1 file left out." in words
    assert "1 group of identical files: 003.png = copy.png" in words
    assert "1: not an image file (notes.txt)" in words
    command = shlex.split(said.partition("Next:\n")[2].splitlines()[0])
    assert command[1:] == ["-m", "training", "gan", "--data", str(folder), "--config", "gan", "--out", "runs/my-photos"]
    with Image.open(tmp_path / "same.png") as sheet:
        assert sheet.size == (2 * 98 - 2, 110)
    text = said.replace(str(folder), "").partition("Next:")[0]
    assert max(map(len, text.splitlines())) <= 80


def test_writes_json_alone_to_stdout(make_images: MakeImages) -> None:
    found = json.loads(call("check", make_images("photos", 20, (64, 64)), "--size", 32, "--json").stdout)
    assert (found["size"], found["usable"], len(found["images"]), found["left_out"]) == (32, True, 20, {})
    assert found["advice"]["changes"] == ["image_size=32"]


def test_exit_code_says_that_training_would_refuse_the_images(make_images: MakeImages, tmp_path: Path) -> None:
    folder = make_images("photos", 20, (64, 64))
    draw(0, (50, 50)).save(folder / "small.png")
    result = call("check", folder, "--size", 64)
    assert result.exit_code == UNUSABLE
    assert "would refuse the images: 1 image is smaller. Remove it, or train at 48 x 48." in " ".join(result.output.split())
    again = shlex.split(result.output.splitlines()[-1])
    assert again[1:] == ["-m", "training", "check", str(folder), "--size", "48"]
    assert done(*again[3:]).splitlines()[-1].endswith("--set image_size=48 --out runs/photos")
    few = call("check", make_images("few", 15, (64, 64)))
    assert few.exit_code == UNUSABLE
    assert few.output.splitlines()[-1].endswith(f"-m training check {tmp_path / 'few'}")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no image that can be read" in refused("check", empty)
    assert "is not an image file that can be written" in refused("check", folder, "--out", tmp_path / "a.txt")


def test_style_checks_photos_and_paintings(make_images: MakeImages) -> None:
    folder = make_images("photos", 5, (300, 240))
    draw(9, (540, 600)).save(folder / "Köpfe.png")
    draw(9, (540, 600)).save(folder / "kopfe.png")
    said = done("check", folder, "--style")
    words = " ".join(said.split())
    assert "at 224 x 224: 7 images can be used" in words
    assert "As paintings: 2 images of 512 pixels or more; 5 smaller images would give coarser strokes." in words
    assert "Köpfe.png and kopfe.png would both be the style kopfe" in words
    assert f"-m training style --styles PAINTINGS --content {folder} --config style-cpu --out runs/photos" in said


def test_style_proposes_a_crop_that_fits_the_smallest_photo(make_images: MakeImages) -> None:
    folder = make_images("photos", 5, (200, 101))
    again = shlex.split(call("check", folder, "--style").output.splitlines()[-1])
    assert again[1:] == ["-m", "training", "check", str(folder), "--style", "--size", "96"]
    assert "--set crop_size=96" in done(*again[3:])
    assert "crop_size: Input should be a multiple of 8" in refused("check", folder, "--style", "--size", 100)

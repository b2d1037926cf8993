import zipfile
from pathlib import Path

import pytest
from PIL import Image

from ganvas.api import UPLOAD_FORMATS_TEXT
from tests.training.conftest import MakeImages, draw
from training.data.image_folder import open_image_folder
from training.data.survey import survey


@pytest.fixture
def mixed(make_images: MakeImages) -> Path:
    """Images of many kinds, and files that are left out."""
    folder = make_images("mixed", 4, (64, 64))
    (folder / "more").mkdir()
    draw(5, (200, 100)).save(folder / "more" / "wide.jpg")
    draw(6, (64, 64)).convert("L").save(folder / "more" / "grey.webp", lossless=True)
    draw(6, (64, 64)).convert("L").save(folder / "more" / "stored-grey.png")
    draw(7, (64, 64)).convert("RGBA").save(folder / "clear.png")
    draw(8, (63, 90)).save(folder / "small.png")
    whole = (folder / "000.png").read_bytes()
    (folder / "half.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.jpg").write_text("hello")
    (folder / "notes.txt").write_text("hello")
    return folder


def test_survey_says_what_is_there_and_what_is_left_out(mixed: Path) -> None:
    found = survey(open_image_folder(mixed), 64)
    assert list(found.images) == [
        "000.png", "001.png", "002.png", "003.png", "clear.png", "more/grey.webp", "more/stored-grey.png", "more/wide.jpg"
    ]  # fmt: skip
    assert found.left_out == {
        "half.png": "truncated: its end is missing",
        "notes.txt": "not an image file",
        "small.png": "a side under 64 pixels",
        "text.jpg": f"not a {UPLOAD_FORMATS_TEXT} image",
    }
    assert found.classes == {".": 5, "more": 3}
    wide, grey, stored = (found.images[f"more/{name}"] for name in ("wide.jpg", "grey.webp", "stored-grey.png"))
    assert (wide.format, wide.width, wide.height, wide.cropped) == ("JPEG", 200, 100, 0.5)
    assert [(each.grey, each.colourless) for each in (wide, grey, stored)] == [(False, False), (False, True), (True, True)]
    assert [name for name, facts in found.images.items() if facts.transparent] == ["clear.png"]


def test_zip_and_folder_give_the_same_survey(mixed: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "mixed.zip", "w") as archive:
        for path in mixed.rglob("*"):
            if path.is_file():
                archive.write(path, path.relative_to(mixed))
    in_folder, in_zip = survey(open_image_folder(mixed), 64), survey(open_image_folder(tmp_path / "mixed.zip"), 64)
    assert in_zip.left_out == in_folder.left_out
    assert list(in_zip.images) == list(in_folder.images)
    assert [each.look.content for each in in_zip.images.values()] == [each.look.content for each in in_folder.images.values()]


def test_finds_enlarged_images_and_no_flat_or_sharp_ones(tmp_path: Path) -> None:
    draw(1, (64, 64)).save(tmp_path / "sharp.png")
    draw(1, (16, 16)).resize((64, 64), Image.Resampling.BICUBIC).save(tmp_path / "enlarged.png")
    Image.new("RGB", (64, 64), "red").save(tmp_path / "flat.png")
    found = survey(open_image_folder(tmp_path), 64)
    assert {name: facts.enlarged for name, facts in found.images.items()} == {
        "enlarged.png": True, "flat.png": False, "sharp.png": False
    }  # fmt: skip

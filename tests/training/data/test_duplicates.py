from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training.conftest import MakeImages, draw
from training.data.duplicates import Group, Look, duplicates, duplicates_sheet, look_of
from training.data.image_folder import open_image_folder
from training.data.survey import survey


def looks_of(folder: Path) -> dict[str, Look]:
    return {name: facts.look for name, facts in survey(open_image_folder(folder), 40).images.items()}


def test_finds_equal_files_and_images_that_look_the_same(make_images: MakeImages) -> None:
    folder = make_images("photos", 12)
    (folder / "copy.png").write_bytes((folder / "003.png").read_bytes())
    draw(5).save(folder / "again.jpg", quality=80)
    draw(5).resize((96, 80), Image.Resampling.BICUBIC).save(folder / "large.png")
    groups = duplicates(looks_of(folder))
    assert groups == [Group(("003.png", "copy.png"), exact=True), Group(("005.png", "again.jpg", "large.png"), exact=False)]


def test_different_images_are_not_duplicates(make_images: MakeImages) -> None:
    assert duplicates(looks_of(make_images("photos", 60))) == []


def test_thumbnails_separate_simple_images_whose_hashes_are_equal() -> None:
    """Strokes of equal direction on black, as in digits."""
    images = {}
    for name, grey in (("dark", 90), ("bright", 250)):
        images[name] = Image.new("RGB", (28, 28))
        images[name].paste((grey, grey, grey), (8, 4, 14, 24))
    looks = {name: look_of(image, name) for name, image in images.items()}
    assert looks["dark"].bits == looks["bright"].bits
    assert duplicates(looks) == []


@pytest.mark.parametrize("count", [0, 1])
def test_one_image_has_no_duplicates(count: int) -> None:
    assert duplicates({f"{i}": look_of(draw(i), f"{i}") for i in range(count)}) == []


def test_thousands_of_equal_images_are_one_group() -> None:
    look = look_of(draw(0), "same")
    assert [len(group.names) for group in duplicates({f"{i:05d}": look for i in range(20_000)})] == [20_000]


def test_sheet_has_one_row_a_group(make_images: MakeImages) -> None:
    folder = open_image_folder(make_images("photos", 5))
    groups = [Group(("000.png", "001.png", "002.png"), exact=False), Group(("003.png", "004.png"), exact=True)]
    sheet = np.asarray(duplicates_sheet(folder, groups))
    assert sheet.shape == (2 * 112 - 2, 3 * 98 - 2, 3)
    assert (sheet[112:208, 196:] == 255).all()  # the second group has no third image
    for row, column, index in ((0, 0, 0), (0, 2, 2), (1, 1, 4)):
        tile = sheet[row * 112 + 48, column * 98 + 48]
        assert np.abs(tile.astype(int) - np.asarray(draw(index))[20, 24]).max() < 40

"""Square images for GANs, crops and paintings for style networks, and their order."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.training.conftest import MakeImages, draw
from training.data.crops import Crops
from training.data.dataset import load_images
from training.data.image_folder import open_image_folder
from training.data.paintings import load_paintings, style_name
from training.data.sampler import batch_indices
from training.errors import DataError
from training.random import Stream


def truncate(path: Path) -> None:
    """Leave a valid header before broken data."""
    path.write_bytes(path.read_bytes()[:200])


def test_each_epoch_shows_every_image_once_in_a_new_order() -> None:
    steps = np.concatenate([batch_indices(10, 4, step, seed=7) for step in range(5)])
    first, second = steps[:10], steps[10:]
    assert sorted(first) == sorted(second) == list(range(10))
    assert list(first) != list(second)


def test_order_depends_on_seed_step_and_stream_only() -> None:
    assert (batch_indices(100, 8, 31, seed=1) == batch_indices(100, 8, 31, seed=1)).all()
    assert (batch_indices(100, 8, 31, seed=1) != batch_indices(100, 8, 31, seed=2)).any()
    assert (batch_indices(100, 8, 31, seed=1) != batch_indices(100, 8, 31, 1, Stream.STYLES)).any()


def test_batch_may_be_larger_than_the_folder() -> None:
    indices = batch_indices(3, 8, 0, seed=0)
    assert sorted(np.bincount(indices)) == [2, 3, 3]


def test_loads_the_middle_square_of_each_image(tmp_path: Path) -> None:
    wide = np.zeros((32, 96, 3), np.uint8)
    wide[:, 32:64] = (10, 200, 30)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    images, broken = load_images(open_image_folder(tmp_path), 16, 3)
    assert (images.shape, images.dtype, broken) == ((1, 3, 16, 16), torch.uint8, {})
    assert images[0, :, 8, 8].tolist() == [10, 200, 30]


def test_reports_broken_data_after_a_valid_header(make_images: MakeImages) -> None:
    folder = make_images("photos", 3)
    truncate(folder / "001.png")
    images, broken = load_images(open_image_folder(folder), 28, 1)
    assert images.shape == (2, 1, 28, 28)
    assert list(broken) == ["001.png"]


def test_crops_depend_on_seed_and_step_only(make_images: MakeImages) -> None:
    photos = open_image_folder(make_images("photos", 5, size=(200, 150)))
    one, other = Crops(photos, 64, 3, seed=0), Crops(photos, 64, 3, seed=0)
    assert one.batch(4).shape == (3, 3, 64, 64)
    assert torch.equal(one.batch(4), other.batch(4))
    assert not torch.equal(one.batch(4), one.batch(5))


def test_photo_of_the_crop_size_is_not_cropped(make_images: MakeImages) -> None:
    crops = Crops(open_image_folder(make_images("photos", 1, size=(64, 64))), 64, 1, seed=0)
    whole = torch.from_numpy(np.array(draw(0, (64, 64)))).permute(2, 0, 1)
    assert any(torch.equal(crops.batch(step)[0], whole) for step in range(8))  # the others are mirrored


def test_broken_photo_is_replaced_by_the_next_and_logged_once(
    make_images: MakeImages, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_images("photos", 3, size=(80, 80))
    truncate(folder / "001.png")
    crops = Crops(open_image_folder(folder), 64, 3, seed=0)
    with caplog.at_level(logging.WARNING):
        assert crops.batch(0).shape == crops.batch(1).shape == (3, 3, 64, 64)
    assert [record.message.split(" ")[0] for record in caplog.records] == ["001.png"]


def test_crops_need_one_readable_photo(make_images: MakeImages) -> None:
    folder = make_images("photos", 2, size=(80, 80))
    truncate(folder / "000.png")
    truncate(folder / "001.png")
    with pytest.raises(DataError, match="No photo in"):
        Crops(open_image_folder(folder), 64, 1, seed=0).batch(0)


def test_paintings_are_shrunk_but_not_enlarged_and_sorted_by_style(tmp_path: Path) -> None:
    draw(0, (300, 200)).save(tmp_path / "Zebra Night.png")
    draw(1, (90, 80)).save(tmp_path / "apple.png")
    paintings, thumbnails, broken = load_paintings(open_image_folder(tmp_path), 100)
    assert {name: tuple(painting.shape) for name, painting in paintings.items()} == {
        "apple": (1, 3, 80, 90),
        "zebra-night": (1, 3, 100, 150),
    }
    assert list(thumbnails) == list(paintings) == ["apple", "zebra-night"]
    assert broken == {}


def test_reports_broken_paintings_and_refuses_equal_style_names(tmp_path: Path) -> None:
    draw(0, (90, 80)).save(tmp_path / "wave.png")
    draw(1, (90, 80)).save(tmp_path / "night.png")
    truncate(tmp_path / "night.png")
    paintings, _, broken = load_paintings(open_image_folder(tmp_path), 64)
    assert (list(paintings), list(broken)) == (["wave"], ["night.png"])
    draw(2, (90, 80)).save(tmp_path / "WAVE.webp")
    with pytest.raises(DataError, match=r"WAVE.webp and wave.png would both be the style wave"):
        load_paintings(open_image_folder(tmp_path), 64)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("van Gogh/Starry Night.jpg", "starry-night"),
        ("the_scream (1893).png", "the-scream-1893"),
        ("--a--.png", "a"),
        ("Köpfe.jpg", "kopfe"),
        ("星月夜.jpg", "xingyueye"),
    ],
)
def test_style_name_of_a_file(file: str, name: str) -> None:
    assert style_name(file) == name


def test_refuses_a_file_name_that_gives_no_style_name() -> None:
    with pytest.raises(DataError, match="gives no style name"):
        style_name("---.jpg")

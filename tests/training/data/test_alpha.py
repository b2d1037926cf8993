"""Transparency in folders: when it is learned, and that hidden colours never show."""

import numpy as np
import torch
from PIL import Image

from tests.training.conftest import MakeImages, draw, draw_sticker
from training.data.alpha import transparency_of
from training.data.dataset import load_images
from training.data.image_folder import open_image_folder
from training.data.survey import survey


def test_transparency_is_common_if_most_images_have_it(make_stickers: MakeImages) -> None:
    folder = make_stickers("stickers", 6)
    assert transparency_of(open_image_folder(folder)) == (6, 6, 6, 6)
    assert transparency_of(open_image_folder(folder)).is_common
    for index in range(5):
        draw(index, (16, 16)).save(folder / f"photo{index}.png")
    assert transparency_of(open_image_folder(folder)).is_common
    draw(5, (16, 16)).save(folder / "photo5.png")
    half = transparency_of(open_image_folder(folder))
    assert half == (0, 0, 6, 12)  # nothing was decoded
    assert not half.is_common


def test_alpha_that_shows_everything_is_not_transparency(make_images: MakeImages) -> None:
    opaque = transparency_of(open_image_folder(make_images("opaque", 4, mode="RGBA")))
    assert opaque == (4, 0, 4, 4)
    assert not opaque.is_common


def test_only_some_images_of_a_large_folder_are_decoded(make_stickers: MakeImages) -> None:
    found = transparency_of(open_image_folder(make_stickers("stickers", 130)))
    assert found == (100, 100, 130, 130)
    assert found.is_common


def test_hidden_colours_do_not_bleed_when_images_are_shrunk(make_stickers: MakeImages) -> None:
    folder = open_image_folder(make_stickers("stickers", 3, side=64))
    images, _ = load_images(folder, 16, 4)
    assert (images.shape, images.dtype) == ((3, 4, 16, 16), torch.uint8)
    for index, image in enumerate(images.permute(0, 2, 3, 1).numpy().astype(int)):
        sticker = np.asarray(draw_sticker(index, 64)).astype(int)
        colour = sticker[sticker[..., 3] == 255][0, :3]
        seen = image[image[..., 3] > 128]
        assert np.abs(seen[:, :3] - colour).max() <= 3  # rounding
        assert (image[image[..., 3] == 0] == (255, 255, 255, 0)).all()
        assert 0 < (image[..., 3] == 0).mean() < 1


def test_three_channels_lay_transparency_on_white(make_stickers: MakeImages) -> None:
    images, _ = load_images(open_image_folder(make_stickers("stickers", 1)), 16, 3)
    assert images[0, :, 0, 0].tolist() == [255, 255, 255]


def test_white_emblems_are_not_all_alike(make_stickers: MakeImages) -> None:
    folder = make_stickers("stickers", 3, side=64)
    for path in folder.iterdir():
        with Image.open(path) as sticker:
            Image.merge("RGBA", [Image.new("L", (64, 64), 255)] * 3 + [sticker.getchannel("A")]).save(path)
    looks = [facts.look for facts in survey(open_image_folder(folder), 16).images.values()]
    assert len({look.bits for look in looks}) == 3

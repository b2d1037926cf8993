"""Images between networks and people: levels, and transparency."""

import numpy as np
import torch
from torch import Tensor

from ganvas.transparency import CLEAR
from training.images import from_uint8, grid, to_uint8

LEVELS = torch.arange(256, dtype=torch.uint8)


def test_levels_survive_the_way_to_a_network_and_back() -> None:
    grey = LEVELS.reshape(1, 1, 16, 16)
    assert (from_uint8(grey).min().item(), from_uint8(grey).max().item()) == (-1, 1)
    assert torch.equal(to_uint8(from_uint8(grey)), grey.permute(0, 2, 3, 1))


def test_networks_see_colours_multiplied_by_alpha() -> None:
    seen = from_uint8(_pixel(255, 0, 128, 51)).flatten()
    assert torch.allclose(seen, torch.tensor([-0.6, -1, 2 * 128 / 255 * 0.2 - 1, -0.6]))


def test_hidden_colours_are_seen_as_nothing_and_written_as_white() -> None:
    clear = from_uint8(_pixel(7, 200, 90, 0))
    assert clear.flatten().tolist() == [-1] * 4
    assert to_uint8(clear).flatten().tolist() == [*CLEAR]
    nearly = torch.tensor([-0.997, -0.999, -1, -0.999]).reshape(1, 4, 1, 1)  # a network never makes exactly nothing
    assert to_uint8(nearly).flatten().tolist() == [*CLEAR]


def test_visible_colours_survive_the_way_to_a_network_and_back() -> None:
    colours = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images = torch.cat([colours, LEVELS.reshape(1, 1, 16, 16)], dim=1)
    images[0, :, 0, 0] = torch.tensor(CLEAR, dtype=torch.uint8)
    assert torch.equal(to_uint8(from_uint8(images)), images.permute(0, 2, 3, 1))


def test_colours_brighter_than_their_alpha_are_cut() -> None:
    # Premultiplied red above alpha cannot be seen on any background.
    assert to_uint8(torch.tensor([0.5, -0.5, -1, 0]).reshape(1, 4, 1, 1)).flatten().tolist() == [255, 127, 0, 128]


def test_grid_lays_transparency_on_squares() -> None:
    images = np.zeros((3, 16, 16, 4), np.uint8)
    images[0, :4, :4] = (200, 10, 20, 255)
    sheet = np.asarray(grid(images, columns=2))
    assert sheet.shape == (34, 34, 3)
    assert sheet[0, 0].tolist() == [200, 10, 20]
    assert len(np.unique(sheet[:16, 18:])) == 2


def _pixel(*levels: int) -> Tensor:
    return torch.tensor(levels, dtype=torch.uint8).reshape(1, 4, 1, 1)

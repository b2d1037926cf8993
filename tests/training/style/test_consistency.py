"""Small changes of photos, and the loss of paintings that change more."""

import pytest
import torch

from training.style.consistency import Disturbance

DOWN, ACROSS = (torch.arange(side) * (2 * torch.pi / side) for side in (48, 64))
PHOTOS = (
    (127 + 50 * DOWN.sin()[:, None] + torch.tensor([20, 40])[:, None, None, None] * ACROSS.sin()).expand(2, 3, 48, 64).byte()
)
"""Smooth, and without a seam when they are shifted round."""


def test_a_disturbed_photo_is_nearly_the_photo() -> None:
    found = [Disturbance(0, step).disturb(PHOTOS) for step in range(20)]
    for disturbed in found:
        assert disturbed.shape == PHOTOS.shape
        assert disturbed.min() >= 0
        assert disturbed.max() <= 255
        assert 0 < (disturbed - PHOTOS).abs().mean() < 20
    assert not torch.equal(found[0], found[1])


def test_a_disturbance_depends_on_seed_and_step_alone() -> None:
    assert torch.equal(Disturbance(3, 5).disturb(PHOTOS), Disturbance(3, 5).disturb(PHOTOS))
    assert not torch.equal(Disturbance(3, 5).disturb(PHOTOS), Disturbance(4, 5).disturb(PHOTOS))


@pytest.mark.parametrize("step", range(8))
def test_a_painting_that_moves_with_its_photo_loses_little(step: int) -> None:
    disturbance = Disturbance(0, step)
    photos = PHOTOS.float()
    moved = disturbance.disturb(PHOTOS)  # the identity as the network: it moves with the photo
    assert disturbance.loss(photos, moved).max() < 0.06
    assert disturbance.loss(photos, 255 - moved).min() > 0.5


def test_a_lattice_that_stays_in_its_place_is_a_loss() -> None:
    lattice = 40.0 * (torch.arange(64) % 4 < 2) * torch.ones(1, 3, 48, 1)
    losses = [Disturbance(0, step).loss(lattice, lattice).item() for step in range(20)]
    assert max(losses) > 0.4  # shifts by other than a multiple of 4

"""DiffAugment: the effect of each augmentation, and its gradients."""

import pytest
import torch

from tests.training.gan_configs import gan_config
from training.gan.augment import AUGMENTATIONS, AugmentProbability, augment, colour, cutout, translation
from training.images import from_uint8


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_translation_shifts_whole_images_by_at_most_an_eighth() -> None:
    images = torch.zeros(64, 1, 16, 16)
    images[:, :, 8, 8] = 1.0
    shifted = translation(images, rng())
    places = shifted.flatten(1).argmax(1)
    rows, columns = places // 16 - 8, places % 16 - 8
    assert set(rows.tolist()) == set(columns.tolist()) == {-2, -1, 0, 1, 2}
    assert shifted.flatten(1).sum(1).tolist() == [1.0] * 64


def test_translation_fills_uncovered_pixels_with_grey() -> None:
    shifted = translation(torch.ones(64, 3, 16, 16), rng())
    assert set(shifted.unique().tolist()) == {0.0, 1.0}
    filled = shifted[:, 0].flatten(1).mean(1)
    assert filled.min().item() == pytest.approx(14 * 14 / 256)
    assert filled.max().item() == 1.0


def test_cutout_makes_a_hole_with_half_the_side() -> None:
    holes = (cutout(torch.ones(200, 3, 16, 16), rng()) == 0).all(dim=1)
    assert holes.flatten(1).sum(1).max().item() == 8 * 8
    assert holes.flatten(1).sum(1).min().item() >= 4 * 4  # a centre on the edge leaves half a side each way


def test_colour_changes_each_image_uniformly() -> None:
    grey = torch.full((32, 3, 4, 4), 0.2)
    changed = colour(grey, rng())
    assert torch.allclose(changed, changed[:, :1, :1, :1].expand_as(changed), atol=1e-6)  # a grey image stays grey and flat
    assert (changed[:, 0, 0, 0] - 0.2).abs().max().item() <= 0.5 + 1e-6
    assert changed[:, 0, 0, 0].std() > 0.1


def test_augmentation_depends_on_the_rng_and_passes_gradients() -> None:
    images = torch.rand(4, 3, 16, 16, requires_grad=True)
    names = tuple(AUGMENTATIONS)
    first, again, other = (augment(images, names, rng(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    first.sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0


def test_no_augmentation_returns_the_same_images() -> None:
    images = torch.rand(4, 3, 16, 16)
    assert augment(images, (), rng()) is images


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_probability_is_the_share_of_changed_images(name: str) -> None:
    images = torch.rand(400, 3, 8, 8, generator=rng(1)) - 0.5
    unchanged = (augment(images, [name], rng(), 0.25) == images).flatten(1).all(1)
    always = (augment(images, [name], rng()) == images).flatten(1).all(1)
    # A shift by 0 changes nothing either.
    expected = 0.75 + 0.25 * always.float().mean().item()
    assert unchanged.float().mean().item() == pytest.approx(expected, abs=0.08)
    assert torch.equal(augment(images, [name], rng(), 0.0), images)


def probability(steps: int = 400, **options: float) -> AugmentProbability:
    return AugmentProbability(gan_config(augmentation=options).augmentation, steps)


def test_probability_rises_during_its_ramp() -> None:
    assert [probability(probability=0.3, ramp=0.5).at(place) for place in (0.0, 0.25, 0.5, 1.0)] == pytest.approx(
        [0, 0.15, 0.3, 0.3]
    )
    assert probability().at(0.0) == 1.0


def test_probability_follows_a_sure_discriminator() -> None:
    adaptive = probability(target=0.8, probability=0.5)
    assert adaptive.at(0.0) == 0.0
    for _ in range(8):
        adaptive.record(torch.tensor(0.9))
    assert adaptive.at(0.0) == pytest.approx(8 / 40)  # in a tenth of 400 steps it can rise to 1
    for _ in range(4):
        adaptive.record(torch.tensor(0.7))
    assert adaptive.at(0.0) == pytest.approx(4 / 40)
    for _ in range(40):
        adaptive.record(torch.tensor(1.0))
    assert adaptive.at(0.0) == 0.5  # the most that the config allows


def test_restored_probability_goes_on_between_two_moves() -> None:
    through, saved, restored = (probability(target=0.8) for _ in range(3))
    for accuracy in (0.9, 0.9, 0.9, 0.2, 0.9):
        through.record(torch.tensor(accuracy))
    for accuracy in (0.9, 0.9, 0.9):
        saved.record(torch.tensor(accuracy))
    restored.load_state_dict(saved.state_dict())
    for accuracy in (0.2, 0.9):
        restored.record(torch.tensor(accuracy))
    assert restored.state_dict() == through.state_dict()


def test_colours_behind_alpha_change_as_opaque_ones() -> None:
    draws = torch.Generator().manual_seed(1)
    flat = torch.rand(8, 3, 1, 1, generator=draws).expand(-1, -1, 4, 4) * 2 - 1
    alpha = torch.rand(8, 1, 4, 4, generator=draws)
    weighted = torch.cat([(flat + 1) * alpha - 1, alpha * 2 - 1], dim=1)
    changed = colour(weighted, rng())
    assert torch.equal(changed[:, 3:], weighted[:, 3:])
    # The mean of a flat image is that of its visible part, so contrast acts as on the opaque image.
    assert torch.allclose(changed[:, :3], (colour(flat, rng()) + 1) * alpha - 1, atol=1e-5)


def test_transparent_pixels_stay_transparent() -> None:
    images = torch.randint(0, 256, (16, 4, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    images[:, 3, :, :8] = 0
    assert (colour(from_uint8(images), rng())[:, :, :, :8] == -1).all()
    opaque = torch.ones(64, 4, 16, 16)
    for uncovers in (translation, cutout):
        uncovered = uncovers(opaque, rng()) == -1
        assert uncovered.any()
        assert torch.equal(uncovered.all(dim=1), uncovered.any(dim=1))
    assert (colour(torch.full((4, 4, 8, 8), -1.0), rng()) == -1).all()

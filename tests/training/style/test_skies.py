"""Smooth skies among the photos of a batch."""

import numpy as np
import torch

from training.style.skies import with_skies

PHOTOS = torch.randint(0, 256, (6, 3, 48, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_skies_are_smooth_and_photos_stay_as_they_are() -> None:
    before, found = PHOTOS.clone(), 0
    for step in range(20):
        mixed, is_sky = with_skies(PHOTOS, 0.3, 0, step)
        assert torch.equal(mixed[~is_sky], PHOTOS[~is_sky])
        for sky in mixed[is_sky].float():
            rows = sky.unflatten(1, (-1, 8)).unflatten(3, (-1, 8)).mean(dim=(2, 4))  # without the noise
            assert rows.diff(dim=1).abs().max() < 60
            assert sky.diff(dim=2).abs().mean() < 8
            found += 1
    assert 0.2 < found / (20 * len(PHOTOS)) < 0.4
    assert torch.equal(PHOTOS, before)


def test_skies_depend_on_seed_and_step_alone() -> None:
    first, again, other = (with_skies(PHOTOS, 1, seed, 5)[0] for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert len(np.unique(first.flatten(1).float().mean(dim=1).numpy())) == len(PHOTOS)


def test_a_share_of_0_has_no_skies_and_one_of_1_nothing_else() -> None:
    assert not any(with_skies(PHOTOS, 0, 0, step)[1].any() for step in range(20))
    assert all(with_skies(PHOTOS, 1, 0, step)[1].all() for step in range(20))

"""Random numbers as a function of seed, stream and place."""

import torch

from training.random import Stream, draw_latents, numpy_rng, torch_rng


def test_streams_keep_their_numbers() -> None:
    """Another number would change every run that is resumed."""
    assert {stream.name: stream.value for stream in Stream} == {
        "ORDER": 1, "LATENTS": 2, "FLIPS": 3, "PREPROCESSING": 4, "SAMPLE_GRID": 5, "SPLIT": 6, "EVALUATION": 7, "WALK": 8,
        "CROPS": 9, "EVALUATE_LATENTS": 10, "EVALUATE_IMAGES": 11, "SAMPLE_LATENTS": 12, "PAINT_NOISE": 13,
        "STYLES": 14, "HELD_OUT": 15, "CONSISTENCY": 16, "SKIES": 17, "NETWORKS": 18,
    }  # fmt: skip


def test_the_same_place_gives_the_same_numbers() -> None:
    for stream in Stream:
        assert numpy_rng(3, stream, 7, 1).random() == numpy_rng(3, stream, 7, 1).random()
        first, again = (torch.rand(4, generator=torch_rng(3, stream, 7, 1)) for _ in range(2))
        assert torch.equal(first, again)


def test_every_seed_stream_and_place_has_numbers_of_its_own() -> None:
    places = [(seed, stream, step) for seed in range(3) for stream in Stream for step in range(20)]
    assert len({numpy_rng(seed, stream, step).random() for seed, stream, step in places}) == len(places)
    assert len({torch_rng(seed, stream, step).initial_seed() for seed, stream, step in places}) == len(places)


def test_latents_are_normal_and_do_not_depend_on_their_number() -> None:
    few, many = (draw_latents(0, Stream.LATENTS, 1, 0, count=count, size=50) for count in (10, 1000))
    assert few.dtype == torch.float32
    assert torch.equal(few, many[:10])
    assert abs(many.mean()) < 0.02
    assert abs(many.std() - 1) < 0.02

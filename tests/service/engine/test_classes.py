"""Classes of a generator: names to numbers, latents that choose a class, walks from class to class."""

import numpy as np
import pytest

from ganvas.interpolation import interpolate
from service.engine.classes import class_names, parse_classes, walk_in_classes, with_classes
from service.engine.errors import InvalidValueError
from service.engine.latents import first_of_each, latents_of_seed

NAMES = ("zero", "one", "two")
K = len(NAMES)


def chosen(latents: np.ndarray) -> list[int]:
    """The classes that the graph of a generator finds."""
    classes: list[int] = latents[:, :K].argmax(axis=1).tolist()
    return classes


def test_names_become_numbers() -> None:
    assert parse_classes(None, NAMES, 2) is None
    assert parse_classes(None, (), 2) is None
    np.testing.assert_array_equal(parse_classes("one", NAMES, 3), [1, 1, 1])
    np.testing.assert_array_equal(parse_classes(["two", "zero", "two"], NAMES, 3), [2, 0, 2])
    assert (class_names(None), class_names("one"), class_names(["two", "one", "two"])) == ([], ["one"], ["two", "one"])


@pytest.mark.parametrize(
    ("asked", "names", "message"),
    [
        ("seven", NAMES, "class: There is no class 'seven': this model's classes are zero, one, two"),
        (["one", "One"], NAMES, r"class\[1\]: There is no class 'One'"),
        ("", NAMES, "class: There is no class ''"),
        ("one", (), "class: This model has no classes. It makes images from seeds or latents"),
    ],
)
def test_unknown_class_lists_the_known(asked: str | list[str], names: tuple[str, ...], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        parse_classes(asked, names, 2)


def test_largest_latent_changes_places_with_that_of_the_class() -> None:
    latents = np.array([[0.5, 2, -1, 3], [0.5, 2, -1, 3]], np.float32)  # latents after the first k choose nothing
    moved = with_classes(latents, np.array([2, 1]), K)
    np.testing.assert_array_equal(moved, np.array([[0.5, -1, 2, 3], [0.5, 2, -1, 3]], np.float32))


def test_latents_with_a_class_choose_it() -> None:
    latents, classes = latents_of_seed(0, 600, 7), np.arange(600) % K
    moved = with_classes(latents, classes, K)
    np.testing.assert_array_equal(chosen(moved), classes)
    np.testing.assert_array_equal(np.sort(moved), np.sort(latents))
    already = np.array(chosen(latents)) == classes
    np.testing.assert_array_equal(moved[already], latents[already])
    assert 150 < already.sum() < 250


@pytest.mark.parametrize("value", [0, 1, -1000, 1000])
@pytest.mark.parametrize("factor", [1, 1e-30])
def test_class_wins_among_equal_latents(value: float, factor: float) -> None:
    latents = np.full((K, 5), value * factor, np.float32)
    moved = with_classes(latents, np.arange(K), K)
    assert chosen(moved) == [0, 1, 2]
    np.testing.assert_allclose(moved, latents, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("loop", [True, False])
@pytest.mark.parametrize("seed", range(0, 40, 4))
def test_walk_in_one_class_stays_in_it(seed: int, loop: bool) -> None:
    keys = first_of_each(range(seed, seed + 4), 6)
    latents, classes = walk_in_classes(keys, np.full(4, 1), K, 9, loop=loop)
    assert latents.shape == interpolate(keys, 9, loop=loop).shape
    np.testing.assert_array_equal(classes, 1)
    assert set(chosen(latents)) == {1}
    np.testing.assert_array_equal(latents[::9][:4], with_classes(keys, np.full(4, 1), K))


def test_walk_between_keys_of_one_class_is_the_walk_without_classes() -> None:
    keys = with_classes(first_of_each(range(3), 6), np.full(3, 2), K)
    latents, _ = walk_in_classes(keys, np.full(3, 2), K, 10, loop=True)
    np.testing.assert_array_equal(latents, interpolate(keys, 10, loop=True))


@pytest.mark.parametrize("seed", range(10))
def test_walk_between_classes_changes_once_halfway(seed: int) -> None:
    keys = first_of_each([seed, seed + 1, seed + 2], 6)
    latents, classes = walk_in_classes(keys, np.array([0, 2, 2]), K, 10, loop=True)
    expected = [0] * 5 + [2] * 5 + [2] * 10 + [2] * 5 + [0] * 5
    assert classes.tolist() == expected
    assert chosen(latents) == expected
    np.testing.assert_array_equal(latents[::10], with_classes(keys, np.array([0, 2, 2]), K))

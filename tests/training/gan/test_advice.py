import shlex
from pathlib import Path

import numpy as np
import pytest

from training.data.duplicates import Look
from training.data.survey import Facts, Survey
from training.gan.advice import advise, size_for

LOOK = Look("", 0, np.zeros((16, 16, 3), np.uint8))


def surveyed(counts: dict[str, int], size: int = 64, small: int = 0, *, grey: bool = False, stored: bool = False) -> Survey:
    """`counts` images in each folder."""
    facts = Facts("PNG", 64, 64, stored, grey, transparent=False, enlarged=False, look=LOOK)
    images = {f"{folder}/{i}.png": facts for folder, count in counts.items() for i in range(count)}
    return Survey(Path("my data.zip"), size, images, {f"small{i}.png": f"a side under {size} pixels" for i in range(small)})


def test_command_trains_with_the_config_that_fits() -> None:
    advice = advise(surveyed({".": 6000}))
    assert advice.command is not None
    assert shlex.split(advice.command)[1:] == [
        "-m", "training", "gan", "--data", "my data.zip", "--config", "gan", "--out", "runs/my-data"
    ]  # fmt: skip
    assert advice.changes == ()
    assert advice.time == "about 3 hours on two CPU cores, 4 minutes on a GPU"


def test_small_grey_images_take_the_recipe_of_the_digits() -> None:
    advice = advise(surveyed({"a": 1000, "b": 4000}, 32, grey=True))
    assert (advice.config, advice.changes) == ("digits", ("image_size=32", "channels=1", "classes.count=2"))
    said = " ".join(advice.reasons)
    assert "channels=1: the files store colour, but all pixels are grey." in said
    assert "The classes are uneven: b holds 4,000 images, a 1,000." in said


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"a": 900, "b": 99}, "No classes: b holds 99 images, and a class needs about 100."),
        ({f"{i}": 100 for i in range(101)}, "No classes: 101 folders are more than the 100 classes that are possible."),
    ],
)
def test_says_why_folders_are_not_used_as_classes(counts: dict[str, int], words: str) -> None:
    advice = advise(surveyed(counts))
    assert words in advice.reasons
    assert advice.changes == ()


def test_no_command_if_training_would_refuse_the_images() -> None:
    assert advise(surveyed({".": 500})).command is not None
    assert advise(surveyed({".": 500}, small=1)).command is None
    few = advise(surveyed({".": 15}))
    assert few.command is None
    assert "15 images can be used; at least 16 are needed, thousands for good results." in few.reasons


@pytest.mark.parametrize(
    ("sides", "size"),
    [
        ([300] * 5, 64),
        ([63] * 5, 48),
        ([28] * 5, 28),
        ([10] * 5, 16),
        ([40] + [64] * 150, 64),
        ([40] + [64] * 20, 64),
        ([40, 40, 64, 64, 64], 32),
    ],
)
def test_size_fits_nearly_all_images(sides: list[int], size: int) -> None:
    assert size_for({f"{i}": (side, side + 9) for i, side in enumerate(sides)}) == size

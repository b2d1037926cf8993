from collections.abc import Sequence

import numpy as np
import pytest

from ganvas.card import Card
from ganvas.tensors import ROWS, Tensor, Values
from service.engine.contract import check_values, sizes_of
from service.engine.errors import InvalidValueError
from tests.service.onnx_models import generator_card, stylizer_card

STYLIZER = stylizer_card()
MOST = {"n": 4, "h": 256, "w": 256}


def sizes(shapes: dict[str, Sequence[int]], encoded: str | None = None) -> dict[str, int]:
    return sizes_of(STYLIZER, shapes, optional=("strength", "keep_color"), most=MOST, encoded=encoded)


def test_finds_the_size_of_every_dimension() -> None:
    assert sizes({"styles": (2, 3), "images": (2, 20, 16, 3)}) == {"n": 2, "h": 20, "w": 16}


def test_encoded_images_have_only_rows() -> None:
    assert sizes({"images": (2,), "styles": (2, 3)}, encoded="images") == {"n": 2}


@pytest.mark.parametrize(
    ("images", "styles", "mentions"),
    [
        ((1, 20, 16, 3), (1, 4), r"styles.shape: Must be \[n, 3\], where n is 1 in another input; not \[1, 4\]"),
        ((1, 20, 16, 3), (2, 3), "n is 1 in another input"),
        ((5, 20, 16, 3), (5, 3), "images.shape: .* n is 1 to 4"),
        ((0, 20, 16, 3), (0, 3), "n is 1 to 4"),
        ((1, 18, 16, 3), (1, 3), "h is 16 to 256 and a multiple of 4"),
        ((1, 260, 16, 3), (1, 3), "h is 16 to 256"),
        ((1, 20, 16), (1, 3), r"Must be \[n, h, w, 3\]"),
    ],
)
def test_says_which_shapes_fit(images: Sequence[int], styles: Sequence[int], mentions: str) -> None:
    with pytest.raises(InvalidValueError, match=mentions):
        sizes({"images": images, "styles": styles})


def test_says_which_inputs_are_missing_or_unknown() -> None:
    with pytest.raises(InvalidValueError, match="painters also needs styles"):
        sizes({"images": (1, 20, 16, 3)})
    with pytest.raises(InvalidValueError, match="no input 'noise'; its inputs are images, styles"):
        sizes({"images": (1, 20, 16, 3), "styles": (1, 3), "noise": (1,)})


@pytest.mark.parametrize(
    ("values", "array", "mentions"),
    [
        ("normal", [[0.0, np.nan]], "finite"),
        ("unit", [[0.0, 1.1]], "0 to 1"),
        ("unit", [[-0.1, 1.0]], "0 to 1"),
    ],
)
def test_says_which_values_fit(values: Values, array: list[list[float]], mentions: str) -> None:
    with pytest.raises(InvalidValueError, match=mentions):
        check_values(Tensor("x", "float32", (ROWS, 2), values), np.array(array, np.float32))


@pytest.mark.parametrize("card", [generator_card(optional_inputs=("truncation",)), STYLIZER])
def test_accepts_every_example_of_a_card(card: Card) -> None:
    example = card.example(3)
    for tensor in card.inputs:
        check_values(tensor, example[tensor.name])

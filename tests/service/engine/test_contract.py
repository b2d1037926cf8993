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
    ("shapes", "mentions"),
    [
        ({"images": (1, 20, 16, 3)}, "painters also needs styles"),
        ({"images": (1, 20, 16, 3), "styles": (1, 3), "noise": (1,)}, "no input 'noise'; its inputs are images, styles"),
        ({"styles": (1, 4)}, r"Must be \[n, 3\], where n is 1 to 4; not \[1, 4\]"),
        ({"styles": (5, 3)}, "n is 1 to 4"),
        ({"images": (1, 18, 16, 3)}, "h is 16 to 256 and a multiple of 4"),
        ({"images": (1, 20, 16)}, r"Must be \[n, h, w, 3\]"),
        ({"images": (1, 20, 16, 3), "styles": (2, 3)}, "n is 1 in another input"),
    ],
)
def test_says_which_shapes_fit(shapes: dict[str, Sequence[int]], mentions: str) -> None:
    complete = {"images": (1, 20, 16, 3), "styles": (1, 3)} if "images" not in shapes else {}
    with pytest.raises(InvalidValueError, match=mentions):
        sizes({**shapes, **{name: shape for name, shape in complete.items() if name not in shapes}})


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

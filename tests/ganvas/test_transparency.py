from pathlib import Path

import numpy as np
from PIL import Image

from ganvas.contact_sheet import GAP, contact_sheet
from ganvas.images import read_image
from ganvas.transparency import CLEAR, on_checkerboard, on_grey, on_white

RED, HALF_RED = (200, 10, 20, 255), (200, 10, 20, 128)


def image_of(*pixels: tuple[int, int, int, int]) -> Image.Image:
    return Image.fromarray(np.array([pixels], np.uint8))


def test_backgrounds_show_through_as_alpha_says() -> None:
    image = image_of(RED, HALF_RED, (1, 2, 3, 0))
    assert np.asarray(on_white(image))[0].tolist() == [[200, 10, 20], [227, 132, 137], [255, 255, 255]]
    assert np.asarray(on_grey(image))[0].tolist() == [[200, 10, 20], [164, 69, 74], [128, 128, 128]]
    board = np.asarray(on_checkerboard(Image.new("RGBA", (20, 12), CLEAR)))
    assert board.shape == (12, 20, 3)
    assert board[0, 0].tolist() == board[8, 8].tolist() == board[7, 16].tolist() == [242] * 3
    assert board[0, 8].tolist() == board[8, 0].tolist() == [204] * 3


def test_reading_keeps_alpha_if_asked(tmp_path: Path) -> None:
    image_of(RED, HALF_RED).save(tmp_path / "a.png")
    Image.new("L", (2, 1), 7).save(tmp_path / "grey.png")
    assert read_image(tmp_path / "a.png").mode == "RGB"
    assert np.asarray(read_image(tmp_path / "a.png", keep_alpha=True))[0].tolist() == [[*RED], [*HALF_RED]]
    assert np.asarray(read_image(tmp_path / "grey.png", keep_alpha=True))[0].tolist() == [[7, 7, 7, 255]] * 2


def test_contact_sheet_is_transparent_between_images() -> None:
    sheet = np.asarray(contact_sheet([Image.new("RGBA", (3, 3), RED)] * 3))
    assert sheet.shape == (6 + GAP, 6 + GAP, 4)
    assert sheet[0, 0].tolist() == [*RED]
    assert sheet[0, 3].tolist() == sheet[7, 7].tolist() == [*CLEAR]

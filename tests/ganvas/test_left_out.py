"""Which files of a folder are read, and how the others are counted."""

import pytest
from PIL import Image

from ganvas.left_out import left_out_text, why_left_out
from tests.image_files import image_bytes

JPEG = image_bytes(Image.new("RGB", (8, 8)), "jpeg")


@pytest.mark.parametrize("name", ["a.jpg", "a.JPG", "a.Jpeg", "a.jpe", "a.jfif", "a.PNG", "b/a.webp", "a.b.jpg"])
def test_reads_images_by_their_suffix(name: str) -> None:
    assert why_left_out(name, lambda: b"any content") is None


@pytest.mark.parametrize("name", ["IMG_0001", "folder.d/IMG_0001"])
def test_content_decides_if_there_is_no_suffix(name: str) -> None:
    assert why_left_out(name, lambda: JPEG[:12]) is None
    assert why_left_out(name, lambda: b"#!/bin/sh\n") == "not an image file"
    assert why_left_out(name, lambda: b"") == "not an image file"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a.HEIC", "a .heic file; JPEG, PNG or WebP files are read"),
        ("a.tiff", "a .tiff file; JPEG, PNG or WebP files are read"),
        ("notes.txt", "not an image file"),
        (".hidden.jpg", "a hidden file"),
        ("b/._a.jpg", "a hidden file"),
        ("__MACOSX/a.jpg", "a hidden file"),
    ],
)
def test_says_why_a_file_is_left_out(name: str, reason: str) -> None:
    assert why_left_out(name, lambda: JPEG) == reason


def test_counts_files_by_kind() -> None:
    names = ["b/1.heic", "2.HEIC", "3.txt", ".DS_Store", "README", "4.heic"]
    assert left_out_text(names) == "6 files left out: 3 .heic, 1 .txt, 1 hidden, 1 without suffix"
    assert left_out_text(["a.bmp"]) == "1 file left out: 1 .bmp"

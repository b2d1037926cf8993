import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganvas.api import UPLOAD_FORMATS_TEXT
from tests.training.conftest import MakeImages, draw
from training.data.image_folder import open_image_folder, require_count, require_size
from training.errors import DataError


def test_folder_and_zip_give_the_same_images(make_images: MakeImages, tmp_path: Path) -> None:
    folder = make_images("photos", 5)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    in_folder, in_zip = open_image_folder(folder), open_image_folder(tmp_path / "photos.zip")
    assert in_folder.sizes == in_zip.sizes == {f"{i:03d}.png": (48, 40) for i in range(5)}
    assert in_folder.open("003.png", "RGB").tobytes() == in_zip.open("003.png", "RGB").tobytes()


def test_finds_class_folders_and_capital_endings_but_no_other_files(tmp_path: Path) -> None:
    for name in ("cats/a.JPG", "cats/b.webp", "dogs/small/c.jpeg", "d.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(0).save(path)
    for name in ("notes.txt", "cats/._a.jpg", "__MACOSX/d.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"no image")
    images = open_image_folder(tmp_path)
    assert images.names == ["cats/a.JPG", "cats/b.webp", "d.png", "dogs/small/c.jpeg"]
    assert images.unreadable == {}
    assert images.left_out == {
        "__MACOSX/d.png": "a hidden file",
        "cats/._a.jpg": "a hidden file",
        "notes.txt": "not an image file",
    }


def test_folder_and_zip_name_the_files_of_other_formats(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    draw(0).save(folder / "IMG_1", "JPEG")
    draw(1).save(folder / "old.JFIF", "JPEG")
    draw(2).save(folder / "scan.tiff")
    (folder / "README").write_text("hello")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    for images in (open_image_folder(folder), open_image_folder(tmp_path / "photos.zip")):
        assert images.names == ["IMG_1", "old.JFIF"]
        reason = f"a .tiff file; {UPLOAD_FORMATS_TEXT} files are read"
        assert images.left_out == {"README": "not an image file", "scan.tiff": reason}
        assert images.open("IMG_1", "RGB").size == images.sizes["IMG_1"]


def test_lists_unreadable_images(make_images: MakeImages) -> None:
    folder = make_images("photos", 2)
    (folder / "text.jpg").write_text("hello")
    (folder / "empty.png").touch()
    images = open_image_folder(folder)
    assert images.names == ["000.png", "001.png"]
    assert images.unreadable == dict.fromkeys(["empty.png", "text.jpg"], f"not a {UPLOAD_FORMATS_TEXT} image")


def test_lists_unreadable_files_of_broken_and_encrypted_zips(make_images: MakeImages, tmp_path: Path) -> None:
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for image in make_images("photos", 3).iterdir():
            archive.write(image, image.name)
        offsets = {info.filename: info.header_offset for info in archive.infolist()}
    content = bytearray(path.read_bytes())
    content[offsets["001.png"] + 60 : offsets["001.png"] + 90] = bytes(30)
    central = content.index(b"PK\x01\x02")
    entry = content.index(b"002.png", central) - 46
    content[entry + 8] |= 1  # marks the file as encrypted
    path.write_bytes(content)
    images = open_image_folder(path)
    assert images.names == ["000.png"]
    assert list(images.unreadable) == ["001.png", "002.png"]


def test_refuses_a_file_that_only_looks_like_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "broken.zip"
    path.write_bytes(b"PK\x05\x06" + b"\xff" * 18)
    with pytest.raises(DataError, match=r"is a broken zip|neither a folder nor a zip"):
        open_image_folder(path)


def test_follows_linked_folders_once(make_images: MakeImages) -> None:
    folder = make_images("photos", 2)
    (folder / "inner").mkdir()
    (folder / "inner" / "loop").symlink_to(folder)
    (folder.parent / "elsewhere").mkdir()
    draw(5).save(folder.parent / "elsewhere" / "far.png")
    (folder / "linked").symlink_to(folder.parent / "elsewhere")
    assert open_image_folder(folder).names == ["000.png", "001.png", "linked/far.png"]


def test_fingerprint_differs_for_other_images(make_images: MakeImages) -> None:
    one, other = make_images("one", 3), make_images("other", 3)
    assert open_image_folder(one).fingerprint == open_image_folder(other).fingerprint != ""
    draw(9).save(other / "002.png")
    assert open_image_folder(one).fingerprint != open_image_folder(other).fingerprint


def test_lists_files_of_other_formats_as_unreadable(tmp_path: Path) -> None:
    draw(0).save(tmp_path / "a.png")
    draw(1).convert("P").save(tmp_path / "b.jpg", format="GIF")
    assert list(open_image_folder(tmp_path).unreadable) == ["b.jpg"]


def test_lists_a_decompression_bomb_as_unreadable(make_images: MakeImages) -> None:
    folder = make_images("photos", 1)
    buffer = io.BytesIO()
    Image.new("1", (1, 1)).save(buffer, "PNG")
    bomb = bytearray(buffer.getvalue())
    bomb[16:24] = (60000).to_bytes(4, "big") * 2  # width and height in the header
    (folder / "bomb.png").write_bytes(bomb)
    assert list(open_image_folder(folder).unreadable) == ["bomb.png"]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_converts_every_mode_to_rgb_and_grey(tmp_path: Path, mode: str) -> None:
    if mode == "I;16":
        Image.fromarray(np.full((8, 8), 128 * 256, np.uint16)).save(tmp_path / "a.png")
    else:
        suffix = "jpg" if mode == "CMYK" else "png"
        Image.new("L", (8, 8), 128).convert("RGB").convert(mode, palette=Image.Palette.ADAPTIVE).save(tmp_path / f"a.{suffix}")
    images = open_image_folder(tmp_path)
    assert images.grey == (mode in {"1", "L", "LA", "I;16"})
    rgb, grey = (images.open(images.names[0], "RGB"), images.open(images.names[0], "L"))
    assert (rgb.mode, grey.mode) == ("RGB", "L")
    if mode != "1":  # dithered
        assert abs(np.asarray(rgb).astype(int) - 128).max() <= 3
        assert abs(np.asarray(grey).astype(int) - 128).max() <= 3


def test_lays_transparent_images_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    palette.save(tmp_path / "palette.png", transparency=0)
    images = open_image_folder(tmp_path)
    for name in images.names:
        assert images.open(name, "RGB").getpixel((0, 0)) == (255, 255, 255)


def test_turns_pixels_and_sizes_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (60, 20), "blue")
    image.paste("red", (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to see it upright: what was left is now on top
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    images = open_image_folder(tmp_path)
    upright = images.open("a.jpg", "RGB")
    assert images.sizes["a.jpg"] == upright.size == (20, 60)
    red, _, blue = np.asarray(upright)[8, 10]
    assert red > 200
    assert blue < 50


def test_refuses_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no image that can be read"):
        open_image_folder(tmp_path)


def test_refuses_other_files_and_missing_paths(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(DataError, match="neither a folder nor a zip"):
        open_image_folder(tmp_path / "a.txt")
    with pytest.raises(DataError, match="does not exist"):
        open_image_folder(tmp_path / "nowhere")


def test_refuses_small_and_few_images_with_advice(make_images: MakeImages) -> None:
    images = open_image_folder(make_images("photos", 3, size=(48, 40)))
    require_size(images, 40, "--set image_size=...")
    with pytest.raises(DataError, match=r"3 of 3 images .* under 41 pixels: 000.png \(48x40\).*--set image_size"):
        require_size(images, 41, "--set image_size=...")
    require_count(images, 3)
    with pytest.raises(DataError, match=r"holds 3 readable images\. At least 4 are needed"):
        require_count(images, 4)

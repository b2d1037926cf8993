"""Images are prepared once, in a file that is complete or not there, and that processes share."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from ganvas.files import partial_path
from tests.training.conftest import MakeImages
from training.data.dataset import load_images
from training.data.image_cache import prepare_images
from training.data.image_folder import open_image_folder
from training.data.image_set import Chosen, WithMirrored, batches
from training.errors import DataError

ROOT = Path(__file__).parents[3]
PREPARE = """
import sys
from pathlib import Path
from training.data.image_cache import prepare_images
from training.data.image_folder import open_image_folder
print(len(prepare_images(open_image_folder(Path(sys.argv[1])), 32, 3, Path(sys.argv[2]))))
"""


def only_file(cache: Path) -> Path:
    (path,) = cache.glob("*.images")
    return path


def truncate(path: Path, size: int) -> None:
    os.truncate(path, size)


@pytest.mark.parametrize("channels", [1, 3])
def test_prepared_images_are_those_that_load_images_decodes(make_images: MakeImages, tmp_path: Path, channels: int) -> None:
    path = make_images("photos", 7)
    truncate(path / "004.png", 200)
    folder = open_image_folder(path)
    images, unreadable = load_images(folder, 32, channels)
    prepared = prepare_images(folder, 32, channels, tmp_path / "cache")
    assert torch.equal(torch.cat(list(batches(prepared, 4))), images)
    assert torch.equal(prepared[np.array([5, 0, 5])], images[[5, 0, 5]])
    assert prepared.unreadable == unreadable
    assert list(unreadable) == ["004.png"]


def test_complete_file_is_used_again_without_the_folder(make_images: MakeImages, tmp_path: Path) -> None:
    folder = open_image_folder(make_images("photos", 3))
    said: list[str] = []
    first = prepare_images(folder, 32, 3, tmp_path, say=said.append)
    for name in folder.names:
        (folder.path / name).unlink()
    again = prepare_images(folder, 32, 3, tmp_path, say=said.append)
    assert torch.equal(first[np.arange(3)], again[np.arange(3)])
    assert len(said) == 1
    assert said[0].startswith("Preparing 3 images at 32 x 32: 9.2 kB in ")


def test_each_size_and_each_state_of_a_folder_has_its_own_file(make_images: MakeImages, tmp_path: Path) -> None:
    path, cache = make_images("photos", 3), tmp_path / "cache"
    for size, channels in ((32, 3), (32, 1), (28, 3)):
        prepare_images(open_image_folder(path), size, channels, cache)
    os.utime(path / "001.png", (1, 1))  # changed, with the same number of bytes
    prepare_images(open_image_folder(path), 32, 3, cache)
    assert len(list(cache.glob("*.images"))) == 4


def test_image_that_changes_in_a_zip_is_prepared_again(make_images: MakeImages, tmp_path: Path) -> None:
    colours = make_images("photos", 2), make_images("others", 2, mode="L")
    prepared = []
    for folder in colours:
        with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
            archive.write(colours[0] / "000.png", "000.png")
            archive.writestr("001.png", (folder / "001.png").read_bytes())
        prepared.append(prepare_images(open_image_folder(tmp_path / "images.zip"), 32, 3, tmp_path / "cache"))
    assert not torch.equal(prepared[0][np.array([1])], prepared[1][np.array([1])])


@pytest.mark.parametrize("damage", ["cut", "empty", "pixel", "footer"])
def test_damaged_file_is_prepared_again(make_images: MakeImages, tmp_path: Path, damage: str) -> None:
    folder = open_image_folder(make_images("photos", 3))
    images, _ = load_images(folder, 32, 3)
    prepare_images(folder, 32, 3, tmp_path)
    path = only_file(tmp_path)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        truncate(path, len(content) // 2)
    elif damage == "empty":
        truncate(path, 0)
    else:
        content[1000 if damage == "pixel" else 3 * 3 * 32 * 32 + 5] ^= 255
        path.write_bytes(content)
    said: list[str] = []
    again = prepare_images(folder, 32, 3, tmp_path, say=said.append)
    assert torch.equal(again[np.arange(3)], images)
    assert said[0].startswith(f"{path} is damaged (")


def test_partial_file_of_a_killed_process_is_replaced(make_images: MakeImages, tmp_path: Path) -> None:
    folder = open_image_folder(make_images("photos", 3))
    prepare_images(folder, 32, 3, tmp_path)
    path = only_file(tmp_path)
    path.rename(partial_path(path))
    truncate(partial_path(path), 5000)
    assert len(prepare_images(folder, 32, 3, tmp_path)) == 3
    assert not partial_path(path).exists()


def test_nothing_is_left_if_no_image_can_be_decoded(make_images: MakeImages, tmp_path: Path) -> None:
    path, cache = make_images("photos", 2), tmp_path / "cache"
    for image in path.iterdir():
        truncate(image, 200)
    with pytest.raises(DataError, match=r"No image in .* can be decoded"):
        prepare_images(open_image_folder(path), 32, 3, cache)
    assert [each.suffix for each in cache.iterdir()] in ([], [".lock"])


def test_limit_counts_the_files_that_are_there(make_images: MakeImages, tmp_path: Path) -> None:
    folder = open_image_folder(make_images("photos", 10))
    with pytest.raises(DataError, match=r"need 30.7 kB. The limit is 2e-05 GB. Raise it with --cache-gb"):
        prepare_images(folder, 32, 3, tmp_path / "cache", limit_gb=2e-5)
    prepare_images(folder, 32, 3, tmp_path / "cache", limit_gb=4e-5)
    with pytest.raises(
        DataError, match=r"already holds 31.0 kB. The limit is 4e-05 GB.* or delete files in .* that no run uses"
    ):
        prepare_images(folder, 32, 1, tmp_path / "cache", limit_gb=4e-5)


def test_full_disk_is_noticed_before_anything_is_written(make_images: MakeImages, small_disk: Path) -> None:
    folder = open_image_folder(make_images("photos", 90, size=(256, 256)))
    with pytest.raises(
        DataError, match=r"need 17.7 MB, but the disk of .* has only .* MB free. Free some space, name a folder"
    ):
        prepare_images(folder, 256, 3, small_disk / "cache")
    assert not list((small_disk / "cache").glob("*.images"))


def test_processes_that_prepare_the_same_images_share_one_file(make_images: MakeImages, tmp_path: Path) -> None:
    path = make_images("photos", 60)
    command = [sys.executable, "-c", PREPARE, str(path), str(tmp_path / "cache")]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [process.communicate(timeout=60)[0] for process in started]
    assert [text.splitlines()[-1] for text in printed] == ["60", "60"]
    assert sum("Preparing 60 images" in text for text in printed) == 1
    assert len(list((tmp_path / "cache").glob("*.images"))) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts the memory that no file can give back")
def test_images_need_not_fit_into_memory(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "tests.training.data.memory_probe", str(tmp_path)], check=True, cwd=ROOT)


def test_choices_and_mirror_images_are_taken_from_the_same_images() -> None:
    images = torch.arange(4 * 2, dtype=torch.uint8).reshape(4, 1, 1, 2)
    chosen = Chosen(images, np.array([3, 1]))
    assert chosen[np.array([1, 0])].flatten().tolist() == [2, 3, 6, 7]
    mirrored = WithMirrored(chosen)
    assert len(mirrored) == 4
    assert mirrored[np.array([2, 1, 3])].flatten().tolist() == [7, 6, 2, 3, 3, 2]

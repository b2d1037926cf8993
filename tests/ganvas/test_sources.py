"""Which photos a batch takes, and what its pictures are called."""

from pathlib import Path

import pytest

from ganvas.batches.sources import find_items


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b.PNG", "c.webp", "notes.txt", ".hidden.jpg", "sub/a.jpg", "sub/deep/d.jpeg", ".git/e.jpg"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "photos"


def files(sources: object, out: Path, image_format: str = "jpeg") -> list[str]:
    return [item.file for item in find_items(sources, out, image_format)]  # type: ignore[arg-type]


def test_a_folder_with_all_below_it(folder: Path, tmp_path: Path) -> None:
    items = find_items(folder, tmp_path / "out", "png")
    assert [item.file for item in items] == ["a.png", "b.png", "c.png", "sub/a.png", "sub/deep/d.png"]
    assert items[3].source == folder / "sub" / "a.jpg"
    assert files(str(folder), tmp_path / "out", "webp")[0] == "a.webp"


def test_files_patterns_and_folders_together(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert files([folder / "sub", folder / "b.PNG"], tmp_path / "out") == ["a.jpg", "deep/d.jpg", "b.jpg"]
    assert files(f"{folder}/*.[jP]*", tmp_path / "out") == ["a.jpg", "b.jpg"]
    assert files([f"{folder}/**/d.*", folder / "notes.txt"], tmp_path / "out") == ["d.jpg", "notes.jpg"]
    monkeypatch.chdir(folder)
    assert find_items("*.webp", Path("out"), "jpeg")[0].source == folder / "c.webp"


def test_a_photo_that_is_named_twice_is_taken_once(folder: Path, tmp_path: Path) -> None:
    assert len(files([folder / "sub/a.jpg", folder / "sub/a.jpg"], tmp_path / "out")) == 1


def test_the_folder_of_the_pictures_is_left_out(folder: Path) -> None:
    (folder / "painted").mkdir()
    (folder / "painted" / "a.jpg").touch()
    assert "painted/a.jpg" not in files(folder, folder / "painted")


def test_photos_that_differ_in_the_suffix_keep_it(folder: Path, tmp_path: Path) -> None:
    (folder / "a.png").touch()
    assert files(folder, tmp_path / "out")[:3] == ["a.jpg.jpg", "a.png.jpg", "b.jpg"]


def test_two_photos_for_one_file(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="would both become"):
        files([folder / "a.jpg", folder / "sub" / "a.jpg"], tmp_path / "out")


def test_a_picture_never_goes_over_its_photo(folder: Path) -> None:
    with pytest.raises(ValueError, match="would be overwritten"):
        files(folder / "a.jpg", folder)
    assert files(folder / "a.jpg", folder, "png") == ["a.png"]


@pytest.mark.parametrize("source", ["nowhere", "nowhere/*.jpg", "empty", []])
def test_nothing_there(tmp_path: Path, source: str | list[str]) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError):
        find_items(str(tmp_path / source) if isinstance(source, str) else source, tmp_path / "out", "jpeg")

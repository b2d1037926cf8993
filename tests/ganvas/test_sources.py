"""The photos of a batch, and the file names of its images."""

from pathlib import Path

import pytest

from ganvas.batches.sources import find_photos


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b.PNG", "c.webp", "notes.txt", ".hidden.jpg", "sub/a.jpg", "sub/deep/d.jpeg", ".git/e.jpg"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "photos"


def files(sources: object, out: Path, image_format: str = "jpeg") -> list[str]:
    return [photo.file for photo in find_photos(sources, out, image_format).photos]  # type: ignore[arg-type]


def test_takes_all_folders_below_a_folder(folder: Path, tmp_path: Path) -> None:
    photos = find_photos(folder, tmp_path / "out", "png").photos
    assert [photo.file for photo in photos] == ["a.png", "b.png", "c.png", "sub/a.png", "sub/deep/d.png"]
    assert photos[3].source == folder / "sub" / "a.jpg"
    assert files(str(folder), tmp_path / "out", "webp")[0] == "a.webp"


def test_accepts_files_patterns_and_folders_together(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert files([folder / "sub", folder / "b.PNG"], tmp_path / "out") == ["a.jpg", "deep/d.jpg", "b.jpg"]
    assert files(f"{folder}/*.[jP]*", tmp_path / "out") == ["a.jpg", "b.jpg"]
    assert files([f"{folder}/**/d.*", folder / "notes.txt"], tmp_path / "out") == ["d.jpg", "notes.jpg"]
    monkeypatch.chdir(folder)
    assert find_photos("*.webp", Path("out"), "jpeg").photos[0].source == folder / "c.webp"


def test_takes_a_photo_named_twice_once(folder: Path, tmp_path: Path) -> None:
    assert len(files([folder / "sub/a.jpg", folder / "sub/a.jpg"], tmp_path / "out")) == 1


def test_leaves_out_the_output_folder(folder: Path) -> None:
    (folder / "painted").mkdir()
    (folder / "painted" / "a.jpg").touch()
    assert "painted/a.jpg" not in files(folder, folder / "painted")


@pytest.mark.parametrize("out", ["painted", "../photos/painted", "sub/../painted", "../link/painted", "../straight"])
@pytest.mark.parametrize("source", [".", "../photos", "sub/..", "../link"])
def test_output_folder_is_skipped_under_any_path(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str, out: str) -> None:
    (folder / "painted").mkdir()
    (folder / "painted" / "a.jpg").touch()
    (folder.parent / "link").symlink_to(folder)
    (folder.parent / "straight").symlink_to(folder / "painted")
    monkeypatch.chdir(folder)
    photos = find_photos(source, Path(out), "jpeg").photos
    assert [photo.file for photo in photos] == ["a.jpg", "b.jpg", "c.jpg", "sub/a.jpg", "sub/deep/d.jpg"]
    assert photos[0].source == folder / "a.jpg"  # the same name at the next run


def test_photos_that_differ_in_the_suffix_keep_it(folder: Path, tmp_path: Path) -> None:
    (folder / "a.png").touch()
    assert files(folder, tmp_path / "out")[:3] == ["a.jpg.jpg", "a.png.jpg", "b.jpg"]


def test_refuses_two_photos_for_one_file(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="would both become"):
        files([folder / "a.jpg", folder / "sub" / "a.jpg"], tmp_path / "out")


def test_image_never_overwrites_its_photo(folder: Path) -> None:
    with pytest.raises(ValueError, match="would be overwritten"):
        files(folder / "a.jpg", folder)
    assert files(folder / "a.jpg", folder, "png") == ["a.png"]


@pytest.mark.parametrize(
    ("source", "out"),
    [
        ("../photos", "."),
        (".", "../photos"),
        ("../link", "."),
        (".", "../link"),
        ("../photos/a.jpg", "."),
        ("sub/../a.jpg", "../sub/../photos"),
        ("../link/a.jpg", "."),
        ("a.jpg", "../link"),
        ("../links/a.jpg", "."),
        ("../links", "."),
        (["../other/b.jpg", "sub"], "sub/../../other"),
    ],
)
def test_image_never_overwrites_a_photo_by_another_path(
    folder: Path, monkeypatch: pytest.MonkeyPatch, source: str | list[str], out: str
) -> None:
    (folder.parent / "link").symlink_to(folder)
    (folder.parent / "links").mkdir()
    (folder.parent / "links" / "a.jpg").symlink_to(folder / "a.jpg")
    (folder.parent / "other").mkdir()
    (folder.parent / "other" / "b.jpg").touch()
    monkeypatch.chdir(folder)
    (folder.parent / "sub").mkdir()
    with pytest.raises(ValueError, match=r"overwritten|among its photos"):
        find_photos(source, Path(out), "jpeg")


def test_image_never_overwrites_another_photo(folder: Path, tmp_path: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "d.jpg").touch()
    with pytest.raises(ValueError, match=r"deep/d\.jpg would be overwritten by an image"):
        files([folder / "sub", folder / "deep" / "d.jpg"], folder)


def test_linked_photo_keeps_its_name(folder: Path, tmp_path: Path) -> None:
    (folder / "latest.jpg").symlink_to("a.jpg")
    (folder / "gone.jpg").symlink_to("nowhere.jpg")  # the batch reports it as failed under this name
    assert files(folder, tmp_path / "out") == [
        "a.jpg",
        "b.jpg",
        "c.jpg",
        "gone.jpg",
        "latest.jpg",
        "sub/a.jpg",
        "sub/deep/d.jpg",
    ]
    assert files(folder / "latest.jpg", tmp_path / "out") == ["latest.jpg"]


@pytest.mark.parametrize("source", ["nowhere", "nowhere/*.jpg", "empty", []])
def test_refuses_sources_without_photos(tmp_path: Path, source: str | list[str]) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError):
        find_photos(str(tmp_path / source) if isinstance(source, str) else source, tmp_path / "out", "jpeg")


def test_names_files_that_are_not_photos(folder: Path, tmp_path: Path) -> None:
    (folder / "IMG_1").write_bytes(b"\xff\xd8\xff\xe0 and more")
    (folder / "sub" / "x.HEIC").touch()
    (folder / "old.JFIF").touch()
    found = find_photos(folder, tmp_path / "out", "jpeg")
    assert {"IMG_1.jpg", "old.jpg"} <= {photo.file for photo in found.photos}
    assert found.left_out == {
        str(folder / ".hidden.jpg"): "a hidden file",
        str(folder / "notes.txt"): "not an image file",
        str(folder / "sub" / "x.HEIC"): "a .heic file; JPEG, PNG or WebP files are read",
    }


def test_error_of_a_folder_without_photos_counts_what_is_there(tmp_path: Path) -> None:
    for name in ("a.heic", "b.heic", "c.txt"):
        (tmp_path / name).touch()
    with pytest.raises(FileNotFoundError, match=r"\(3 files left out: 2 \.heic, 1 \.txt\)\. Names must end in \.jpg"):
        find_photos(tmp_path, tmp_path / "out", "jpeg")

"""The service follows its models folder: no request is lost, and no broken file is ever served."""

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from service.engine.folder import Folder
from service.engine.models import Models
from service.settings import Settings
from tests.service.conftest import Problem
from tests.service.onnx_models import generator_card, generator_model, save
from tests.service.process.test_drain import until
from tests.service.running import Running, running


def test_change_counts_when_two_looks_agree(tmp_path: Path) -> None:
    (tmp_path / "old.onnx").write_bytes(b"1")
    (tmp_path / "README.md").write_text("not a model")
    folder = Folder(tmp_path)
    assert folder.files() == [tmp_path / "old.onnx"]
    assert folder.changes() == ([], [])
    with (tmp_path / "new.onnx").open("wb") as file:
        for _ in range(3):  # still being written
            file.write(b"1" * 100)
            file.flush()
            assert folder.changes() == ([], [])
    assert folder.changes() == ([tmp_path / "new.onnx"], [])
    assert folder.changes() == ([], [])
    os.utime(tmp_path / "old.onnx", ns=(1, 1))
    (tmp_path / "new.onnx").unlink()
    assert folder.changes() == ([], [])
    assert folder.changes() == ([tmp_path / "old.onnx"], [tmp_path / "new.onnx"])
    assert folder.changes() == ([], [])


def test_file_that_returns_unchanged_is_new(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"1")
    folder = Folder(tmp_path)
    (tmp_path / "a.onnx").rename(tmp_path / "a")
    assert folder.changes() == ([], [])
    assert folder.changes() == ([], [tmp_path / "a.onnx"])
    (tmp_path / "a").rename(tmp_path / "a.onnx")
    assert folder.changes() == ([], [])
    assert folder.changes() == ([tmp_path / "a.onnx"], [])


def test_file_that_is_deleted_and_copied_again_is_only_changed(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"1")
    folder = Folder(tmp_path)
    path.unlink()
    assert folder.changes() == ([], [])
    path.write_bytes(b"22")
    assert folder.changes() == ([], [])
    assert folder.changes() == ([path], [])


def test_file_that_cannot_be_examined_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"1")
    folder = Folder(tmp_path)
    path.rename(tmp_path / "a")
    path.symlink_to(path)  # a loop: an OSError that does not say that the file is missing
    (tmp_path / "new.onnx").symlink_to(tmp_path / "new.onnx")
    assert folder.changes() == ([], [])
    assert folder.changes() == ([tmp_path / "new.onnx"], [])  # once, so that the service can say why it is not served
    for _ in range(3):
        assert folder.changes() == ([], [])
    for link in (path, tmp_path / "new.onnx"):
        link.unlink()
    (tmp_path / "a").rename(path)
    (tmp_path / "new.onnx").write_bytes(b"1")
    folder.changes()
    assert folder.changes() == ([tmp_path / "new.onnx"], [])
    for _ in range(3):
        assert folder.changes() == ([], [])  # the same file as before


def test_unreadable_folder_is_an_error_and_not_a_change(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.onnx").write_bytes(b"1")
    folder = Folder(tmp_path / "models")
    (tmp_path / "models").rename(tmp_path / "away")
    (tmp_path / "models").write_text("not a folder")
    for _ in range(3):
        with pytest.raises(NotADirectoryError):
            folder.changes()
    (tmp_path / "models").unlink()
    (tmp_path / "away").rename(tmp_path / "models")
    assert folder.changes() == ([], [])


def test_unreadable_file_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"1")
    folder = Folder(tmp_path)
    folder.retry(path)
    assert folder.changes() == ([path], [])
    assert folder.changes() == ([], [])
    folder.retry(path)
    path.unlink()
    folder.changes()
    assert folder.changes() == ([], [path])


def test_switched_links_are_changes(tmp_path: Path) -> None:
    """Kubernetes updates mounted files this way."""
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "a.onnx").write_bytes(version.encode())
    (tmp_path / "models").mkdir()
    (tmp_path / "current").symlink_to("1")
    (tmp_path / "models" / "a.onnx").symlink_to("../current/a.onnx")
    folder = Folder(tmp_path / "models")
    (tmp_path / "next").symlink_to("2")
    (tmp_path / "next").replace(tmp_path / "current")
    folder.changes()
    assert folder.changes() == ([tmp_path / "models" / "a.onnx"], [])


def test_folder_that_is_away_for_a_while_is_followed_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path, "digits")
    folder, away = tmp_path / "models", tmp_path / "away"
    models = Models.load(Settings.model_validate({"models": folder, "device": "cpu", "models_poll_s": 0.01}))

    async def happens(what: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not what():  # noqa: ASYNC110  # a look has no event
                await asyncio.sleep(0.01)

    async def test() -> None:
        following = asyncio.create_task(models.follow())
        folder.rename(away)
        folder.write_text("not a folder")
        await happens(lambda: "cannot be read" in caplog.text)
        await asyncio.sleep(0.1)
        assert [model.card.name for model in models.all()] == ["digits"]
        assert caplog.text.count("cannot be read") == 1
        folder.unlink()
        away.rename(folder)
        put(tmp_path, "letters")
        await happens(lambda: any(model.card.name == "letters" for model in models.all()))
        following.cancel()
        await models.close()

    with caplog.at_level(logging.WARNING):
        asyncio.run(test())


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    put(tmp_path, "digits")
    with running(tmp_path / "models", tmp_path / "log", models_poll_s=0.05) as started:
        yield started


def put(folder: Path, name: str, **changes: object) -> None:
    """Write a model beside the folder and move it in, as an export does."""
    save(generator_model(), folder / name, generator_card(name, **changes))
    (folder / "models").mkdir(exist_ok=True)
    (folder / name).replace(folder / "models" / f"{name}.onnx")


def versions(client: httpx.Client) -> dict[str, str]:
    return {model["card"]["name"]: model["version"] for model in client.get("/v1/models").json()["models"]}


def test_serves_new_changed_and_repaired_files_and_drops_removed_ones(
    service: Running, tmp_path: Path, problem: Problem
) -> None:
    with httpx.Client(base_url=service.url) as client:
        first = versions(client)
        before = client.get("/v1/models/digits/preview.png")

        put(tmp_path, "letters")
        until(lambda: "letters" in versions(client))
        assert client.post("/v1/sample", json={"model": "letters"}).status_code == 200

        put(tmp_path, "digits", title="Better digits")
        until(lambda: versions(client)["digits"] != first["digits"])
        assert client.get("/v1/models/digits").json()["card"]["title"] == "Better digits"
        assert client.get("/v1/models/digits/preview.png").headers["etag"] != before.headers["etag"]
        response = client.post("/v1/sample", json={"model": "digits"})
        assert response.headers["ganvas-model"] == f"digits@{versions(client)['digits']}"

        served = versions(client)
        (tmp_path / "models" / "digits.onnx").write_bytes(b"not a model")
        until(lambda: bool(client.get("/v1/models").json()["refused"]))
        (refused,) = client.get("/v1/models").json()["refused"]
        assert refused["file"] == "digits.onnx"
        assert refused["reason"].endswith(f"; digits@{served['digits']} stays")
        assert versions(client) == served
        assert client.post("/v1/sample", json={"model": "digits"}).status_code == 200
        assert "digits.onnx is refused" in service.stderr()

        put(tmp_path, "digits")  # repaired
        until(lambda: versions(client)["digits"] == first["digits"])
        assert client.get("/v1/models").json()["refused"] == []

        (tmp_path / "models" / "digits.onnx").unlink()
        until(lambda: "digits" not in versions(client))
        problem(client.post("/v1/sample", json={"model": "digits"}), 404, mentions="the generators are letters")
        assert 'ganvas_queue_rows{model="digits"}' not in client.get("/metrics").text
        assert service.stop() == 0
        assert "Traceback" not in service.stderr()


def test_swapping_models_loses_no_request(service: Running, tmp_path: Path) -> None:
    ended = threading.Event()

    def ask() -> tuple[set[int], set[str]]:
        statuses, seen = set(), set()
        with httpx.Client(base_url=service.url, timeout=60) as client:
            while not ended.is_set():
                response = client.post("/v1/sample", json={"model": "digits", "n": 3, "seed": 1, "format": "npy"})
                statuses.add(response.status_code)
                seen.add(response.headers.get("ganvas-model", ""))
        return statuses, seen

    with ThreadPoolExecutor(4) as pool, httpx.Client(base_url=service.url) as client:
        callers = [pool.submit(ask) for _ in range(4)]
        try:
            for i in range(6):
                before = versions(client)
                put(tmp_path, "digits", title=f"Digits {i}")
                until(lambda before=before: versions(client) != before)  # type: ignore[misc]
        finally:
            ended.set()
        for statuses, _ in (caller.result() for caller in callers):
            assert statuses == {200}
        assert len(set().union(*(seen for _, seen in (caller.result() for caller in callers)))) > 1
    assert service.stop() == 0
    assert "Traceback" not in service.stderr()

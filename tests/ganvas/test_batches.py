"""Batches with the real service: memory is bounded, each image is made once, and kills and restarts lose nothing."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

import ganvas
from ganvas.batches import runner as runner_module
from ganvas.batches.manifest import Manifest
from service.engine.classes import with_classes
from service.engine.latents import latents_of_seed
from service.settings import ROOT
from tests.ganvas.conftest import LIMITS, Ask, Gateway, draw_photos, photo
from tests.service.onnx_models import (
    LATENT_SIZE,
    generated,
    save,
    styled,
    stylizer_card,
    stylizer_model,
)
from tests.service.running import Running, running

NIGHT = np.array([1, 0, 0], np.float32)


def manifest_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def wait_for(condition: Callable[[], bool], limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def made(out: Path) -> int:
    """The number of images that the manifest lists, while another process writes it."""
    manifest = out / "manifest.jsonl"
    return manifest.read_bytes().count(b"\n") if manifest.exists() else 0


def test_stylizes_a_folder_of_photos(service: Running, ask: Ask, tmp_path: Path) -> None:
    photos = draw_photos(tmp_path / "in", 12) + draw_photos(tmp_path / "in" / "more", 3)
    options = {"style": "night:1,wave:1", "strength": 0.5, "keep_color": 0.5, "brush": 1, "max_side": 20, "format": "png"}
    report = ask(service.url, "stylize_many", tmp_path / "in", tmp_path / "out", **options)
    assert (report.made, report.skipped, report.failures, report.ok) == (15, 0, (), True)
    assert report.seconds > 0
    assert "15 made" in str(report)

    expected_source = np.asarray(Image.open(photos[13]).resize((20, 20), Image.Resampling.LANCZOS))
    painted = np.asarray(Image.open(tmp_path / "out" / "more" / "photo-0001.png"))
    expected = styled(expected_source, np.array([0.5, 0.5, 0], np.float32), 0.5, 0.5)
    assert np.abs(painted.astype(int) - expected).max() <= 2

    entries = {entry["file"]: entry for entry in manifest_of(tmp_path / "out")}
    assert len(entries) == 15
    stat = photos[13].stat()
    assert entries["more/photo-0001.png"] == {
        "file": "more/photo-0001.png",
        "bytes": (tmp_path / "out/more/photo-0001.png").stat().st_size,
        "source": str(photos[13]),
        "source_bytes": stat.st_size,
        "source_mtime_ns": stat.st_mtime_ns,
        "model": "painters",
        "version": ask(service.url, "model", "painters").version,
        **options,
    }
    written = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert written == {*entries, "manifest.jsonl", ".manifest.lock"}


def test_skips_unchanged_photos(service: Running, ask: Ask, tmp_path: Path) -> None:
    photos = draw_photos(tmp_path / "in", 8)

    def run(**options: object) -> tuple[int, int]:
        report = ask(service.url, "stylize_many", tmp_path / "in", tmp_path / "out", **{"style": "night", **options})
        assert report.ok
        return report.made, report.skipped

    assert run() == (8, 0)
    assert run() == (0, 8)
    Image.fromarray(photo(30, 30, 99)).save(photos[0])
    (tmp_path / "out" / "photo-0001.jpg").unlink()
    (tmp_path / "out" / "photo-0002.jpg").write_bytes(b"half a pic")
    os.utime(photos[3], (1, 1))
    assert run() == (4, 4)
    assert run() == (0, 8)
    assert run(style="wave") == (8, 0)
    assert run(style="wave", strength=1, keep_color=0) == (0, 8)
    assert run(style="wave", strength=0.5) == (8, 0)
    assert run(style="wave", strength=0.5, brush=2) == (8, 0)
    assert run(style="wave", strength=0.5) == (8, 0)
    with (tmp_path / "out" / "manifest.jsonl").open("a") as manifest:
        manifest.write('[]\n{"file": "photo-0004.jpg"}\n{"file": "photo-0005')  # no entries, and a cut line
    assert run(style="wave", strength=0.5) == (0, 8)
    draw_photos(tmp_path / "in", 9)
    assert run(style="wave", strength=0.5)[0] == 9  # all of them written again, and one more
    assert all(json.loads(line) is not None for line in (tmp_path / "out/manifest.jsonl").read_text().splitlines())


def test_new_model_version_makes_images_again(client: ganvas.Client, service: Running, tmp_path: Path) -> None:
    draw_photos(tmp_path / "in", 3)
    assert client.stylize_many(tmp_path / "in", tmp_path / "out", style="night").made == 3
    save(stylizer_model(), tmp_path / "models" / "painters.onnx", stylizer_card(summary="Another one."))
    with running(tmp_path / "models", tmp_path / "log") as newer, ganvas.Client(newer.url) as its_client:
        assert its_client.stylize_many(tmp_path / "in", tmp_path / "out", style="night").made == 3
    assert len({entry["version"] for entry in manifest_of(tmp_path / "out")}) == 2


def test_failing_photo_does_not_stop_the_batch(service: Running, ask: Ask, tmp_path: Path) -> None:
    photos = draw_photos(tmp_path / "in", 10)
    photos[2].write_bytes(b"not an image")
    photos[4].write_bytes(b"")
    photos[6].write_bytes(b"0" * (LIMITS["max_body_mb"] * 2**20 + 1))
    photos[8].unlink()
    photos[8].symlink_to(tmp_path / "nowhere")
    report = ask(service.url, "stylize_many", tmp_path / "in", tmp_path / "out", style="night")
    assert report.made == 6
    assert not report.ok
    failed = {Path(failure.source).name: type(failure.error) for failure in report.failures}
    assert failed == {
        photos[2].name: ganvas.UnsupportedError,
        photos[4].name: ValueError,
        photos[6].name: ganvas.TooLargeError,
        photos[8].name: FileNotFoundError,
    }
    assert all(failure.source in str(failure) for failure in report.failures)
    assert not (tmp_path / "out" / "photo-0002.jpg").exists()

    draw_photos(tmp_path / "in", 3)
    again = ask(service.url, "stylize_many", tmp_path / "in", tmp_path / "out", style="night")
    assert (again.made, again.skipped, len(again.failures)) == (3, 4, 3)


def test_error_common_to_all_photos_ends_the_batch(service: Running, ask: Ask, tmp_path: Path) -> None:
    draw_photos(tmp_path / "in", 200)
    for options, error in (
        ({"style": "dawn"}, ganvas.NotFoundError),
        ({}, ganvas.InvalidError),
        ({"style": "night", "max_side": 9999}, ganvas.InvalidError),
        ({"style": "night", "model": "digits"}, ValueError),
        ({"style": "night", "max_concurrency": 0}, ValueError),
    ):
        with pytest.raises(error):
            ask(service.url, "stylize_many", tmp_path / "in", tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()  # no empty folder is left


def test_accepts_names_of_any_bytes_and_length(service: Running, ask: Ask, tmp_path: Path) -> None:
    photos = draw_photos(tmp_path / "in", 3)
    for path, name in zip(photos, (b"n\xe9.png", b"x" * 251 + b".png", "é".encode() * 125 + b".png"), strict=True):
        os.rename(path, tmp_path / "in" / os.fsdecode(name))  # noqa: PTH104  bytes
    report = ask(service.url, "stylize_many", tmp_path / "in", tmp_path / "out", style="night", format="png")
    assert (report.made, report.failures) == (3, ())
    assert (tmp_path / "out" / os.fsdecode(b"n\xe9.png")).exists()
    assert ask(service.url, "stylize_many", tmp_path / "in", tmp_path / "out", style="night", format="png").skipped == 3


def test_image_that_cannot_be_written_does_not_stop_the_batch(service: Running, ask: Ask, tmp_path: Path) -> None:
    draw_photos(tmp_path / "in", 6)
    draw_photos(tmp_path / "in" / "more", 2)
    (tmp_path / "out" / "photo-0002.jpg").mkdir(parents=True)  # a folder in the place of an image
    (tmp_path / "out" / "more").touch()  # a file in the place of a folder
    for suffix in ("png", "jpeg"):  # both keep their suffix, so their names have 257 bytes
        shutil.copy(tmp_path / "in" / "photo-0000.png", tmp_path / "in" / f"{'x' * 249}.{suffix}")
    report = ask(service.url, "stylize_many", tmp_path / "in", tmp_path / "out", style="night")
    failed = {Path(failure.source).name[:10] for failure in report.failures}
    assert failed == {"photo-0000", "photo-0001", "photo-0002", "xxxxxxxxxx"}
    assert (report.made, len(report.failures)) == (5, 5)
    assert not list((tmp_path / "out").glob("*.partial"))


def test_full_disk_ends_the_batch(service: Running, tmp_path: Path) -> None:
    draw_photos(tmp_path / "in", 40)
    code = (
        "import resource, sys, ganvas; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "with ganvas.Client(sys.argv[1]) as client: client.stylize_many(*sys.argv[2:], style='night')"
    )
    command = [sys.executable, "-c", code, service.url, str(tmp_path / "in"), str(tmp_path / "out")]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert process.stderr.splitlines()[-1].startswith("OSError: [Errno 27] File too large")
    assert not (tmp_path / "out").exists()  # nothing fitted, so nothing is left


def test_refuses_second_batch_in_the_same_folder(service: Running, ask: Ask, tmp_path: Path) -> None:
    draw_photos(tmp_path / "in", 2)
    with Manifest(tmp_path / "out"), pytest.raises(BlockingIOError, match="Another batch"):
        ask(service.url, "stylize_many", tmp_path / "in", tmp_path / "out", style="night")
    assert ask(service.url, "stylize_many", tmp_path / "in", tmp_path / "out", style="night").made == 2


def test_continues_after_a_kill(service: Running, tmp_path: Path) -> None:
    """500 photos: SIGKILL leaves no partial image, and the second run makes only the missing images."""
    draw_photos(tmp_path / "in", 500)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "ganvas", "stylize", str(tmp_path / "in"), "-s", "night", "-o", str(out), "--json"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GANVAS_")}
    with subprocess.Popen([*command, "--url", service.url], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as process:
        wait_for(lambda: made(out) >= 200 or process.poll() is not None)
        process.kill()
    kept = {path.name: path.stat().st_mtime_ns for path in out.glob("*.jpg")}
    known = made(out)
    assert 200 <= known < 500
    assert process.returncode == -signal.SIGKILL
    for name in kept:
        Image.open(out / name).load()  # whole

    again = subprocess.run(
        [*command, "--url", service.url], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    report = json.loads(again.stdout)
    assert (report["made"], report["skipped"], report["failed"]) == (500 - known, known, [])
    untouched = [name for name, written in kept.items() if (out / name).stat().st_mtime_ns == written]
    assert len(untouched) >= known
    assert len(list(out.glob("*.jpg"))) == len({entry["file"] for entry in manifest_of(out)}) == 500
    assert not list(out.glob("*.partial"))


@contextlib.contextmanager
def both_clients(url: str, folder: Path, **options: Any) -> Iterator[list[Future[ganvas.BatchReport]]]:
    """Stylize the same photos with both clients at the same time, into the folders sync and async."""

    def sync() -> ganvas.BatchReport:
        with ganvas.Client(url) as client:
            return client.stylize_many(folder / "in", folder / "sync", style="night", **options)

    async def asynchronous() -> ganvas.BatchReport:
        async with ganvas.AsyncClient(url) as client:
            return await client.stylize_many(folder / "in", folder / "async", style="night", **options)

    with ThreadPoolExecutor(2) as pool:
        yield [pool.submit(sync), pool.submit(lambda: asyncio.run(asynchronous()))]


def least_made(folder: Path) -> int:
    return min(made(folder / "sync"), made(folder / "async"))


def test_survives_restarts_of_the_service(models_folder: Path, tmp_path: Path) -> None:
    """Killed, then shut down: broken connections, no connection, and 503s while the service drains."""
    draw_photos(tmp_path / "in", 300)
    port = free_port()
    with contextlib.ExitStack() as batches:
        reports: list[Future[ganvas.BatchReport]] = []
        for stop in (Running.kill, Running.stop):
            with running(models_folder, tmp_path / f"log-{stop.__name__}", port=port) as service:
                before = least_made(tmp_path)
                reports = reports or batches.enter_context(both_clients(service.url, tmp_path))
                wait_for(lambda before=before: least_made(tmp_path) >= before + 40)  # type: ignore[misc]
                stop(service)
            assert least_made(tmp_path) < 300
        with running(models_folder, tmp_path / "log", port=port):
            for report in reports:
                assert (report.result(120).made, report.result().failures) == (300, ())
    for kind in ("sync", "async"):
        assert len(list((tmp_path / kind).glob("*.jpg"))) == 300


def test_service_that_stays_away_ends_the_batch(models_folder: Path, tmp_path: Path) -> None:
    draw_photos(tmp_path / "in", 300)
    with running(models_folder, tmp_path / "log") as service, both_clients(service.url, tmp_path, patience=0.5) as reports:
        wait_for(lambda: least_made(tmp_path) >= 20)
        service.kill()
        for report in reports:
            with pytest.raises(ganvas.NoResponseError):
                report.result(60)
    assert 20 <= least_made(tmp_path) < 300


def test_waits_while_the_queue_is_full(models_folder: Path, tmp_path: Path) -> None:
    """The queue holds one photo: requests beyond it are rejected and sent again, and every image is made."""
    draw_photos(tmp_path / "in", 100)
    photo_pixels = 24 * 24
    with running(models_folder, tmp_path / "log", max_batch_pixels=photo_pixels, max_queue_pixels=photo_pixels) as service:
        with both_clients(service.url, tmp_path) as reports:
            for report in reports:
                assert (report.result(120).made, report.result().failures) == (100, ())
        assert 'status="429"' in httpx.get(f"{service.url}/metrics").text


def test_does_not_wait_beyond_patience_for_a_full_queue(gateway: Gateway, service: Running, tmp_path: Path) -> None:
    """The service asks to retry in an hour; without `patience` the batch would wait for that long."""
    draw_photos(tmp_path / "in", 3)
    gateway.will(200, httpx.get(f"{service.url}/v1/models").content, Content_Type="application/json")
    for _ in range(1000):
        gateway.will(429, Retry_After="3600")

    async def run() -> None:
        async with asyncio.timeout(60), ganvas.AsyncClient(gateway.url) as client:
            await client.stylize_many(tmp_path / "in", tmp_path / "out", style="night", patience=1)

    with pytest.raises(ganvas.QueueFullError):
        asyncio.run(run())
    assert len(gateway.seen) > 4  # sent again at the end of it


def test_planning_does_not_block_the_event_loop(service: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finding photos and reading the manifest run in other threads than the event loop."""
    photos = draw_photos(tmp_path / "in", 3)
    planned: set[tuple[str, int]] = set()

    def watched(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def watching(*args: Any) -> Any:
            planned.add((name, threading.get_ident()))
            return function(*args)

        return watching

    for name in ("has", "_read"):
        monkeypatch.setattr(Manifest, name, watched(name, getattr(Manifest, name)))

    def sources() -> Iterator[Path]:
        planned.add(("sources", threading.get_ident()))
        yield from photos

    async def run() -> int:
        async with ganvas.AsyncClient(service.url) as client:
            await client.stylize_many(sources(), tmp_path / "out", style="night")
            await client.sample_many(3, tmp_path / "samples")
        return threading.get_ident()

    loop = asyncio.run(run())
    assert {name for name, _ in planned} == {"sources", "has", "_read"}
    assert loop not in {thread for _, thread in planned}


def test_sample_many_makes_the_missing_images(service: Running, ask: Ask, tmp_path: Path) -> None:
    report = ask(service.url, "sample_many", 100, tmp_path, seed=7, truncation=0.5)
    assert (report.made, report.skipped, report.failures) == (100, 0, ())
    assert len(list(tmp_path.glob("digits-*.png"))) == 100
    entries = manifest_of(tmp_path)
    assert {(entry["seed"], entry["index"]) for entry in entries} == {(7 + i // 32, i % 32) for i in range(100)}
    for entry in (entries[0], entries[-1]):
        expected = generated(latents_of_seed(entry["seed"], 32, LATENT_SIZE) * np.float32(0.5))[entry["index"], :, :, 0]
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / entry["file"])), expected)
        assert entry["truncation"] == 0.5

    (tmp_path / "digits-8-003.png").unlink()
    again = ask(service.url, "sample_many", 130, tmp_path, seed=7, truncation=0.5)
    assert (again.made, again.skipped) == (32 + 32 + 2, 64)  # the seed with the gap, the seed that was half done, and a new one
    assert len(list(tmp_path.glob("digits-*.png"))) == 130
    assert ask(service.url, "sample_many", 130, tmp_path, seed=7, truncation=0.5).made == 0
    for whole in (1, 1.0):
        ask(service.url, "sample_many", 2, tmp_path / "whole", truncation=whole)
    assert len(manifest_of(tmp_path / "whole")) == 2
    with pytest.raises(ganvas.InvalidError, match="40"):
        ask(service.url, "sample_many", 100, tmp_path / "other", per_seed=41)
    for wrong in ({"total": 0}, {"total": 1, "per_seed": 0}):
        with pytest.raises(ValueError, match="must be 1 or more"):
            ask(service.url, "sample_many", out_dir=tmp_path, **wrong)


def test_sample_many_makes_one_class(service: Running, ask: Ask, tmp_path: Path) -> None:
    assert ask(service.url, "sample_many", 3, tmp_path, seed=7).made == 3
    assert "class" not in manifest_of(tmp_path)[0]
    assert ask(service.url, "sample_many", 3, tmp_path, seed=7, class_="one").made == 3
    assert ask(service.url, "sample_many", 3, tmp_path, seed=7, class_="one").made == 0
    images = generated(with_classes(latents_of_seed(7, 3, LATENT_SIZE), np.full(3, 1), 3))
    for i, image in enumerate(images):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / f"digits_one-7-{i:03d}.png")), image[..., 0])
    assert [entry.get("class") for entry in manifest_of(tmp_path)] == [None] * 3 + ["one"] * 3
    with pytest.raises(ganvas.InvalidError, match="There is no class 'seven'"):
        ask(service.url, "sample_many", 3, tmp_path / "other", class_="seven")


def test_response_with_too_few_images_ends_the_batch(gateway: Gateway, service: Running, ask: Ask, tmp_path: Path) -> None:
    listing = httpx.get(f"{service.url}/v1/models").content
    gateway.will(200, listing, Content_Type="application/json")
    two = httpx.post(f"{service.url}/v1/sample", json={"n": 2, "format": "zip"}).content
    gateway.will(200, two, Content_Type="application/zip", Ganvas_Model="digits@1")
    with pytest.raises(ganvas.UnexpectedResponseError, match="returned 2 images for seed 0, not 3") as caught:
        ask(gateway.url, "sample_many", 3, tmp_path)
    assert caught.value.request_id == gateway.seen[1]["X-Request-ID"]


def test_memory_is_bounded(service: Running, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Photos of 400 KB with a limit of 2 MB: memory holds at most 2 MB of photos, and a larger photo is sent alone."""
    budget = 2 * 2**20
    monkeypatch.setattr(runner_module, "MAX_BYTES", budget)
    noise = np.random.default_rng(0).integers(0, 255, (370, 370, 3), np.uint8)
    (tmp_path / "in").mkdir()
    for i in range(12):
        Image.fromarray(noise).save(tmp_path / "in" / f"{i}.png")
    (tmp_path / "in" / "large.png").write_bytes(b"0" * 3 * budget)
    held: list[tuple[int, int]] = []
    reserve = runner_module.Runner._reserve

    async def watched(self: runner_module.Runner, request: runner_module.BatchRequest) -> None:
        await reserve(self, request)
        held.append((self._bytes, self._running))

    monkeypatch.setattr(runner_module.Runner, "_reserve", watched)
    report = ask(service.url, "stylize_many", tmp_path / "in", tmp_path / "out", style="night")
    assert (report.made, len(report.failures)) == (12, 1)
    assert len(held) == 13
    assert all(size <= budget or running == 1 for size, running in held)
    assert max(running for _, running in held) > 1


MEASURED = """
import asyncio, pathlib, re, sys
import ganvas

async def run():
    async with ganvas.AsyncClient(sys.argv[1]) as client:
        return await client.stylize_many(sys.argv[2], sys.argv[3], style="night", max_side=64)

if sys.argv[4] == "async":
    report = asyncio.run(run())
else:
    with ganvas.Client(sys.argv[1]) as client:
        report = client.stylize_many(sys.argv[2], sys.argv[3], style="night", max_side=64)
# Not getrusage: its maximum includes the parent's at the time of the fork.
most = int(re.search(r"VmHWM:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1])
print(report.made, len(report.failures), most // 2**10)
"""


def measured(service: Running, folder: Path, kind: str) -> list[int]:
    """Run a batch of folder/in in its own process: images made and failed, and peak memory in megabytes."""
    command = [sys.executable, "-c", MEASURED, service.url, str(folder / "in"), str(folder / kind), kind]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True).stdout
    return [int(number) for number in output.split()]


def test_large_photos_take_less_than_200_megabytes(models_folder: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (1300, 1300, 3), np.uint8)
    (tmp_path / "in").mkdir()
    Image.fromarray(noise).save(tmp_path / "in" / "0.png", compress_level=0)
    assert (tmp_path / "in" / "0.png").stat().st_size > 5_000_000
    for i in range(1, 50):
        (tmp_path / "in" / f"{i}.png").hardlink_to(tmp_path / "in" / "0.png")
    with running(models_folder, tmp_path / "log") as service:
        for kind in ("sync", "async"):
            made_now, _, megabytes = measured(service, tmp_path, kind)
            assert made_now == 50
            assert megabytes < 200


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_failed_photos_are_not_kept_in_memory(service: Running, tmp_path: Path, kind: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "0.png").write_bytes(b"0" * 5_000_000)  # over the service's limit
    for i in range(1, 60):
        (tmp_path / "in" / f"{i}.png").hardlink_to(tmp_path / "in" / "0.png")
    made_now, failed, megabytes = measured(service, tmp_path, kind)
    assert (made_now, failed) == (0, 60)
    assert megabytes < 250  # all photos together have 300

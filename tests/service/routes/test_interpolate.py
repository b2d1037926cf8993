import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image, ImageSequence

from ganvas.interpolation import interpolate
from service.engine.latents import latents_of_seed
from tests.service.conftest import LIMITS, Problem, pixels
from tests.service.http.test_telemetry import value
from tests.service.onnx_models import LATENT_SIZE, SIDE, generated, generator_card, save, slow_generator_model
from tests.service.process.test_drain import until
from tests.service.running import running


def walk(client: httpx.Client, **body: object) -> httpx.Response:
    response = client.post("/v1/interpolate", json=body)
    assert response.status_code == 200, response.text
    return response


def array(response: httpx.Response) -> np.ndarray:
    return np.load(io.BytesIO(response.content))


def keys_of(seeds: list[int]) -> np.ndarray:
    return np.concatenate([latents_of_seed(seed, 1, LATENT_SIZE) for seed in seeds])


@pytest.mark.parametrize("truncation", [1, 0.7])
@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1])
def test_key_frame_equals_sample_of_its_seed(client: httpx.Client, seed: int, truncation: float) -> None:
    frames = array(walk(client, seeds=[3, seed, 5], steps=4, truncation=truncation, format="npy"))
    body = {"seed": seed, "truncation": truncation, "format": "npy"}
    np.testing.assert_array_equal(frames[4:5], array(client.post("/v1/sample", json=body)))


@pytest.mark.parametrize(("loop", "count"), [(True, 3 * 20), (False, 2 * 20 + 1)])  # a batch holds 8
def test_frames_follow_the_interpolated_latents(client: httpx.Client, loop: bool, count: int) -> None:
    frames = array(walk(client, seeds=[1, 2, 3], steps=20, loop=loop, format="npy"))
    assert frames.shape == (count, SIDE, SIDE, 1)
    np.testing.assert_array_equal(frames, generated(interpolate(keys_of([1, 2, 3]), 20, loop=loop)))


def test_empty_request_returns_seeds_that_reproduce_it(client: httpx.Client) -> None:
    first = client.post("/v1/interpolate")
    assert first.headers["content-type"] == "image/webp"
    seeds = [int(seed) for seed in first.headers["ganvas-seeds"].split(",")]
    assert len(seeds) == 2
    assert walk(client, seeds=seeds).content == first.content
    assert walk(client).headers["ganvas-seeds"] != first.headers["ganvas-seeds"]


def test_headers_have_model_version_and_seeds(client: httpx.Client) -> None:
    response = walk(client, seeds=[7, 11], model="digits")
    name, version = response.headers["ganvas-model"].split("@")
    assert client.get(f"/v1/models/{name}").json()["version"] == version
    assert response.headers["ganvas-seeds"] == "7, 11"
    assert response.headers["content-disposition"] == 'inline; filename="digits-7-11.webp"'


def test_interpolates_between_given_latents(client: httpx.Client) -> None:
    latents = latents_of_seed(9, 8, LATENT_SIZE)
    response = walk(client, latents=latents.tolist(), steps=3, format="npy")
    np.testing.assert_array_equal(array(response)[::3], generated(latents))
    assert "ganvas-seeds" not in response.headers
    assert response.headers["content-disposition"] == 'attachment; filename="digits-walk.npy"'


@pytest.mark.parametrize(("image_format", "media_type"), [("webp", "image/webp"), ("gif", "image/gif")])
def test_animation_has_every_frame_and_loops_forever(client: httpx.Client, image_format: str, media_type: str) -> None:
    body = {"seeds": [1, 2, 3], "steps": 10}
    response = walk(client, **body, format=image_format)
    assert response.headers["content-type"] == media_type
    expected = array(walk(client, **body, format="npy"))
    with Image.open(io.BytesIO(response.content)) as animation:
        assert animation.info["loop"] == 0
        shown = [np.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(animation)]
    assert len(shown) == len(expected) == 30
    assert np.abs(np.stack(shown).astype(int) - expected[..., 0]).mean() < 8  # on noise, the worst case for lossy formats


def durations_of(animation: Image.Image) -> list[int]:
    durations = []
    for frame in ImageSequence.Iterator(animation):
        frame.load()  # Pillow knows the duration of a WebP frame only after loading it
        durations.append(frame.info["duration"])
    return durations


@pytest.mark.parametrize("fps", [1, 24, 59.94, 60])
def test_webp_keeps_frame_rate(client: httpx.Client, fps: float) -> None:
    with Image.open(io.BytesIO(walk(client, seeds=[1, 2], steps=30, fps=fps).content)) as animation:
        durations = durations_of(animation)
    assert sum(durations) == pytest.approx(60 * 1000 / fps, abs=1)


@pytest.mark.parametrize(("fps", "mean"), [(24, 1000 / 24), (60, 20)])
def test_gif_frames_last_at_least_20_ms(client: httpx.Client, fps: float, mean: float) -> None:
    with Image.open(io.BytesIO(walk(client, seeds=[1, 2], steps=30, fps=fps, format="gif").content)) as animation:
        durations = durations_of(animation)
    assert min(durations) >= 20
    assert np.mean(durations) == pytest.approx(mean, abs=0.5)


def test_zip_has_one_png_per_frame(client: httpx.Client) -> None:
    response = walk(client, seeds=[1, 2], steps=2, format="zip")
    with zipfile.ZipFile(io.BytesIO(response.content)) as zipped:
        assert zipped.namelist() == [f"digits-1-2-{i:03d}.png" for i in range(4)]
        np.testing.assert_array_equal(pixels(zipped.read("digits-1-2-002.png")), generated(keys_of([2]))[0, :, :, 0])


ROW = [0.0] * LATENT_SIZE


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"seeds": [1]}, "seeds", "at least 2"),
        ({"seeds": [*range(9)]}, "seeds", "at most 8"),
        ({"seeds": [1, -1]}, "seeds[1]", "greater"),
        ({"seeds": [1, 2**32]}, "seeds[1]", "less"),
        ({"seeds": [1, "2"]}, "seeds[1]", "integer"),
        ({"seeds": 7}, "seeds", "list"),
        ({"latents": [ROW]}, "latents", "at least 2"),
        ({"latents": [ROW] * 9}, "latents", "at most 8"),
        ({"latents": [ROW, ROW[1:]]}, "latents[1]", "6 numbers, not 5"),
        ({"latents": [ROW, [*ROW[1:], None]]}, "latents[1][5]", "number"),
        ({"latents": [ROW, ROW], "seeds": [1, 2]}, "body", "seeds or latents, not both"),
        ({"steps": 1}, "steps", "greater than or equal to 2"),
        ({"steps": 121}, "steps", "less than or equal to 120"),
        ({"steps": 2.5}, "steps", "integer"),
        ({"seeds": [1, 2, 3], "steps": 41}, "body", f"123 frames; at most {LIMITS['max_frames']} are allowed"),
        ({"truncation": 1.1}, "truncation", "less"),
        ({"loop": 1}, "loop", "boolean"),
        ({"fps": 0.5}, "fps", "greater"),
        ({"fps": 61}, "fps", "less"),
        ({"fps": "24"}, "fps", "number"),
        ({"format": "png"}, "format", "'webp', 'gif', 'zip' or 'npy'"),
        ({"seed": 1}, "seed", "the fields are model, seeds, latents, class, steps, truncation, loop, fps, format"),
    ],
)
def test_rejects_invalid_fields(client: httpx.Client, problem: Problem, body: object, field: str, says: str) -> None:
    response = client.post("/v1/interpolate", content=json.dumps(body), headers={"Content-Type": "application/json"})
    errors = problem(response, 422)["errors"]
    assert errors[0]["field"] == field
    assert says in errors[0]["detail"]


def test_accepts_the_maximum_number_of_frames(client: httpx.Client) -> None:
    assert len(array(walk(client, seeds=[1, 2, 3], steps=40, format="npy"))) == LIMITS["max_frames"]


def test_unknown_model_lists_known_models(client: httpx.Client, problem: Problem) -> None:
    problem(
        client.post("/v1/interpolate", json={"model": "painters"}),
        404,
        mentions="painters is a stylizer, not a generator",
    )


def test_other_requests_run_between_batches_of_a_long_interpolation(tmp_path: Path, problem: Problem) -> None:
    """40 rows of a slow model run in batches of two, and the queue holds four rows: other requests run in between."""
    save(slow_generator_model(0.12), tmp_path / "slow.onnx", generator_card("slow"))
    with (
        running(tmp_path, tmp_path / "log", max_batch_rows=2, max_queue_rows=4) as service,
        httpx.Client(base_url=service.url, timeout=60) as client,
        ThreadPoolExecutor(9) as pool,
    ):
        walking = pool.submit(walk, client, seeds=[1, 2], steps=20, format="npy")
        until(lambda: value(client, "ganvas_device_busy_seconds", model="slow") > 0)
        statuses = [*pool.map(lambda seed: client.post("/v1/sample", json={"seed": seed}).status_code, range(8))]
        assert not walking.done()
        assert {*statuses} == {200, 429}  # the queue was full for a while
        np.testing.assert_array_equal(array(walking.result()), generated(interpolate(keys_of([1, 2]), 20, loop=True)))
        assert service.stop() == 0

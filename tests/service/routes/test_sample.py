import gzip
import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest

from ganvas import api
from ganvas.api import KEYS
from service.engine.latents import latents_of_seed
from tests.service.conftest import LIMITS, Problem, pixels
from tests.service.onnx_models import LATENT_SIZE, SIDE, generated


def expected(seed: int, n: int, truncation: float = 1) -> np.ndarray:
    return generated(latents_of_seed(seed, n, LATENT_SIZE) * np.float32(truncation))


def sample(client: httpx.Client, **body: object) -> httpx.Response:
    response = client.post("/v1/sample", json=body)
    assert response.status_code == 200, response.text
    return response


def array(response: httpx.Response) -> np.ndarray:
    return np.load(io.BytesIO(response.content))


def test_empty_request_returns_a_seed_that_reproduces_it(client: httpx.Client) -> None:
    first = client.post("/v1/sample")
    assert first.headers["content-type"] == "image/png"
    again = sample(client, seed=int(first.headers["ganvas-seed"]))
    assert again.content == first.content
    assert sample(client).headers["ganvas-seed"] != first.headers["ganvas-seed"]


def test_headers_have_model_and_version(client: httpx.Client) -> None:
    response = sample(client, seed=7)
    name, version = response.headers["ganvas-model"].split("@")
    assert client.get(f"/v1/models/{name}").json()["version"] == version
    assert response.headers["content-disposition"] == 'inline; filename="digits-7.png"'


def test_png_has_the_exact_pixels(client: httpx.Client) -> None:
    np.testing.assert_array_equal(pixels(sample(client, seed=7).content), expected(7, 1)[0, :, :, 0])


@pytest.mark.parametrize(("image_format", "media_type"), [("jpeg", "image/jpeg"), ("webp", "image/webp")])
def test_lossy_formats_are_close(client: httpx.Client, image_format: str, media_type: str) -> None:
    response = sample(client, seed=7, format=image_format)
    assert response.headers["content-type"] == media_type
    assert pixels(response.content).shape[:2] == (SIDE, SIDE)


@pytest.mark.parametrize("image_format", api.IMAGE_FORMATS)
def test_several_images_make_a_contact_sheet(client: httpx.Client, image_format: str) -> None:
    sheet = pixels(sample(client, seed=7, n=5, format=image_format).content)
    assert sheet.shape[:2] == (2 * SIDE + 2, 3 * SIDE + 4)
    if image_format == "png":
        np.testing.assert_array_equal(sheet[:SIDE, SIDE + 2 : 2 * SIDE + 2], expected(7, 5)[1, :, :, 0])


def test_npy_has_every_image(client: httpx.Client) -> None:
    response = sample(client, seed=7, n=3, format="npy")
    assert response.headers["content-disposition"] == 'attachment; filename="digits-7.npy"'
    np.testing.assert_array_equal(array(response), expected(7, 3))


def test_zip_has_one_png_per_image(client: httpx.Client) -> None:
    response = sample(client, seed=7, n=3, format="zip")
    assert response.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(response.content)) as zipped:
        assert zipped.namelist() == [f"digits-7-{i:03d}.png" for i in range(3)]
        for i, name in enumerate(zipped.namelist()):
            np.testing.assert_array_equal(pixels(zipped.read(name)), expected(7, 3)[i, :, :, 0])


@pytest.mark.parametrize("n", [1, 5, 8, 9, 40])  # a batch holds 8
def test_first_images_of_a_seed_do_not_depend_on_n(client: httpx.Client, n: int) -> None:
    images = array(sample(client, seed=123, n=n, format="npy"))
    assert images.shape == (n, SIDE, SIDE, 1)
    np.testing.assert_array_equal(images[0], array(sample(client, seed=123, format="npy"))[0])
    np.testing.assert_array_equal(images, expected(123, n))


@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_accepts_smallest_and_largest_seed(client: httpx.Client, seed: int) -> None:
    np.testing.assert_array_equal(array(sample(client, seed=seed, format="npy")), expected(seed, 1))


@pytest.mark.parametrize("truncation", [0, 0.5, 1])
def test_truncation_multiplies_the_latents(client: httpx.Client, truncation: float) -> None:
    images = array(sample(client, seed=3, n=4, truncation=truncation, format="npy"))
    np.testing.assert_array_equal(images, expected(3, 4, truncation))


def test_samples_given_latents(client: httpx.Client) -> None:
    latents = latents_of_seed(9, 2, LATENT_SIZE)
    response = sample(client, latents=latents.tolist(), format="npy", model="digits")
    np.testing.assert_array_equal(array(response), generated(latents))
    assert "ganvas-seed" not in response.headers
    same = sample(client, latents=[[0, 1, 0, 0, 0, 0]], n=1, format="npy")
    np.testing.assert_array_equal(array(same), generated(np.eye(6, dtype=np.float32)[1:2]))


def test_null_equals_left_out(client: httpx.Client) -> None:
    assert sample(client, seed=7, model=None, latents=None).content == sample(client, seed=7).content


def test_concurrent_requests_get_the_same_images_as_alone(client: httpx.Client) -> None:
    def call(seed: int) -> bool:
        images = array(sample(client, seed=seed, n=seed % 4 + 1, format="npy"))
        return bool((images == expected(seed, seed % 4 + 1)).all())

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(call, range(120)))


@pytest.mark.parametrize("seeds", [[7], [7, 9, 2**32 - 1, 7]])
def test_each_image_can_have_its_own_seed(client: httpx.Client, seeds: list[int]) -> None:
    response = sample(client, seeds=seeds, truncation=0.5, format="npy")
    alone = [array(sample(client, seed=seed, truncation=0.5, format="npy")) for seed in seeds]
    np.testing.assert_array_equal(array(response), np.concatenate(alone))
    assert response.headers["ganvas-seeds"] == ", ".join(map(str, seeds))
    assert "ganvas-seed" not in response.headers


ROW = [0.0] * LATENT_SIZE


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"n": 0}, "n", "greater than or equal to 1"),
        ({"n": 41}, "n", "less than or equal to 40"),
        ({"n": -1}, "n", "greater"),
        ({"n": 1.5}, "n", "integer"),
        ({"n": "4"}, "n", "integer"),
        ({"n": True}, "n", "integer"),
        ({"n": None}, "n", "integer"),
        ({"n": [1]}, "n", "integer"),
        ({"n": 10**30}, "n", "less"),
        ({"seed": -1}, "seed", "greater"),
        ({"seed": 2**32}, "seed", "less"),
        ({"seed": "7"}, "seed", "integer"),
        ({"seed": 1e9}, "seed", "integer"),
        ({"seed": {}}, "seed", "integer"),
        ({"truncation": -0.1}, "truncation", "greater"),
        ({"truncation": 1.1}, "truncation", "less"),
        ({"truncation": "1"}, "truncation", "number"),
        ({"format": "gif"}, "format", "'png', 'jpeg', 'webp', 'zip' or 'npy'"),
        ({"format": "PNG"}, "format", "'png'"),
        ({"format": 3}, "format", "'png'"),
        ({"model": 3}, "model", "string"),
        ({"model": "x" * 100}, "model", "at most 64"),
        ({"latents": []}, "latents", "at least 1"),
        ({"latents": [ROW] * 41}, "latents", "at most 40"),
        ({"latents": ROW}, "latents[0]", "list"),
        ({"latents": [[]]}, "latents[0]", "6 numbers, not 0"),
        ({"latents": [ROW, ROW[1:]]}, "latents[1]", "6 numbers, not 5"),
        ({"latents": [[*ROW[1:], "0"]]}, "latents[0][5]", "number"),
        ({"latents": [[*ROW[1:], None]]}, "latents[0][5]", "number"),
        ({"latents": [[*ROW[1:], 1e30]]}, "latents[0][5]", "less"),
        ({"latents": "http://127.0.0.1/"}, "latents", "list"),
        ({"latents": [ROW], "seed": 1}, "body", "only one of seed, seeds and latents"),
        ({"seeds": [1], "seed": 1}, "body", "only one of seed, seeds and latents"),
        ({"seeds": [1], "latents": [ROW]}, "body", "only one of seed, seeds and latents"),
        ({"seeds": [1, 2], "n": 3}, "body", "the request has 2 seeds; leave n out"),
        ({"seeds": []}, "seeds", "at least 1"),
        ({"seeds": [1] * 41}, "seeds", "at most 40"),
        ({"seeds": [1, -1]}, "seeds[1]", "greater"),
        ({"seeds": 7}, "seeds", "list"),
        ({"latents": [ROW], "n": 2}, "body", "the request has 1 row of latents; leave n out"),
        ({"N": 4}, "N", "the fields are model, n, seed, seeds, latents, class, truncation, format"),
        ({"": 4}, "body", "Unknown field"),
        ({"x" * 1000: 4}, "x" * 64, "Unknown field"),
        ([], "body", "JSON object"),
        ("text", "body", "JSON object"),
        (None, "body", "JSON object"),
        (4, "body", "JSON object"),
    ],
)
def test_rejects_invalid_fields(client: httpx.Client, problem: Problem, body: object, field: str, says: str) -> None:
    response = client.post("/v1/sample", content=json.dumps(body), headers={"Content-Type": "application/json"})
    errors = problem(response, 422)["errors"]
    assert errors[0]["field"] == field
    assert says in errors[0]["detail"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
@pytest.mark.parametrize("body", ['{"truncation": %s}', '{"latents": [[0, 0, 0, 0, 0, %s]]}'])
def test_rejects_numbers_that_are_not_finite(client: httpx.Client, problem: Problem, body: str, number: str) -> None:
    response = client.post("/v1/sample", content=body % number, headers={"Content-Type": "application/json"})
    problem(response, 422)


def test_lists_every_invalid_field(client: httpx.Client, problem: Problem) -> None:
    errors = problem(client.post("/v1/sample", json={"n": 0, "seed": -1, "size": 3}), 422)["errors"]
    assert [error["field"] for error in errors] == ["n", "seed", "size"]


@pytest.mark.parametrize(
    "body", [b"{", b"n=4", b"{'n': 4}", b"\xff\xfe", b"\0", b"[" * 20_000, b'{"n": 4}}', b'{"model": "\\ud800"}', b" "]
)
def test_rejects_invalid_json(client: httpx.Client, problem: Problem, body: bytes) -> None:
    response = client.post("/v1/sample", content=body, headers={"Content-Type": "application/json"})
    problem(response, 400, mentions="not valid JSON")


@pytest.mark.parametrize(
    "body",
    [
        "{" + ",".join(f'"{i:05}":0' for i in range(1_500)) + "}",
        '{"latents": [[' + '"",' * 5_000 + '""]]}',
        '{"latents": [' + "0," * 8_000 + "0]}",
        '{"latents": [' + "[]," * 30 + "[]]}",
    ],
)
def test_describes_few_of_many_invalid_values(client: httpx.Client, problem: Problem, body: str) -> None:
    response = client.post("/v1/sample", content=body, headers={"Content-Type": "application/json"})
    assert len(problem(response, 422)["errors"]) <= 10


@pytest.mark.parametrize(("route", "rows"), [("/v1/sample", LIMITS["max_n"]), ("/v1/interpolate", KEYS.maximum)])
def test_rejects_json_larger_than_the_latents_of_the_largest_model(
    client: httpx.Client, problem: Problem, route: str, rows: int
) -> None:
    options = {"format": "npy"} | ({"steps": 2} if route == "/v1/interpolate" else {})
    fits = json.dumps({"latents": [[-1.2345678901234567] * LATENT_SIZE] * rows, **options}, indent=4)
    assert client.post(route, content=fits, headers={"Content-Type": "application/json"}).status_code == 200
    large = fits + " " * (16 * 2**10 + 32 * LATENT_SIZE * rows)
    problem(client.post(route, content=large), 413, mentions=f"{16 * 2**10 + 32 * LATENT_SIZE * rows} bytes")


def test_rejects_query_parameters(client: httpx.Client, problem: Problem) -> None:
    errors = problem(client.post("/v1/sample?n=4&x=1"), 422)["errors"]
    assert [error["field"] for error in errors] == ["n", "x"]


@pytest.mark.parametrize("name", ["nope", "painters", "DIGITS", "../digits", "broken", ""])
def test_unknown_model_lists_known_models(client: httpx.Client, problem: Problem, name: str) -> None:
    problem(client.post("/v1/sample", json={"model": name}), 404, mentions="the generators are digits")


def test_model_of_another_kind_is_named_with_its_route(client: httpx.Client, problem: Problem) -> None:
    response = client.post("/v1/sample", json={"model": "painters"})
    assert problem(response, 404)["detail"] == (
        "painters is a stylizer, not a generator: the generators are digits. For a stylizer, use /v1/stylize."
    )


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "application/octet-stream",
        "application/vnd.bentoml+pickle",
        "application/jsonx",
        "application/json; charset=punycode",
        "application/json; charset=utf-16",
        "image/png",
        "\xff",
    ],
)
def test_rejects_other_content_types(client: httpx.Client, problem: Problem, content_type: str) -> None:
    headers = [(b"content-type", content_type.encode("latin-1"))]
    problem(client.post("/v1/sample", content=b'{"n": 1}', headers=headers), 415)


def test_rejects_compressed_body(client: httpx.Client, problem: Problem) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    response = client.post("/v1/sample", content=gzip.compress(b'{"n": 1}'), headers=headers)
    problem(response, 415, mentions="The body is compressed (gzip). Send it without compression")


def test_accepts_byte_order_mark(client: httpx.Client) -> None:
    """PowerShell and Notepad write it."""
    response = client.post("/v1/sample", content=b'\xef\xbb\xbf{"n": 1}', headers={"Content-Type": "application/json"})
    assert response.status_code == 200


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON", "application/json;"])
def test_accepts_variants_of_the_json_content_type(client: httpx.Client, content_type: str) -> None:
    response = client.post("/v1/sample", content=b'{"n": 1}', headers={"Content-Type": content_type})
    assert response.status_code == 200

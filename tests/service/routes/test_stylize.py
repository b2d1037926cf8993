import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from ganvas.images import ORIENTATION
from tests.image_files import bomb
from tests.service.conftest import Problem, image_bytes, pixels
from tests.service.http.test_telemetry import value
from tests.service.onnx_models import save, styled, stylizer_card, stylizer_model
from tests.service.running import running

NIGHT = np.array([1, 0, 0], np.float32)


def stylize(client: httpx.Client, *images: bytes, **fields: Any) -> httpx.Response:
    files = [("image", (f"photo {i}.png", image)) for i, image in enumerate(images)]
    return client.post("/v1/stylize", files=files, data={"style": "night", "format": "png", **fields})


def pixels_of(response: httpx.Response) -> np.ndarray:
    assert response.status_code == 200, response.text
    return pixels(response.content)


def test_painted_image_has_the_size_of_the_upload(client: httpx.Client, photo: np.ndarray, png: bytes) -> None:
    response = stylize(client, png)  # 30 x 50 is not a multiple of 4
    np.testing.assert_array_equal(pixels_of(response), styled(photo, NIGHT, 1, 0))
    assert response.headers["content-disposition"] == 'inline; filename="photo-0-painters.png"'
    assert response.headers["ganvas-model"].startswith("painters@")


def test_default_format_is_jpeg(client: httpx.Client, png: bytes) -> None:
    response = client.post("/v1/stylize", files={"image": png}, data={"style": "night"})
    assert response.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(response.content)).format == "JPEG"


def test_returns_webp(client: httpx.Client, png: bytes) -> None:
    assert stylize(client, png, format="webp").headers["content-type"] == "image/webp"


@pytest.mark.parametrize(
    ("style", "weights"),
    [("wave", [0, 1, 0]), ("night:0.5,scream:0.5", [0.5, 0, 0.5]), ("night:3,wave:1", [0.75, 0.25, 0])],
)
def test_applies_styles_and_blends(
    client: httpx.Client, photo: np.ndarray, png: bytes, style: str, weights: list[float]
) -> None:
    expected = styled(photo, np.array(weights, np.float32), 1, 0)
    np.testing.assert_array_equal(pixels_of(stylize(client, png, style=style)), expected)


@pytest.mark.parametrize(("strength", "keep_color"), [(0, 0), (0.25, 0), (1, 1), (0.5, 0.5)])
def test_applies_strength_and_keep_color(
    client: httpx.Client, photo: np.ndarray, png: bytes, strength: float, keep_color: float
) -> None:
    result = pixels_of(stylize(client, png, strength=strength, keep_color=keep_color))
    np.testing.assert_array_equal(result, styled(photo, NIGHT, strength, keep_color))


@pytest.mark.parametrize("brush", [0.5, 2])
def test_applies_brush(client: httpx.Client, photo: np.ndarray, png: bytes, brush: float) -> None:
    result = pixels_of(stylize(client, png, brush=brush, keep_color=0.5))
    assert result.shape == photo.shape
    assert (result != pixels_of(stylize(client, png, keep_color=0.5))).any()
    np.testing.assert_array_equal(pixels_of(stylize(client, png, brush=brush, strength=0)), photo)


def test_several_images_are_returned_in_a_zip(client: httpx.Client, photo: np.ndarray) -> None:
    photos = [photo, photo[:20, :20], photo[:7, :5]]
    response = stylize(client, *(image_bytes(Image.fromarray(one)) for one in photos))
    assert response.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(response.content)) as zipped:
        assert zipped.namelist() == ["000-photo-0.png", "001-photo-1.png", "002-photo-2.png"]
        for name, one in zip(zipped.namelist(), photos, strict=True):
            np.testing.assert_array_equal(pixels(zipped.read(name)), styled(one, NIGHT, 1, 0))


@pytest.mark.parametrize("shape", [(1, 1), (1, 60), (3, 2), (16, 16), (17, 16), (128, 128)])
def test_accepts_any_size(client: httpx.Client, shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    result = pixels_of(stylize(client, image_bytes(Image.fromarray(image))))
    np.testing.assert_array_equal(result, styled(image, NIGHT, 1, 0))


def test_applies_exif_orientation(client: httpx.Client, photo: np.ndarray) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    result = pixels_of(stylize(client, image_bytes(Image.fromarray(photo), exif=exif)))
    np.testing.assert_array_equal(result, styled(np.rot90(photo, -1), NIGHT, 1, 0))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1"])
def test_accepts_grey_palette_and_transparent_images(client: httpx.Client, photo: np.ndarray, mode: str) -> None:
    image = Image.fromarray(photo).convert(mode)
    result = pixels_of(stylize(client, image_bytes(image)))
    np.testing.assert_array_equal(result, styled(np.asarray(image.convert("RGB")), NIGHT, 1, 0))


@pytest.mark.parametrize(("max_side", "size"), [(None, (64, 128)), ("256", (128, 256)), ("100", (50, 100)), ("16", (8, 16))])
def test_shrinks_to_max_side(client: httpx.Client, max_side: str | None, size: tuple[int, int]) -> None:
    fields = {} if max_side is None else {"max_side": max_side}
    assert pixels_of(stylize(client, image_bytes(Image.new("RGB", (400, 200))), **fields)).shape[:2] == size


def test_accepts_text_fields_as_json(client: httpx.Client, png: bytes) -> None:
    # BentoML's own client writes every field as JSON.
    quoted = stylize(client, png, style='"night"', model="null", strength="0.5", format='"png"')
    assert quoted.content == stylize(client, png, strength="0.5").content


def test_concurrent_requests_get_the_same_images_as_alone(client: httpx.Client) -> None:
    random = np.random.default_rng(0)
    photos = [random.integers(0, 256, (16 + i % 3 * 4, 20, 3), np.uint8) for i in range(12)]

    def call(i: int) -> bool:
        weights = np.eye(3, dtype=np.float32)[i % 3]
        result = stylize(client, image_bytes(Image.fromarray(photos[i % 12])), style=["night", "wave", "scream"][i % 3])
        return bool((pixels_of(result) == styled(photos[i % 12], weights, 1, 0)).all())

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(call, range(60)))


def test_requests_in_different_styles_share_batches(models_folder: Path, tmp_path: Path) -> None:
    photos = np.random.default_rng(0).integers(0, 256, (3, 20, 20, 3), np.uint8)
    # One batch at a time, which waits up to a second until it is as large as the previous batch.
    with running(models_folder, tmp_path, threads=1, max_batch_wait_ms=1000) as service:
        client = httpx.Client(base_url=service.url, timeout=60)

        def call(i: int) -> bool:
            result = stylize(client, image_bytes(Image.fromarray(photos[i])), style=["night", "wave", "scream"][i])
            return bool((pixels_of(result) == styled(photos[i], np.eye(3, dtype=np.float32)[i], 1, 0)).all())

        def ran() -> np.ndarray:
            return np.array([value(client, f"ganvas_batch_rows_{name}", model="painters") for name in ("sum", "count")])

        mixed = np.zeros(2)
        with client, ThreadPoolExecutor(3) as pool:
            for _ in range(4):
                together = stylize(client, *(image_bytes(Image.fromarray(photo)) for photo in photos))
                assert together.status_code == 200
                before = ran()
                assert all(pool.map(call, range(3)))
                mixed += ran() - before
        rows, batches = mixed
        assert rows == 12
        assert rows / batches > 1


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"strength": "2"}, "strength", "less than or equal to 1"),
        ({"strength": "-0.1"}, "strength", "greater"),
        ({"strength": "nan"}, "strength", "finite"),
        ({"strength": "inf"}, "strength", "finite"),
        ({"strength": "strong"}, "strength", "number"),
        ({"strength": ""}, "strength", "number"),
        ({"strength": ["0.5", "0.6"]}, "strength", "only once"),
        ({"keep_color": "1.5"}, "keep_color", "less"),
        ({"keep_color": "[1]"}, "keep_color", "number"),
        ({"brush": "0.4"}, "brush", "greater than or equal to 0.5"),
        ({"brush": "2.1"}, "brush", "less than or equal to 2"),
        ({"brush": "nan"}, "brush", "finite"),
        ({"brush": "wide"}, "brush", "number"),
        ({"max_side": "15"}, "max_side", "greater than or equal to 16"),
        ({"max_side": "257"}, "max_side", "less than or equal to 256"),
        ({"max_side": "100.5"}, "max_side", "integer"),
        ({"max_side": "9" * 5000}, "max_side", "integer"),
        ({"format": "gif"}, "format", "'png', 'jpeg' or 'webp'"),
        ({"format": "zip"}, "format", "'png'"),
        ({"style": ""}, "style", "name is missing"),
        ({"style": "night:-1"}, "style", "at least 0"),
        ({"style": "night:nan"}, "style", "at least 0"),
        ({"style": "night:0"}, "style", "above 0"),
        ({"style": "night," * 1000}, "style", "at most 4096"),
        ({"model": "x" * 65}, "model", "at most 64"),
        ({"seed": "1"}, "seed", "the fields are image, model, style, strength, keep_color, brush, max_side, format"),
        ({"image[]": "x"}, "image[]", "Unknown field"),
        ({"image": "x"}, "image", "uploaded file"),
    ],
)
def test_rejects_invalid_fields(
    client: httpx.Client, problem: Problem, png: bytes, fields: dict[str, Any], field: str, says: str
) -> None:
    errors = problem(stylize(client, png, **fields), 422)["errors"]
    assert errors[0]["field"] == field
    assert says in errors[0]["detail"]


def test_style_is_required_if_the_model_has_several(client: httpx.Client, problem: Problem, png: bytes) -> None:
    problem(client.post("/v1/stylize", files={"image": png}), 422, mentions="night, wave, scream")


def test_unknown_style_lists_known_styles(client: httpx.Client, problem: Problem, png: bytes) -> None:
    problem(stylize(client, png, style="cubism"), 404, mentions="night, wave, scream")


def test_unknown_model_lists_known_models(client: httpx.Client, problem: Problem, png: bytes) -> None:
    problem(stylize(client, png, model="digits"), 404, mentions="For a generator, use /v1/sample or /v1/interpolate.")


def test_rejects_missing_image(client: httpx.Client, problem: Problem) -> None:
    response = client.post("/v1/stylize", files={"style": (None, "night")})
    assert problem(response, 422)["errors"] == [{"field": "image", "detail": "Missing"}]


def test_rejects_too_many_images(client: httpx.Client, problem: Problem, png: bytes) -> None:
    assert problem(stylize(client, *[png] * 5), 422)["errors"][0]["field"] == "image"


def test_rejects_file_in_text_field(client: httpx.Client, problem: Problem, png: bytes) -> None:
    response = client.post("/v1/stylize", files={"image": png, "style": ("a.txt", b"night"), "extra": ("b", b"")})
    errors = problem(response, 422)["errors"]
    assert [error["field"] for error in errors] == ["style", "extra"]


@pytest.mark.parametrize("content", [b"", b"hello", b"GIF89a", image_bytes(Image.new("RGB", (9, 9)), "gif")])
def test_rejects_files_that_are_not_images(client: httpx.Client, problem: Problem, content: bytes) -> None:
    problem(stylize(client, content), 415, mentions="photo 0.png")


def test_names_the_truncated_image(client: httpx.Client, problem: Problem, png: bytes) -> None:
    problem(stylize(client, png, png[:-40]), 415, mentions="photo 1.png is truncated")


@pytest.mark.parametrize("size", [(1000, 1001), (60_000, 60_000)])
def test_rejects_decompression_bomb(client: httpx.Client, problem: Problem, size: tuple[int, int]) -> None:
    problem(stylize(client, bomb(*size)), 413, mentions="1000000")


def test_rejects_a_side_that_is_too_long(client: httpx.Client, problem: Problem) -> None:
    problem(stylize(client, bomb(1, 70_000)), 413, mentions="a side may have at most 65535")


BOUNDARY = "multipart/form-data; boundary=x"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--x--"),
        (BOUNDARY, b"garbage"),
        (BOUNDARY, b"--x\r\n\r\n\r\n--x--\r\n"),
        (BOUNDARY, b'--x\r\nContent-Disposition: form-data; name="style"\r\n\r\nnight'),
        (BOUNDARY, b'--x\r\nContent-Disposition: form-data; name="style"\r\n\r\n' + b"n" * 900_000),
        (BOUNDARY, b"--x\r\n" + b"A" * 100_000),
        (BOUNDARY, b'--x\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n\xff\r\n--x--\r\n'),
        (BOUNDARY, b'--x\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\npunycode\r\n--x--\r\n'),
        ("multipart/form-data; boundary=" + "x" * 5000, b"--x--"),
        ("multipart/form-data; boundary=", b"----"),
        (BOUNDARY, b""),
    ],
)
def test_rejects_broken_forms(client: httpx.Client, problem: Problem, content_type: str, body: bytes) -> None:
    response = client.post("/v1/stylize", content=body, headers={"Content-Type": content_type})
    problem(response, response.status_code if response.status_code == 422 else 400)


def test_rejects_thousands_of_parameters(client: httpx.Client, problem: Problem, png: bytes) -> None:
    """Parsing them holds the event loop."""
    many = ";" * 4000
    part = f'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"{many}\r\n\r\n'.encode()
    response = client.post("/v1/stylize", content=part + png + b"\r\n--x--\r\n", headers={"Content-Type": BOUNDARY})
    problem(response, 400, mentions="A Content-Disposition has more than 32 parameters.")
    response = client.post("/v1/stylize", content=b"--x--\r\n", headers={"Content-Type": BOUNDARY + many})
    problem(response, 415, mentions="The content type has more than 32 parameters.")


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", "image/png", None])
def test_rejects_other_content_types(client: httpx.Client, problem: Problem, png: bytes, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    problem(client.post("/v1/stylize", content=png, headers=headers), 415, mentions="multipart/form-data")


@pytest.mark.parametrize(
    "parameter",
    [
        "charset=punycode",
        "charset=idna",
        "charset=base64",
        "CharSet=utf-7",
        'charset="latin-1"',
        "charset=",
        "charset=" + "x" * 60_000,
    ],
)
def test_rejects_other_charsets_without_looking_them_up(client: httpx.Client, problem: Problem, parameter: str) -> None:
    """Decoding punycode takes time that grows with the square of the text, and Python never forgets an unknown name."""
    body = (
        b'--x\r\nContent-Disposition: form-data; name="style"\r\n\r\n'
        + b"a" * 400_000
        + b"-"
        + b"a" * 400_000
        + b"\r\n--x--\r\n"
    )
    headers = {"Content-Type": f"{BOUNDARY}; {parameter}"}
    problem(client.post("/v1/stylize", content=body, headers=headers), 415, mentions="Only utf-8 is supported")


@pytest.mark.parametrize("parameter", ["charset=utf-8", 'charset="UTF-8"', "charset=utf8", "charset=us-ascii"])
def test_accepts_utf_8(client: httpx.Client, png: bytes, parameter: str) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    style = b'\r\n--x\r\nContent-Disposition: form-data; name="style"\r\n\r\nnight\r\n--x--\r\n'
    headers = {"Content-Type": f"{BOUNDARY}; {parameter}"}
    assert client.post("/v1/stylize", content=head + png + style, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("disposition", "stem"),
    [
        ("filename*=UTF-8''na%C3%AFve.jpg", "na-ve"),
        ("filename*=utf-8'en'na%C3%AFve.jpg", "na-ve"),
        ("FileName* = utf-8''a.jpg", "a"),
        ("filename*=punycode''a-b", "a-b"),
        ("filename*=UTF-8''a%22%0D%0Ab.jpg", "a___b"),
        ("filename=\"plain.jpg\"; filename*=UTF-8''other.jpg", "plain"),
    ],
)
def test_extended_file_name_alone_makes_a_file(client: httpx.Client, png: bytes, disposition: str, stem: str) -> None:
    head = f'--x\r\nContent-Disposition: form-data; name="image"; {disposition}\r\n\r\n'.encode()
    style = b'\r\n--x\r\nContent-Disposition: form-data; name="style"\r\n\r\nnight\r\n--x--\r\n'
    response = client.post("/v1/stylize", content=head + png + style, headers={"Content-Type": BOUNDARY})
    assert response.status_code == 200, response.text
    assert response.headers["content-disposition"].startswith(f'inline; filename="{stem}-painters.')


@pytest.mark.parametrize("name", ["../../etc/passwd", 'a"b\r\nX-Evil: 1.png', "é🎨.png", "x" * 500, "", "..", ".png"])
def test_makes_file_names_safe(client: httpx.Client, png: bytes, name: str) -> None:
    files = [("image", (name or "_", png)), ("image", (name or "_", png))]
    response = client.post("/v1/stylize", files=files, data={"style": "night"})
    with zipfile.ZipFile(io.BytesIO(response.content)) as zipped:
        for entry in zipped.namelist():
            assert entry.isascii()
            assert len(entry) < 80
            assert "/" not in entry
    single = client.post("/v1/stylize", files=files[:1], data={"style": "night"})
    assert "x-evil" not in single.headers
    assert single.headers["content-disposition"].endswith('-painters.jpg"')


def test_style_or_default_chooses_among_several_stylizers(tmp_path: Path, png: bytes, problem: Problem) -> None:
    for name, styles in (("a", ("night", "wave")), ("b", ("wave", "scream"))):
        save(stylizer_model(styles=2), tmp_path / "models" / f"{name}.onnx", stylizer_card(name, styles))

    def ask(client: httpx.Client, **fields: str) -> httpx.Response:
        return client.post("/v1/stylize", files={"image": png}, data=fields)

    with running(tmp_path / "models", tmp_path / "log") as service, httpx.Client(base_url=service.url) as client:
        assert ask(client, style="scream").headers["ganvas-model"].startswith("b@")
        assert ask(client, style="night:0.5,wave").headers["ganvas-model"].startswith("a@")
        assert ask(client, style="wave", model="b").headers["ganvas-model"].startswith("b@")
        several = problem(ask(client, style="wave"), 422)
        assert several["errors"] == [
            {"field": "model", "detail": "Several stylizers have the style 'wave': a, b. Set model to one of them"}
        ]
        problem(ask(client), 422, mentions="Several stylizers are served: a, b. Set model to one of them")
        problem(ask(client, style="night,scream"), 404, mentions="No stylizer has the styles 'night', 'scream'")
        problem(ask(client, style="night,,"), 422, mentions="A style's name is missing")
    settings = {"default_models": "b"}
    with running(tmp_path / "models", tmp_path / "log", **settings) as service, httpx.Client(base_url=service.url) as client:
        assert ask(client, style="wave").headers["ganvas-model"].startswith("b@")
        assert ask(client, style="night").headers["ganvas-model"].startswith("a@")
        assert client.get("/v1/models").json()["defaults"] == ["b"]

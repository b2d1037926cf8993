"""POST /v2/models/NAME/infer, written by hand. `test_tritonclient` uses a client that others wrote."""

import base64
import gzip
import json
import struct
import zlib
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.service.conftest import LIMITS, Problem, image_bytes, pixels
from tests.service.onnx_models import LATENT_SIZE, SIDE, STYLE_OFFSETS, generated, styled

URL = "/v2/models/digits/infer"
STYLIZER_URL = "/v2/models/painters/infer"
NIGHT = np.array([[1, 0, 0]], np.float32)


def latents(n: int = 2) -> np.ndarray:
    return np.random.default_rng(n).normal(size=(n, LATENT_SIZE)).astype(np.float32)


def images(n: int = 1, height: int = 20, width: int = 24) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (n, height, width, 3)).astype(np.uint8)


def tensor(name: str, array: np.ndarray) -> dict[str, Any]:
    datatype = "FP32" if array.dtype == np.float32 else "UINT8"
    return {"name": name, "datatype": datatype, "shape": [*array.shape], "data": array.ravel().tolist()}


def binary_body(tensors: dict[str, np.ndarray], **fields: Any) -> tuple[bytes, dict[str, str]]:
    """A body with binary tensors, and its header."""
    inputs = []
    for name, array in tensors.items():
        described = {key: value for key, value in tensor(name, array).items() if key != "data"}
        inputs.append({**described, "parameters": {"binary_data_size": array.nbytes}})
    head = json.dumps({"inputs": inputs, **fields}).encode()
    data = b"".join(array.astype(array.dtype.newbyteorder("<")).tobytes() for array in tensors.values())
    return head + data, {"Inference-Header-Content-Length": str(len(head))}


def array_of(response: httpx.Response) -> np.ndarray:
    assert response.status_code == 200, response.text
    if "Inference-Header-Content-Length" not in response.headers:
        (output,) = response.json()["outputs"]
        return np.array(output["data"], np.uint8).reshape(output["shape"])
    length = int(response.headers["Inference-Header-Content-Length"])
    (output,) = json.loads(response.content[:length])["outputs"]
    data = response.content[length:]
    assert output["parameters"] == {"binary_data_size": len(data)}
    return np.frombuffer(data, np.uint8).reshape(output["shape"])


def test_json_in_and_out(client: httpx.Client) -> None:
    response = client.post(URL, json={"id": "a-1", "inputs": [tensor("latents", latents())]})
    np.testing.assert_array_equal(array_of(response), generated(latents()))
    document = response.json()
    version = client.get("/v1/models/digits").json()["version"]
    assert (document["id"], document["model_name"], document["model_version"]) == ("a-1", "digits", version)
    assert response.headers["ganvas-model"] == f"digits@{version}"
    (output,) = document["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("pictures", "UINT8", [2, SIDE, SIDE, 1])


def test_response_without_id_if_the_request_has_none(client: httpx.Client) -> None:
    assert "id" not in client.post(URL, json={"inputs": [tensor("latents", latents())]}).json()


def test_nested_numbers(client: httpx.Client) -> None:
    nested = {**tensor("latents", latents()), "data": latents().tolist()}
    np.testing.assert_array_equal(array_of(client.post(URL, json={"inputs": [nested]})), generated(latents()))


def test_binary_in_and_out(client: httpx.Client) -> None:
    body, headers = binary_body({"latents": latents()}, parameters={"binary_data_output": True})
    response = client.post(URL, content=body, headers=headers)
    np.testing.assert_array_equal(array_of(response), generated(latents()))
    assert response.headers["content-type"] == "application/octet-stream"


def test_output_parameter_outweighs_that_of_the_request(client: httpx.Client) -> None:
    fields = {"outputs": [{"name": "pictures", "parameters": {"binary_data": False}}]}
    body, headers = binary_body({"latents": latents()}, parameters={"binary_data_output": True}, **fields)
    response = client.post(URL, content=body, headers=headers)
    assert "Inference-Header-Content-Length" not in response.headers
    np.testing.assert_array_equal(array_of(response), generated(latents()))


def test_more_rows_than_a_batch_run_in_several(client: httpx.Client) -> None:
    n = LIMITS["max_n"]
    body, headers = binary_body({"latents": latents(n)}, parameters={"binary_data_output": True})
    np.testing.assert_array_equal(array_of(client.post(URL, content=body, headers=headers)), generated(latents(n)))


def test_served_version_is_known(client: httpx.Client, problem: Problem) -> None:
    version = client.get("/v1/models/digits").json()["version"]
    body = {"inputs": [tensor("latents", latents())]}
    response = client.post(f"/v2/models/digits/versions/{version}/infer", json=body)
    np.testing.assert_array_equal(array_of(response), generated(latents()))
    document = problem(client.post("/v2/models/digits/versions/1/infer", json=body), 404, mentions=version)
    assert document["error"] == document["detail"]


def test_unknown_model_is_404(client: httpx.Client, problem: Problem) -> None:
    document = problem(client.post("/v2/models/nope/infer", json={}), 404, mentions="digits, painters")
    assert document["error"] == document["detail"]


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_in_and_out(client: httpx.Client, encoding: str) -> None:
    compress = gzip.compress if encoding == "gzip" else zlib.compress
    body, headers = binary_body({"latents": latents()}, parameters={"binary_data_output": True})
    headers |= {"Content-Encoding": encoding, "Accept-Encoding": encoding}
    response = client.post(URL, content=compress(body), headers=headers)
    assert response.headers["content-encoding"] == encoding
    np.testing.assert_array_equal(array_of(response), generated(latents()))


def test_a_list_of_codings_is_no_wish_for_compression(client: httpx.Client) -> None:
    body = {"inputs": [tensor("latents", latents())]}
    response = client.post(URL, json=body, headers={"Accept-Encoding": "gzip, deflate"})
    assert "content-encoding" not in response.headers


def test_rejects_a_body_that_is_large_when_decompressed(client: httpx.Client, problem: Problem) -> None:
    for url in (URL, STYLIZER_URL):
        response = client.post(url, content=gzip.compress(bytes(2**21)), headers={"Content-Encoding": "gzip"})
        problem(response, 413, mentions="decompressed body")


@pytest.mark.parametrize(
    ("data", "encoding", "mentions"),
    [
        (b"{}", "gzip", "not valid gzip"),
        (gzip.compress(b"{}")[:-4], "gzip", "incomplete"),
        (gzip.compress(b"{}") + b"x", "gzip", "1 bytes after the end"),
        (b"", "deflate", "incomplete"),
    ],
    ids=["other", "cut", "longer", "empty"],  # gzip writes the time, so two processes would name the data differently
)
def test_rejects_broken_compression(client: httpx.Client, problem: Problem, data: bytes, encoding: str, mentions: str) -> None:
    problem(client.post(URL, content=data, headers={"Content-Encoding": encoding}), 400, mentions=mentions)


def test_rejects_unknown_compression(client: httpx.Client, problem: Problem) -> None:
    problem(client.post(URL, content=b"{}", headers={"Content-Encoding": "br"}), 415, mentions="gzip, deflate")


@pytest.mark.parametrize(
    ("changes", "mentions"),
    [
        ({"shape": [2, LATENT_SIZE + 1]}, f"latents.shape: Must be [n, {LATENT_SIZE}], where n is 1 to 40; not [2, 7]"),
        ({"shape": [2 * LATENT_SIZE]}, "latents.shape"),
        ({"shape": [0, LATENT_SIZE]}, "n is 1 to 40"),
        ({"shape": [41, LATENT_SIZE]}, "n is 1 to 40"),
        ({"shape": [-1, LATENT_SIZE]}, "inputs[0].shape[0]"),
        ({"shape": [3, LATENT_SIZE]}, "Has 12 numbers; the shape [3, 6] has 18"),
        ({"datatype": "FP64"}, "latents.datatype: Must be FP32, not FP64"),
        ({"datatype": "BYTES"}, "latents.datatype: Must be FP32, not BYTES"),
        ({"name": "latent"}, "digits has no input 'latent'; its inputs are latents"),
        ({"data": None}, "latents.data: Missing"),
        ({"data": ["1"] * 12}, "list of numbers"),
        ({"data": [True] * 12}, "list of numbers"),
        ({"data": [1e39] * 12}, "finite"),
        ({"data": [float("nan")] * 12}, "finite"),
        ({"data": [10**400] * 12}, "too large"),
        ({"data": [[0.5] * 6, [0.5] * 5]}, "nested as in the shape [2, 6]"),
        ({"data": [[0.5] * 4] * 3}, "nested as in the shape [2, 6]"),
        ({"parameters": {"shared_memory_region": "a"}}, "Not supported"),
        ({"parameters": {"binary_data_size": 48}}, "only one is allowed"),
    ],
)
def test_says_what_is_wrong_with_an_input(
    client: httpx.Client, problem: Problem, changes: dict[str, Any], mentions: str
) -> None:
    body = json.dumps({"inputs": [{**tensor("latents", latents()), **changes}]})
    document = problem(client.post(URL, content=body), 422, mentions=mentions)
    assert document["error"] == document["detail"]


@pytest.mark.parametrize(
    ("fields", "mentions"),
    [
        ({"inputs": []}, "digits also needs latents"),
        ({}, "inputs: Missing"),
        ({"inputs": [tensor("latents", latents())] * 2}, "same name"),
        ({"inputs": [tensor("latents", latents())], "outputs": [{"name": "images"}]}, "no output 'images', only 'pictures'"),
        ({"inputs": [tensor("latents", latents())], "outputs": [{"name": "pictures"}] * 2}, "pictures is listed 2 times"),
        ({"inputs": [tensor("latents", latents())], "id": 5}, "id: "),
        (
            {
                "inputs": [tensor("latents", latents())],
                "outputs": [{"name": "pictures", "parameters": {"classification": 3}}],
            },
            "outputs[0].parameters.classification: Not supported",
        ),
        ({"inputs": [tensor("latents", latents())], "parameters": {"format": "gif"}}, "parameters.format"),
    ],
)
def test_says_what_is_wrong_with_a_request(
    client: httpx.Client, problem: Problem, fields: dict[str, Any], mentions: str
) -> None:
    problem(client.post(URL, json=fields), 422, mentions=mentions)


def test_rejects_binary_tensor_of_wrong_length(client: httpx.Client, problem: Problem) -> None:
    body, headers = binary_body({"latents": latents()})
    problem(client.post(URL, content=body + b"x", headers=headers), 400, mentions="49 bytes follow the JSON")
    problem(client.post(URL, content=body[:-1], headers=headers), 400, mentions="47 bytes follow the JSON")
    problem(client.post(URL, content=body, headers={"Inference-Header-Content-Length": "99999"}), 400, mentions="99999")
    problem(client.post(URL, content=body, headers={"Inference-Header-Content-Length": "-1"}), 400, mentions="-1")
    short = body.replace(b"48", b"44")[:-4]
    problem(client.post(URL, content=short, headers=headers), 422, mentions="Has 44 bytes; the shape [2, 6] of FP32 has 48")


def test_rejects_binary_tensor_without_the_header(client: httpx.Client, problem: Problem) -> None:
    head = {"inputs": [{"name": "latents", "datatype": "FP32", "shape": [2, 6], "parameters": {"binary_data_size": 48}}]}
    problem(client.post(URL, json=head), 400, mentions="The header Inference-Header-Content-Length says")


def test_rejects_json_that_is_too_long(client: httpx.Client, problem: Problem) -> None:
    body = {"inputs": [tensor("latents", latents())], "more": "a" * 40_000}
    problem(client.post(URL, json=body), 413, mentions="limit of")


def feeds(image: np.ndarray, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    return {"images": image, "styles": NIGHT.repeat(len(image), 0), **inputs}


def test_stylizer_takes_its_own_tensors(client: httpx.Client) -> None:
    strength, keep_color = np.array([0.5, 1.0], np.float32), np.array([0.0, 1.0], np.float32)
    styles = np.array([[1, 0, 0], [0, 0.5, 0.5]], np.float32)
    given = feeds(images(2), styles=styles, strength=strength, keep_color=keep_color)
    body, headers = binary_body(given, parameters={"binary_data_output": True})
    made = array_of(client.post(STYLIZER_URL, content=body, headers=headers))
    for i in range(2):
        np.testing.assert_array_equal(made[i], styled(images(2)[i], styles[i], strength[i], keep_color[i]))


def test_strength_and_keep_color_may_be_left_out(client: httpx.Client) -> None:
    response = client.post(STYLIZER_URL, json={"inputs": [tensor(name, one) for name, one in feeds(images()).items()]})
    np.testing.assert_array_equal(array_of(response), styled(images(), NIGHT[0], 1, 0))


@pytest.mark.parametrize(
    ("given", "mentions"),
    [
        (feeds(images(1, 21, 24)), "images.shape: Must be [n, h, w, 3], where n is 1 to 4; h is 16 to 256 and a multiple of 4"),
        (feeds(images(1, 260, 24)), "h is 16 to 256"),
        (feeds(images(1, 8, 24)), "h is 16 to 256"),
        (feeds(images(5)), "n is 1 to 4"),
        (feeds(images(2), styles=NIGHT), "styles.shape: Must be [n, 3], where n is 2 in another input; not [1, 3]"),
        (feeds(images(), styles=NIGHT * np.float32(np.nan)), "styles.data: Every number must be finite"),
        (feeds(images(), strength=np.array([1.5], np.float32)), "strength.data: Every number must be 0 to 1"),
        ({"styles": NIGHT}, "painters also needs images"),
        ({"images": images()}, "style: Choose one: this model's styles are night, wave, scream"),
    ],
)
def test_checks_tensors_of_stylizer(
    client: httpx.Client, problem: Problem, given: dict[str, np.ndarray], mentions: str
) -> None:
    body, headers = binary_body(given)
    problem(client.post(STYLIZER_URL, content=body, headers=headers), 422, mentions=mentions)


def test_style_may_be_named(client: httpx.Client) -> None:
    for style, weights in (("wave", [0, 1, 0]), ("night:1,scream:3", [0.25, 0, 0.75])):
        body, headers = binary_body({"images": images(2)}, parameters={"binary_data_output": True, "style": style})
        made = array_of(client.post(STYLIZER_URL, content=body, headers=headers))
        np.testing.assert_array_equal(made, styled(images(2), np.array(weights, np.float32), 1, 0))


def test_rejects_style_that_does_not_fit(client: httpx.Client, problem: Problem) -> None:
    body, headers = binary_body(feeds(images()), parameters={"style": "night"})
    problem(client.post(STYLIZER_URL, content=body, headers=headers), 422, mentions="leave one of both out")
    body, headers = binary_body({"images": images()}, parameters={"style": "nope"})
    problem(client.post(STYLIZER_URL, content=body, headers=headers), 404, mentions="night, wave, scream")
    body, headers = binary_body({"latents": latents()}, parameters={"style": "night"})
    problem(client.post(URL, content=body, headers=headers), 422, mentions="digits is a generator, which has no styles")


def uploads_body(files: list[bytes], wanted: dict[str, Any], **inputs: np.ndarray) -> tuple[bytes, dict[str, str]]:
    """A body with encoded images as a binary tensor."""
    data = b"".join(struct.pack("<I", len(file)) + file for file in files)
    parameters = {"binary_data_size": len(data)}
    image = {"name": "images", "datatype": "BYTES", "shape": [len(files)], "parameters": parameters}
    given = {"styles": NIGHT.repeat(len(files), 0), **inputs}
    head = json.dumps({"inputs": [image, *(tensor(*one) for one in given.items())], "parameters": wanted}).encode()
    return head + data, {"Inference-Header-Content-Length": str(len(head))}


def files_of(response: httpx.Response) -> list[bytes]:
    assert response.status_code == 200, response.text
    length = int(response.headers["Inference-Header-Content-Length"])
    (output,) = json.loads(response.content[:length])["outputs"]
    files, rest = [], response.content[length:]
    while rest:
        size = struct.unpack_from("<I", rest)[0]
        files.append(rest[4 : 4 + size])
        rest = rest[4 + size :]
    assert (output["datatype"], output["shape"]) == ("BYTES", [len(files)])
    return files


def test_encoded_image_in_and_tensor_out(client: httpx.Client, photo: np.ndarray, png: bytes) -> None:
    body, headers = uploads_body([png], {"binary_data_output": True})
    made = array_of(client.post(STYLIZER_URL, content=body, headers=headers))
    np.testing.assert_array_equal(made, styled(photo[None], NIGHT[0], 1, 0))


def test_encoded_images_of_any_size_in_and_out(client: httpx.Client, photo: np.ndarray, png: bytes) -> None:
    other = images(1, 41, 33)[0]
    strength = np.array([1, 0.5], np.float32)
    wanted = {"binary_data_output": True, "format": "png"}
    body, headers = uploads_body([png, image_bytes(Image.fromarray(other))], wanted, strength=strength)
    first, second = files_of(client.post(STYLIZER_URL, content=body, headers=headers))
    np.testing.assert_array_equal(pixels(first), styled(photo, NIGHT[0], 1, 0))
    np.testing.assert_array_equal(pixels(second), styled(other, NIGHT[0], 0.5, 0))


def test_encoded_images_in_json_are_base64(client: httpx.Client, photo: np.ndarray, png: bytes) -> None:
    image = {"name": "images", "datatype": "BYTES", "shape": [1, 1], "data": [base64.b64encode(png).decode()]}
    body = {"inputs": [image, tensor("styles", NIGHT)], "parameters": {"format": "png"}}
    (output,) = client.post(STYLIZER_URL, json=body).json()["outputs"]
    assert (output["datatype"], output["shape"]) == ("BYTES", [1])
    np.testing.assert_array_equal(pixels(base64.b64decode(output["data"][0])), styled(photo, NIGHT[0], 1, 0))


def test_encoded_image_is_shrunk_to_max_side(client: httpx.Client) -> None:
    file = image_bytes(Image.fromarray(images(1, 200, 100)[0]))
    for wanted, side in (({}, LIMITS["default_side"]), ({"max_side": 32}, 32)):
        body, headers = uploads_body([file], wanted)
        assert array_of(client.post(STYLIZER_URL, content=body, headers=headers)).shape == (1, side, side // 2, 3)


def test_samples_may_be_encoded(client: httpx.Client) -> None:
    body, headers = binary_body({"latents": latents()}, parameters={"binary_data_output": True, "format": "png"})
    files = files_of(client.post(URL, content=body, headers=headers))
    np.testing.assert_array_equal(np.stack([pixels(file) for file in files])[..., None], generated(latents()))


def test_rejects_tensor_of_images_of_different_sizes(client: httpx.Client, problem: Problem, png: bytes) -> None:
    body, headers = uploads_body([png, image_bytes(Image.fromarray(images(1, 41, 33)[0]))], {})
    problem(client.post(STYLIZER_URL, content=body, headers=headers), 422, mentions="different sizes")


def test_rejects_broken_files(client: httpx.Client, problem: Problem, png: bytes) -> None:
    body, headers = uploads_body([png, b"nothing"], {"format": "png"})
    problem(client.post(STYLIZER_URL, content=body, headers=headers), 415, mentions="images[1]")
    longer = body.replace(struct.pack("<I", 7), struct.pack("<I", 8))
    problem(client.post(STYLIZER_URL, content=longer, headers=headers), 422, mentions="2 elements")
    text = {"name": "images", "datatype": "BYTES", "shape": [1], "data": ["%%"]}
    problem(client.post(STYLIZER_URL, json={"inputs": [text, tensor("styles", NIGHT)]}), 422, mentions="base64")


def test_rejects_parameters_out_of_bounds(client: httpx.Client, problem: Problem, png: bytes) -> None:
    for name, value in (("max_side", 8), ("max_side", 257), ("brush", 3), ("brush", "1")):
        body, headers = uploads_body([png], {name: value})
        problem(client.post(STYLIZER_URL, content=body, headers=headers), 422, mentions=f"parameters.{name}")


def test_styles_are_in_the_order_of_the_card(client: httpx.Client, photo: np.ndarray, png: bytes) -> None:
    for i in range(len(STYLE_OFFSETS)):
        styles = np.eye(3, dtype=np.float32)[i : i + 1]
        body, headers = uploads_body([png], {"binary_data_output": True}, styles=styles)
        made = array_of(client.post(STYLIZER_URL, content=body, headers=headers))
        np.testing.assert_array_equal(made[0], styled(photo, styles[0], 1, 0))

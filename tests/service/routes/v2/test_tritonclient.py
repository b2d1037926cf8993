"""tritonclient's HTTP client, unchanged, against the real service."""

from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from tests.service.conftest import LIMITS, pixels
from tests.service.onnx_models import LATENT_SIZE, SIDE, generated, styled
from tests.service.running import Running

NIGHT = np.array([[1, 0, 0]], np.float32)


@pytest.fixture(scope="module")
def server(service: Running) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(service.url.removeprefix("http://")) as opened:
        yield opened


def latents(n: int = 2) -> np.ndarray:
    return np.random.default_rng(n).normal(size=(n, LATENT_SIZE)).astype(np.float32)


def given(name: str, array: np.ndarray, *, binary: bool = True) -> triton.InferInput:
    datatype = {"float32": "FP32", "uint8": "UINT8", "object": "BYTES"}[array.dtype.name]
    tensor = triton.InferInput(name, [*array.shape], datatype)
    tensor.set_data_from_numpy(array, binary_data=binary)
    return tensor


def version(server: triton.InferenceServerClient) -> str:
    (found,) = server.get_model_metadata("digits")["versions"]
    return str(found)


def test_service_is_live_and_ready(server: triton.InferenceServerClient) -> None:
    assert server.is_server_live()
    assert server.is_server_ready()
    assert server.get_server_metadata()["name"] == "ganvas"


def test_model_is_ready(server: triton.InferenceServerClient) -> None:
    assert server.is_model_ready("digits")
    assert server.is_model_ready("digits", version(server))
    assert not server.is_model_ready("digits", "1")
    assert not server.is_model_ready("nope")


def test_metadata_lists_tensors(server: triton.InferenceServerClient) -> None:
    assert server.get_model_metadata("painters") == {
        "name": "painters",
        "versions": server.get_model_metadata("painters")["versions"],
        "platform": "onnx_onnxv1",
        "inputs": [
            {"name": "images", "datatype": "UINT8", "shape": [-1, -1, -1, 3]},
            {"name": "styles", "datatype": "FP32", "shape": [-1, 3]},
            {"name": "strength", "datatype": "FP32", "shape": [-1]},
            {"name": "keep_color", "datatype": "FP32", "shape": [-1]},
        ],
        "outputs": [{"name": "pictures", "datatype": "UINT8", "shape": [-1, -1, -1, 3]}],
    }


def test_configuration_lists_sizes_without_rows(server: triton.InferenceServerClient) -> None:
    found = server.get_model_config("digits", version(server))
    assert found["max_batch_size"] == LIMITS["max_n"]
    assert found["input"] == [{"name": "latents", "data_type": "TYPE_FP32", "dims": [LATENT_SIZE], "optional": False}]
    assert found["output"] == [{"name": "pictures", "data_type": "TYPE_UINT8", "dims": [SIDE, SIDE, 1]}]
    optional = [tensor["name"] for tensor in server.get_model_config("painters")["input"] if tensor["optional"]]
    assert optional == ["styles", "strength", "keep_color"]


def test_index_lists_served_and_refused_models(server: triton.InferenceServerClient) -> None:
    index = {model["name"]: model for model in server.get_model_repository_index()}
    assert index["digits"] == {"name": "digits", "version": version(server), "state": "READY", "reason": ""}
    assert index["broken"]["state"] == "UNAVAILABLE"
    assert "not an ONNX file" in index["broken"]["reason"]


@pytest.mark.parametrize("binary", [True, False])
def test_infer_with_numpy(server: triton.InferenceServerClient, binary: bool) -> None:
    wanted = [triton.InferRequestedOutput("pictures", binary_data=binary)]
    result = server.infer("digits", [given("latents", latents(), binary=binary)], outputs=wanted, request_id="a-1")
    np.testing.assert_array_equal(result.as_numpy("pictures"), generated(latents()))
    assert result.get_response()["id"] == "a-1"
    assert ("data" in result.get_output("pictures")) != binary


def test_infer_without_outputs_returns_all(server: triton.InferenceServerClient) -> None:
    result = server.infer("digits", [given("latents", latents())], model_version=version(server))
    np.testing.assert_array_equal(result.as_numpy("pictures"), generated(latents()))


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
@pytest.mark.parametrize("binary", [True, False])
def test_infer_compressed(server: triton.InferenceServerClient, algorithm: str, binary: bool) -> None:
    options = {"request_compression_algorithm": algorithm, "response_compression_algorithm": algorithm}
    wanted = [triton.InferRequestedOutput("pictures", binary_data=binary)]
    result = server.infer("digits", [given("latents", latents())], outputs=wanted, **options)
    np.testing.assert_array_equal(result.as_numpy("pictures"), generated(latents()))


def test_infer_asynchronously(server: triton.InferenceServerClient) -> None:
    requests = [server.async_infer("digits", [given("latents", latents(n))]) for n in (1, 2, 3)]
    for n, request in enumerate(requests, 1):
        np.testing.assert_array_equal(request.get_result().as_numpy("pictures"), generated(latents(n)))


def test_stylizer_with_encoded_image(server: triton.InferenceServerClient, photo: np.ndarray, png: bytes) -> None:
    inputs = [given("images", np.array([png], np.object_)), given("styles", NIGHT)]
    tensor = server.infer("painters", inputs).as_numpy("pictures")
    np.testing.assert_array_equal(tensor, styled(photo[None], NIGHT[0], 1, 0))
    parameters = {"format": "png", "style": "night"}
    (file,) = server.infer("painters", inputs[:1], parameters=parameters).as_numpy("pictures")
    np.testing.assert_array_equal(pixels(file), tensor[0])


def test_several_outputs_asked(server: triton.InferenceServerClient) -> None:
    wanted = [triton.InferRequestedOutput("pictures"), triton.InferRequestedOutput("logits")]
    with pytest.raises(InferenceServerException, match="digits has no output 'logits', only 'pictures'"):
        server.infer("digits", [given("latents", latents())], outputs=wanted)


def test_wrong_shape_says_which_is_allowed(server: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match=r"\[422\] latents.shape: Must be \[n, 6\]") as caught:
        server.infer("digits", [given("latents", latents()[:, :5])])
    assert caught.value.status() == "422"


def test_unknown_model_says_which_are_known(server: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="There is no model 'nope': the models are digits, painters") as caught:
        server.infer("nope", [given("latents", latents())])
    assert caught.value.status() == "404"
    with pytest.raises(InferenceServerException, match="digits has no version '1'"):
        server.get_model_metadata("digits", "1")


def test_loading_a_model_is_not_supported(server: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="No route"):
        server.load_model("digits")


def test_statistics_count_requests_batches_and_rows(server: triton.InferenceServerClient) -> None:
    (before,) = server.get_inference_statistics("digits")["model_stats"]
    server.infer("digits", [given("latents", latents(20))])  # three batches of up to eight rows
    (after,) = server.get_inference_statistics("digits", version(server))["model_stats"]
    assert after["inference_count"] - before["inference_count"] == 20
    assert after["execution_count"] - before["execution_count"] == 3
    assert after["last_inference"] > before["last_inference"]
    counts = {
        name: total["count"] - before["inference_stats"][name]["count"] for name, total in after["inference_stats"].items()
    }
    assert counts == {"success": 1, "fail": 0, "queue": 3, "compute_infer": 3}
    assert all(after["inference_stats"][name]["ns"] > 0 for name in ("success", "queue", "compute_infer"))
    assert len(server.get_inference_statistics()["model_stats"]) == 2

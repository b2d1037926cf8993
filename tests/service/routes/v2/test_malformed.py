"""No body of an inference request makes the service fail."""

import json
import struct
import zlib

import httpx
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service.onnx_models import LATENT_SIZE

QUICK = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
ANY = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3))
NUMBERS = st.lists(st.floats(-3, 3, width=32), min_size=LATENT_SIZE, max_size=LATENT_SIZE)


def mostly(usual: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """A strategy that sometimes draws something else, so that a body has few errors and reaches the later checks."""
    return st.integers(0, 9).flatmap(lambda i: ANY if i == 0 else usual)


NAMES = st.sampled_from(["latents", "images", "styles", "strength", "keep_color", "pictures", ""])
PARAMETERS = st.dictionaries(
    st.sampled_from(["binary_data_size", "binary_data", "binary_data_output", "format", "max_side", "brush", "classification"]),
    mostly(st.sampled_from([True, False, 0, 4, 24, 100, "png", "webp", "gif", 1.5])),
    max_size=2,
)
TENSORS = st.fixed_dictionaries(
    {
        "name": mostly(NAMES),
        "datatype": mostly(st.sampled_from(["FP32", "UINT8", "BYTES", "FP64"])),
        "shape": mostly(st.lists(st.sampled_from([0, 1, 1, 2, 3, LATENT_SIZE, 16, 2**31, -1]), max_size=5)),
    },
    optional={"data": mostly(NUMBERS | st.lists(st.text(max_size=8), max_size=2)), "parameters": mostly(PARAMETERS)},
)
BODIES = st.fixed_dictionaries(
    {"inputs": mostly(st.lists(TENSORS, max_size=4))},
    optional={
        "id": mostly(st.text(max_size=9)),
        "outputs": mostly(
            st.lists(st.fixed_dictionaries({"name": mostly(NAMES)}, optional={"parameters": PARAMETERS}), max_size=2)
        ),
        "parameters": mostly(PARAMETERS),
    },
)
ROUTES = st.sampled_from(["/v2/models/digits/infer", "/v2/models/painters/infer", "/v2/repository/index"])


def check(response: httpx.Response) -> None:
    assert response.status_code < 500, response.text
    if response.status_code != 200:
        document = response.json()
        assert document["error"] == document["detail"]


@QUICK
@given(route=ROUTES, body=BODIES, tail=st.binary(max_size=40), header=st.sampled_from([None, None, 0, -1, 1, "x"]))
def test_any_json_and_any_tail(client: httpx.Client, route: str, body: object, tail: bytes, header: object) -> None:
    head = json.dumps(body).encode()
    length = len(head) if header is None else header
    check(client.post(route, content=head + tail, headers={"Inference-Header-Content-Length": str(length)} if tail else {}))


@QUICK
@given(
    route=ROUTES,
    data=st.binary(max_size=300),
    encoding=st.sampled_from(["", "gzip", "deflate", "br", "identity"]),
    cut=st.integers(0, 10),
)
def test_any_bytes(client: httpx.Client, route: str, data: bytes, encoding: str, cut: int) -> None:
    if encoding == "deflate":
        data = zlib.compress(data)[: -cut or None]
    check(client.post(route, content=data, headers={"Content-Encoding": encoding}))


@QUICK
@given(changed=st.dictionaries(st.integers(0, 10_000), st.integers(0, 255), max_size=3), cut=st.integers(0, 3), data=st.data())
def test_changed_bytes_of_valid_bodies(client: httpx.Client, changed: dict[int, int], cut: int, data: st.DataObject) -> None:
    floats = np.zeros((1, LATENT_SIZE), np.float32).tobytes()
    file = data.draw(st.binary(max_size=60))
    styles = {"name": "styles", "datatype": "FP32", "shape": [1, 3], "data": [1, 0, 0]}
    files = struct.pack("<I", len(file)) + file
    name, datatype, shape, tensor, others = data.draw(
        st.sampled_from([("latents", "FP32", [1, LATENT_SIZE], floats, []), ("images", "BYTES", [1], files, [styles])])
    )
    described = {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": len(tensor)}}
    head = json.dumps({"inputs": [described, *others]}).encode()
    body = bytearray(head + tensor)
    for place, value in changed.items():
        body[place % len(body)] = value
    headers = {"Inference-Header-Content-Length": str(len(head) - cut)}
    check(
        client.post(f"/v2/models/{'digits' if name == 'latents' else 'painters'}/infer", content=bytes(body), headers=headers)
    )

"""Every error. It comes from the service if a test can cause the error there, otherwise from a gateway."""

import json
import pickle
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ganvas
from ganvas import api, errors
from ganvas.api import UPLOAD_FORMATS_TEXT
from service.http.problems import Problem
from tests.ganvas.conftest import HANG_UP, LIMITS, Ask, Gateway, photo
from tests.service.onnx_models import generator_card, generator_model, save, slow_generator_model
from tests.service.running import Running, running

ONCE = {"retries": 0}


@pytest.mark.parametrize("problem", Problem.__subclasses__(), ids=lambda problem: problem.__name__)
def test_every_problem_has_an_error_class(problem: type[Problem]) -> None:
    assert errors.BY_STATUS[problem.status] is getattr(ganvas, f"{problem.__name__}Error")


def test_not_found_lists_the_known_names(service: Running, ask: Ask) -> None:
    with pytest.raises(
        ganvas.NotFoundError, match=r"Not found \(404\): .*digits, painters.*\[request [0-9a-f]{32}\]"
    ) as caught:
        ask(service.url, "model", "no such model?")
    assert (caught.value.status, caught.value.title, caught.value.type) == (404, "Not found", "urn:ganvas:not-found")
    assert caught.value.request_id is not None
    with pytest.raises(ganvas.NotFoundError, match="night, wave, scream"):
        ask(service.url, "stylize", photo(), style="dawn")
    with pytest.raises(ganvas.NotFoundError, match="generator"):
        ask(service.url, "sample", model="painters")


def test_invalid_names_the_field(service: Running, ask: Ask) -> None:
    with pytest.raises(ganvas.InvalidError) as caught:
        ask(service.url, "sample", LIMITS["max_n"] + 1, truncation=2)
    assert [error.field for error in caught.value.errors] == ["n", "truncation"]
    assert "40" in caught.value.errors[0].detail
    assert "n: " in str(caught.value)
    with pytest.raises(ganvas.InvalidError, match="Must have 6 numbers, not 2"):
        ask(service.url, "sample", latents=[[1, 2]])


def test_rejects_unreadable_and_too_large_images(service: Running, ask: Ask) -> None:
    with pytest.raises(ganvas.UnsupportedError, match=f"not a {UPLOAD_FORMATS_TEXT}"):
        ask(service.url, "stylize", b"GIF89a and so on", style="night")
    with pytest.raises(ganvas.TooLargeError, match="1000 x 1001 pixels"):
        ask(service.url, "stylize", np.zeros((1001, 1000), np.uint8), style="night")
    with pytest.raises(ganvas.TooLargeError, match="limit"):
        ask(service.url, "stylize", b"0" * (LIMITS["max_body_mb"] * 2**20 + 1), style="night", options=ONCE)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service without a stylizer. One of its generators returns one image too few for three, and the other needs 1 s."""
    folder = tmp_path_factory.mktemp("faulty")
    save(generator_model(broken="rows"), folder / "models" / "broken.onnx", generator_card("broken"))
    save(slow_generator_model(1), folder / "models" / "slow.onnx", generator_card("slow"))
    with running(folder / "models", folder / "log", timeout_s=0.3) as service:
        yield service


def test_batches_need_a_model_of_the_right_kind(faulty: Running, ask: Ask, tmp_path: Path) -> None:
    with pytest.raises(ganvas.UnavailableError, match="No stylizer is served"):
        ask(faulty.url, "stylize", photo(), options=ONCE)
    with pytest.raises(ValueError, match=r"Name a generator with `model`\. The service has: broken, slow"):
        ask(faulty.url, "sample_many", 3, tmp_path / "out")
    Image.fromarray(photo()).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"Name a stylizer with `model`\. The service has: none"):
        ask(faulty.url, "stylize_many", tmp_path / "a.png", tmp_path / "out")


def test_failing_service_raises_internal_error(faulty: Running, ask: Ask) -> None:
    with pytest.raises(ganvas.InternalError, match=r"log.*\[request "):
        ask(faulty.url, "sample", 3, model="broken")


def test_slow_service_times_out(faulty: Running, ask: Ask) -> None:
    with pytest.raises(ganvas.TimedOutError, match="longer than"):
        ask(faulty.url, "sample", model="slow", options=ONCE)
    with pytest.raises(ganvas.NoResponseError, match="did not respond in time"):
        ask(faulty.url, "sample", model="slow", options={**ONCE, "timeout": 0.05})


def test_missing_service_raises_no_response_error(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ganvas.NoResponseError, match="Check that the service runs there"):
        ask(url, "models", options=ONCE)
    with pytest.raises(ganvas.NoResponseError):
        ask("http://no.such.host.invalid", "models", options=ONCE)


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, ganvas.UnauthorizedError), (403, ganvas.UnauthorizedError), (405, ganvas.NotAllowedError),
     (502, ganvas.UnavailableError), (418, ganvas.ProblemError), (599, ganvas.ProblemError)],
)  # fmt: skip
@pytest.mark.parametrize(
    ("content_type", "body"),
    [("text/html", b"<h1>Nope</h1>"), ("application/problem+json", b"half a"), ("application/json", b"[1, 2]"), ("", b"")],
)
def test_status_of_a_gateway_without_problem_documents_selects_the_error(
    gateway: Gateway, ask: Ask, status: int, error: type[ganvas.ProblemError], content_type: str, body: bytes
) -> None:
    gateway.will(status, body, Content_Type=content_type)
    with pytest.raises(error) as caught:
        ask(gateway.url, "models", options=ONCE)
    assert caught.value.status == status
    assert caught.value.detail == caught.value.title != ""
    assert caught.value.type == "about:blank"


def test_error_has_plain_text_and_request_id_of_a_gateway(gateway: Gateway, ask: Ask) -> None:
    gateway.will(400, b"no upstream\n", Content_Type="text/plain", X_Request_ID="seven")
    with pytest.raises(ganvas.MalformedError) as caught:
        ask(gateway.url, "models")
    assert str(caught.value) == "Bad Request (400): no upstream [request seven]"


def test_unknown_key_is_rejected(gateway: Gateway, ask: Ask) -> None:
    document = {"type": "urn:ganvas:unauthorized", "title": "Unauthorized", "status": 401, "detail": "Send a key"}
    gateway.will(401, json.dumps(document).encode(), Content_Type="application/problem+json")
    with pytest.raises(ganvas.UnauthorizedError, match="Send a key"):
        ask(gateway.url, "sample")


@pytest.mark.parametrize(
    ("status", "content_type", "body"),
    [(200, "text/html", b"<h1>Welcome</h1>"), (200, "application/json", b'{"models": 3}'), (204, "", b""), (302, "", b"")],
)
def test_another_service_is_unexpected(gateway: Gateway, ask: Ask, status: int, content_type: str, body: bytes) -> None:
    for method in ("models", "sample"):
        gateway.will(status, body, Content_Type=content_type)
        with pytest.raises(ganvas.UnexpectedResponseError, match=r"URL.*\[request ") as caught:
            ask(gateway.url, method)
        assert caught.value.request_id == gateway.seen[-1]["X-Request-ID"]


def test_image_without_model_is_unexpected(gateway: Gateway, ask: Ask) -> None:
    gateway.will(200, b"\xff\xd8", Content_Type="image/jpeg")
    with pytest.raises(ganvas.UnexpectedResponseError, match=r"image/jpeg without the header Ganvas-Model\. Check .*URL"):
        ask(gateway.url, "sample", format="jpeg")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-npy", b"\x93NUMPY half"),
        ("application/x-npy", b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1)}"),
        (
            "application/x-npy",
            b"\x93NUMPY\x01\x00\x40\x00" + b"{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1, 1, 1)}\n ",
        ),
        ("application/zip", b"PK\x03\x04 no"),
        ("image/png", b"\x89PNG\r\n\x1a\n"),
    ],
)
def test_broken_image_raises_when_it_is_read(gateway: Gateway, ask: Ask, content_type: str, body: bytes) -> None:
    gateway.will(200, body, Content_Type=content_type, Ganvas_Model="digits@1")
    (image_format,) = [name for name, file_type in api.FILE_TYPES.items() if file_type.media_type == content_type]
    result = ask(gateway.url, "sample", format=image_format)
    with pytest.raises(ganvas.UnexpectedResponseError, match="cannot be read") as caught:
        _ = result.images
    assert caught.value.request_id == gateway.seen[0]["X-Request-ID"]


def test_broken_connection_names_the_url(gateway: Gateway, ask: Ask) -> None:
    gateway.will(HANG_UP)
    with pytest.raises(ganvas.NoResponseError, match=r"http://127.* did not respond.*\[request ") as caught:
        ask(gateway.url, "models", options=ONCE)
    assert caught.value.request_id == gateway.seen[0]["X-Request-ID"]


def test_errors_can_be_pickled() -> None:
    problem = ganvas.QueueFullError(429, "Full", "Come back", retry_after=7, request_id="seven")
    setting = ganvas.ConfigurationError("url", "nonsense", "It must be a URL.")
    for error in (problem, setting, ganvas.NoResponseError("nobody", request_id="seven"), ganvas.NoResponseError("nobody")):
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


def test_all_errors_share_one_base() -> None:
    family: list[type] = [ganvas.ConfigurationError, ganvas.NoResponseError, ganvas.UnexpectedResponseError]
    family += errors.BY_STATUS.values()
    assert all(issubclass(error, ganvas.GanvasError) for error in family)

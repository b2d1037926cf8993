import json

import pytest

from service.engine import errors
from service.engine.errors import EngineError, InvalidValueError, QueueFullError, RequestError
from service.http import problems
from service.http.problems import Invalid, Malformed, Problem, QueueFull, problem_of
from service.http.request_ids import REQUEST_ID


def test_each_status_has_one_class() -> None:
    statuses = [cls.status for cls in Problem.__subclasses__()]
    assert sorted(statuses) == sorted(set(statuses))


def test_docstring_lists_every_problem() -> None:
    for cls in Problem.__subclasses__():
        line = next(line for line in (problems.__doc__ or "").splitlines() if f" {cls.__name__} " in line)
        assert str(cls.status) in line


@pytest.mark.parametrize("cls", problems.BY_STATUS.values())
def test_response_is_an_rfc_9457_document(cls: type[Problem]) -> None:
    response = cls("It went wrong", {"Allow": "GET"}).response()
    assert response.status_code == cls.status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["allow"] == "GET"
    document = json.loads(bytes(response.body))
    assert bytes(response.body).endswith(b"}\n")  # a terminal's prompt begins on a line of its own
    assert document.pop("type").startswith("urn:ganvas:")
    assert document == {"title": cls.title, "status": cls.status, "detail": "It went wrong", "request_id": ""}


def test_document_has_the_request_id() -> None:
    token = REQUEST_ID.set("abc")
    assert Malformed("No").document()["request_id"] == "abc"
    REQUEST_ID.reset(token)


def test_invalid_lists_a_bounded_number_of_fields() -> None:
    document = Invalid((f"latents[{i}]", "Too long") for i in range(1000)).document()
    assert document["errors"][2] == {"field": "latents[2]", "detail": "Too long"}
    assert len(document["errors"]) == 10
    assert document["detail"].endswith("and 990 more")


def test_queue_full_has_retry_after() -> None:
    assert QueueFull("Full", 3).response().headers["retry-after"] == "3"


ENGINE_ERRORS = {
    errors.NotFoundError: 404,
    errors.ImageTooLargeError: 413,
    errors.RequestTooLargeError: 413,
    errors.UnreadableImageError: 415,
    errors.InvalidValueError: 422,
    errors.QueueFullError: 429,
    errors.NoModelError: 503,
    errors.ClosedError: 503,
}


def test_every_request_error_maps_to_a_problem() -> None:
    assert set(RequestError.__subclasses__()) == set(ENGINE_ERRORS)
    for cls, status in ENGINE_ERRORS.items():
        error = cls("style", "unknown") if cls is InvalidValueError else cls("It went wrong")
        problem = problem_of(error)
        assert (problem.status_code, problem.detail) == (status, str(error))


def test_invalid_value_error_keeps_its_field() -> None:
    document = problem_of(InvalidValueError("style", "unknown")).document()
    assert document["errors"] == [{"field": "style", "detail": "unknown"}]


def test_queue_full_error_keeps_retry_after() -> None:
    assert problem_of(QueueFullError("Full", 7)).response().headers["retry-after"] == "7"


def test_problem_maps_to_itself() -> None:
    problem = Malformed("No")
    assert problem_of(problem) is problem


def test_engine_docstring_lists_every_error() -> None:
    def below(cls: type[EngineError]) -> list[type[EngineError]]:
        return [cls, *(child for sub in cls.__subclasses__() for child in below(sub))]

    for cls in below(EngineError):
        assert f" {cls.__name__}" in (errors.__doc__ or "")

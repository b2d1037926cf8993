import json

import pytest

from service.http import problems
from service.http.problems import Invalid, Malformed, Problem, QueueFull
from service.http.request_ids import REQUEST_ID


def test_one_class_a_status() -> None:
    statuses = [cls.status for cls in Problem.__subclasses__()]
    assert sorted(statuses) == sorted(set(statuses))


def test_the_tree_of_the_docstring_is_complete() -> None:
    for cls in Problem.__subclasses__():
        line = next(line for line in (problems.__doc__ or "").splitlines() if f" {cls.__name__} " in line)
        assert str(cls.status) in line


@pytest.mark.parametrize("cls", problems.BY_STATUS.values())
def test_a_problem_is_an_rfc_9457_document(cls: type[Problem]) -> None:
    response = cls("It went wrong", {"Allow": "GET"}).response()
    assert response.status_code == cls.status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["allow"] == "GET"
    document = json.loads(bytes(response.body))
    assert document.pop("type").startswith("urn:ganvas:")
    assert document == {"title": cls.title, "status": cls.status, "detail": "It went wrong", "request_id": ""}


def test_a_problem_names_its_request() -> None:
    token = REQUEST_ID.set("abc")
    assert Malformed("No").document()["request_id"] == "abc"
    REQUEST_ID.reset(token)


def test_invalid_names_each_field_but_not_a_million() -> None:
    document = Invalid((f"latents[{i}]", "Too long") for i in range(1000)).document()
    assert document["errors"][2] == {"field": "latents[2]", "detail": "Too long"}
    assert len(document["errors"]) == 10
    assert document["detail"].endswith("and 990 more")


def test_queue_full_says_when_to_come_back() -> None:
    assert QueueFull("Full", 3).response().headers["retry-after"] == "3"

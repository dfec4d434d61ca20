"""The interface's document: what is kept is what the application is, and it leaves nothing to be guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.web.app import OPEN, document, routed
from bench.web.document import text
from bench.web.problems import CODES, MEDIA_TYPE
from bench.web.roles import Role
from tests.web.conftest import House

KEPT = Path(__file__).parents[2] / "docs" / "openapi.json"
METHODS = {"get", "post", "put", "patch", "delete"}


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, item in document(routed())["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


def test_what_is_kept_is_what_the_application_is() -> None:
    assert KEPT.read_text() == text(), "run: python -m bench.web.document > docs/openapi.json"


def test_what_is_served_is_the_same(one_house: House) -> None:
    assert one_house.client().get("openapi.json").json() == document(routed())


@pytest.mark.parametrize(("method", "path", "operation"), operations(), ids=lambda value: str(value)[:40])
def test_every_operation_tells_its_problems_its_part_and_its_summary(
    method: str, path: str, operation: dict[str, Any]
) -> None:
    problem = operation["responses"]["default"]["content"]
    assert problem == {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    assert "422" not in operation["responses"]
    assert len(operation["tags"]) == 1
    assert operation["summary"].strip()
    assert operation["operationId"]


def test_every_operation_says_who_may() -> None:
    bare = {path for _, path, operation in operations() if "x-role" not in operation}
    assert bare == OPEN
    for _, path, operation in operations():
        if path not in OPEN:
            assert operation["x-role"] in set(Role)
            assert operation["security"] == [{"bearer": []}, {"cookie": []}]


def test_no_two_operations_share_an_id() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(ids)) == len(ids)


def test_every_code_of_a_problem_is_an_error_s_and_has_a_title() -> None:
    assert all(400 <= status < 600 and title for status, title in CODES.values())


def test_what_is_wrong_comes_as_a_problem(one_house: House) -> None:
    """One of each kind of refusal, by whoever refuses it: the gate, the router, the shapes, the desk."""
    client = one_house.as_(Role.ADMIN)
    answers: list[httpx.Response] = [
        client.get("nothing/of/the/kind"),
        client.put("runs"),
        client.get("runs", params={"limit": "many"}),
        client.get("runs/none-such"),
        client.post("check", content=b"{", headers={"content-type": "application/json"}),
        one_house.client().get("me"),
    ]
    assert [answer.status_code for answer in answers] == [404, 405, 422, 404, 400, 401]
    for answer in answers:
        assert answer.headers["content-type"] == MEDIA_TYPE
        said = answer.json()
        assert said["code"] in CODES
        assert said["status"] == answer.status_code == CODES[said["code"]][0]
        assert said["type"] == f"urn:cellbench:problem:{said['code']}"
        assert said["title"] == CODES[said["code"]][1]
    assert answers[1].headers["allow"] in ("GET", "POST", "GET, POST")  # of the route that is there

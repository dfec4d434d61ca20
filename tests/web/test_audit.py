"""The trail: every change, who, when, what it was, what it is, why."""

from __future__ import annotations

import hashlib
import json

import httpx
import pytest

from bench.web.audit import FILE
from bench.web.roles import Role
from tests.page.served import PASSWORD
from tests.web.conftest import House
from tests.web.good_requests import CHANGING, GOOD, PLACES, ask
from tests.web.strict_desk import RUN

pytestmark = pytest.mark.scenario

#: What leaves nothing: a check changes nothing.
SILENT = {("POST", "/check")}


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [each for each in CHANGING if each[:2] not in SILENT],
    ids=lambda value: str(value),
)
def test_every_change_is_in_the_trail(house: House, method: str, path: str, role: Role) -> None:
    answer = ask(house.as_(role), method, path)
    found = house.as_(Role.ENGINEER).get("audit").json()
    for _ in range(100):  # a stop does not wait for its line
        if found["records"]:
            break
        found = house.as_(Role.ENGINEER).get("audit").json()
    newest = found["records"][0]
    by_role = {"viewer": "gast", "operator": "lin", "engineer": "wang", "safety": "shen", "admin": "root"}
    assert newest["who"] == by_role[role.value]
    assert newest["role"] == role.value
    assert newest["how"] == "session"
    assert newest["outcome"] == ("done" if answer.is_success else answer.json()["code"])
    assert newest["utc_s"] > 1.7e9
    body = GOOD[method, path]
    if isinstance(body, dict) and "password" in body and path not in ("/users",):
        assert newest["signature"]["name"] == newest["who"]
        assert len(newest["signature"]["sha256"]) == 64
    for named, value in PLACES.items():
        if f"{{{named}}}" in path:
            assert newest["on"] == value
    assert found["broken"] is None


def test_old_new_and_why_are_told(house: House) -> None:
    admin = house.as_(Role.ADMIN)
    assert admin.patch("users/lin", json={"role": "engineer"}).status_code == 200
    changed = house.audited("user.change")[-1]
    assert changed["old"] == {"role": "operator", "disabled": False}
    assert changed["new"] == {"role": "engineer", "disabled": False, "password": False}
    house.as_(Role.ENGINEER).post("alarms/a1/shelve", json={"for_s": 60, "why": "the fan is ordered"})
    shelved = house.audited("alarm.shelve")[-1]
    assert (shelved["new"], shelved["why"]) == ({"for_s": 60.0}, "the fan is ordered")
    judged = {"question": "fire", "answer": False, "note": "smoke only", "password": PASSWORD}
    house.as_(Role.ENGINEER).post(f"runs/{RUN}/judgements", json=judged)
    record = house.audited("run.judge")[-1]
    assert (record["old"], record["why"]) == ({"verdict": "PASS"}, "smoke only")
    asked = {"answer": False, "note": "smoke only", "question": "fire", "run": RUN}
    signed = json.dumps(asked, sort_keys=True, separators=(",", ":")).encode()
    assert record["signature"]["sha256"] == hashlib.sha256(signed).hexdigest()


def test_a_refusal_is_told_too_and_no_password_is(house: House) -> None:
    answer = house.as_(Role.SAFETY).post("ack", json={"note": "seen", "password": "not the right one"})
    assert answer.status_code == 403
    assert [record["outcome"] for record in house.audited("bench.unlatch")] == ["asked", "not-signed"]
    raw = (house.data / FILE).read_bytes()
    assert b"not the right one" not in raw
    assert PASSWORD.encode() not in raw


def test_what_would_energise_is_not_begun_where_no_trace_can_be_kept(house: House) -> None:
    (house.data / FILE).unlink(missing_ok=True)
    (house.data / FILE).mkdir()
    answer = ask(house.as_(Role.OPERATOR), "POST", "/runs")
    assert (answer.status_code, answer.json()["code"]) == (503, "audit")
    assert house.desk.asked == []
    assert house.as_(Role.VIEWER).post("abort").status_code == 200  # a stop does not wait for a disk


def test_a_broken_trail_is_shown_as_that(house: House) -> None:
    for number in range(3):
        house.as_(Role.OPERATOR).post("notes", json={"text": f"note {number}"})
    path = house.data / FILE
    lines = path.read_bytes().split(b"\n")[:-1]
    for last in (b"{}", lines[-1].replace(b'"done"', b"7"), b"[]", lines[-1][:-1]):
        path.write_bytes(b"".join(line + b"\n" for line in [*lines[:-1], last]))
        found: httpx.Response = house.as_(Role.ENGINEER).get("audit")
        assert found.status_code == 200, found.text
        assert found.json()["broken"] == 2
        assert found.json()["count"] == 2
    assert house.as_(Role.OPERATOR).post("notes", json={"text": "goes on"}).status_code == 201
    assert house.as_(Role.ENGINEER).get("audit").json()["broken"] is not None

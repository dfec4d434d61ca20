"""A start is carried out once, as it was approved, and a destructive one by two different persons."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from bench.web.keys import REMEMBERED, Keys
from bench.web.problems import Problem
from bench.web.roles import Caller, Role
from tests.page.paper_desk import HASH, NAIL, PLAIN
from tests.page.served import PASSWORD
from tests.web.conftest import House

pytestmark = pytest.mark.scenario

KEY = "5f0c1e1a-0001"


def start(
    client: httpx.Client, sequence: str = PLAIN, *, key: str = KEY, channel: str = "ch2", **fields: Any
) -> httpx.Response:
    request = {"sequence": sequence, "channel": channel, "cell": "nmc-21700", "sample": "L-1"}
    body = {"request": request, "plan_hash": HASH, **fields}
    return client.post("runs", json=body, headers={"idempotency-key": key})


def nail(client: httpx.Client, second: str | None = "wang", *, key: str = KEY, **fields: Any) -> httpx.Response:
    other = None if second is None else {"name": second, "password": PASSWORD}
    return start(client, NAIL, key=key, **{"password": PASSWORD, "second": other, **fields})


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def starts(house: House) -> int:
    return sum(act[0] == "start" for act in house.desk.asked)


# Once


def test_the_same_key_starts_once(house: House) -> None:
    client = house.as_(Role.OPERATOR)
    first, again = start(client), start(client)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["run_id"] == again.json()["run_id"]
    assert starts(house) == 1
    assert start(client, key="another-key").json()["run_id"] != first.json()["run_id"]
    assert starts(house) == 2


def test_the_same_key_sent_many_times_at_once_starts_once(house: House) -> None:
    clients = [house.as_(Role.OPERATOR) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(start, clients))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["run_id"] for answer in answers}) == 1
    assert starts(house) == 1


def test_a_key_stands_for_one_body_and_one_person(house: House) -> None:
    client = house.as_(Role.OPERATOR)
    assert start(client).status_code == 201
    refused(start(client, channel="ch3"), 409, "key-reused")
    refused(start(house.as_(Role.ENGINEER)), 409, "key-reused")
    assert starts(house) == 1


def test_a_start_without_a_key_is_none(house: House) -> None:
    request = {"sequence": PLAIN, "channel": "ch2", "cell": "nmc-21700"}
    answer = house.as_(Role.OPERATOR).post("runs", json={"request": request, "plan_hash": HASH})
    refused(answer, 422, "invalid")
    assert starts(house) == 0


def test_a_start_that_was_refused_leaves_its_key_free(house: House) -> None:
    client = house.as_(Role.OPERATOR)
    refused(nail(client, None), 403, "second-person")
    assert nail(client).status_code == 201
    assert starts(house) == 1


def test_a_note_with_a_key_is_written_down_once(house: House) -> None:
    client = house.as_(Role.OPERATOR)
    headers = {"idempotency-key": KEY}
    answers = [client.post("notes", json={"text": "the fan hums"}, headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert len({answer.text for answer in answers}) == 1
    refused(client.post("notes", json={"text": "another"}, headers=headers), 409, "key-reused")
    refused(start(client), 409, "key-reused")  # nor for another act
    for _ in range(2):
        assert client.post("notes", json={"text": "without one"}).status_code == 201
    texts = [note["text"] for note in house.as_(Role.VIEWER).get("notes").json()]
    assert texts == ["without one", "without one", "the fan hums"]
    assert [note["text"] for note in house.as_(Role.VIEWER).get("notes", params={"limit": 1}).json()] == ["without one"]
    assert [record["new"]["text"] for record in house.audited("note.add")] == texts[::-1]


@pytest.mark.parametrize("text", ["", "  \n ", "x" * 2001, None, 5])
def test_a_note_says_something_and_not_too_much(house: House, text: object) -> None:
    refused(house.as_(Role.OPERATOR).post("notes", json={"text": text}), 422, "invalid")
    assert house.desk.asked == []


def test_keys_are_forgotten_in_the_end() -> None:
    keys = Keys()
    caller = Caller("lin", Role.OPERATOR, "session")
    for number in range(REMEMBERED + 1):
        with keys.once(f"key {number}", caller, "note.add", number):
            pass
    with keys.once("key 0", caller, "note.add", "another"):
        pass
    with pytest.raises(Problem) as refusal, keys.once(f"key {REMEMBERED}", caller, "note.add", "another"):
        pass
    assert refusal.value.code == "key-reused"


# As it was approved


def test_what_was_not_approved_is_not_started(house: House) -> None:
    client = house.as_(Role.OPERATOR)
    refused(start(client, plan_hash="cd" * 32), 409, "plan-changed")
    refused(start(client, plan_hash="not a hash"), 422, "invalid")
    refused(nail(client, plan_hash="cd" * 32), 409, "plan-changed")
    assert starts(house) == 0
    assert [record["outcome"] for record in house.audited("run.start")] == ["asked", "plan-changed"] * 2


def test_what_is_approved_is_what_the_check_gave(house: House) -> None:
    client = house.as_(Role.OPERATOR)
    request = {"sequence": PLAIN, "channel": "ch2", "cell": "nmc-21700", "sample": "L-1"}
    shown = client.post("check", json=request).json()
    assert start(client, plan_hash=shown["plan_hash"]).status_code == 201


# Two persons


def test_two_persons_start_what_destroys(house: House) -> None:
    assert nail(house.as_(Role.OPERATOR)).status_code == 201
    assert house.desk.asked == [("start", "r-0002", "lin")]
    record = house.audited("run.start")[-1]
    assert (record["who"], record["why"], record["outcome"]) == ("lin", "with wang", "done")
    signed, second = record["signature"], record["signature"]["second"]
    assert (signed["name"], second["name"]) == ("lin", "wang")
    assert signed["sha256"] == second["sha256"]
    assert signed["meaning"] == second["meaning"] == "start"


@pytest.mark.parametrize("second", [None, "lin", "LIN", " Lin "])
def test_one_person_is_not_two(house: House, second: str | None) -> None:
    refused(nail(house.as_(Role.OPERATOR), second), 403, "second-person")
    assert starts(house) == 0


@pytest.mark.parametrize("second", ["gast", "nobody", ""])
def test_the_other_is_somebody_who_may_start(house: House, second: str) -> None:
    answer = nail(house.as_(Role.OPERATOR), second)
    refused(answer, 403, "second-person" if second == "gast" else "not-signed")
    assert starts(house) == 0


def test_who_is_disabled_is_no_second_person(house: House) -> None:
    assert house.as_(Role.ADMIN).patch("users/wang", json={"disabled": True}).status_code == 200
    refused(nail(house.as_(Role.OPERATOR)), 403, "not-signed")
    assert starts(house) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "wrong"},
        {"password": ""},
        {"password": None},
        {"second": {"name": "wang", "password": "wrong"}},
        {"second": {"name": "wang", "password": ""}},
    ],
    ids=str,
)
def test_both_passwords_are_right(house: House, wrong: dict[str, Any]) -> None:
    both = {"password": PASSWORD, "second": {"name": "wang", "password": PASSWORD}, **wrong}
    refused(start(house.as_(Role.OPERATOR), NAIL, **both), 403, "not-signed")
    assert starts(house) == 0


def test_the_second_person_s_password_is_no_way_to_guess_it(house: House) -> None:
    client = house.as_(Role.OPERATOR)
    wrong = {"name": "wang", "password": "wrong"}
    codes = [start(client, NAIL, password=PASSWORD, second=wrong).json()["code"] for _ in range(13)]
    assert codes == ["not-signed"] * 10 + ["too-many-attempts"] * 3
    assert starts(house) == 0


def test_a_start_that_harms_nothing_needs_no_signature_but_takes_one(house: House) -> None:
    client = house.as_(Role.OPERATOR)
    refused(start(client, password="wrong"), 403, "not-signed")
    assert start(client, password=PASSWORD).status_code == 201
    assert house.audited("run.start")[-1]["signature"]["name"] == "lin"

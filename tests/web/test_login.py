"""Log-ins: guesses are slowed and tell nothing, what is kept is of no use to a thief, and an end is an end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

import httpx
import pytest
from argon2 import PasswordHasher

from bench.web.accounts import Accounts
from bench.web.app import application
from bench.web.attempts import Attempts
from bench.web.callers import COOKIE
from bench.web.office import Office
from bench.web.passwords import MOST_WAITING, Passwords, TooManyWaiting
from bench.web.problems import Problem
from bench.web.roles import Role
from bench.web.settings import WebSettings
from tests.page.served import PASSWORD, PEOPLE, cheap_passwords, keep_people
from tests.web.conftest import HOUR_S, House, house_of
from tests.web.strict_desk import RUN, StrictDesk

pytestmark = pytest.mark.scenario

BURST = 10
NEW = "another right horse"


def log_in(client: httpx.Client, name: str, password: str = PASSWORD, **fields: object) -> httpx.Response:
    return client.post("login", json={"name": name, "password": password, **fields})


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


# Guessing


def test_a_flood_of_guesses_is_slowed_and_touches_nobody_who_is_in(house: House) -> None:
    inside, console = house.as_(Role.VIEWER), house.client(house.console)
    outside = house.client()
    for _ in range(BURST):
        refused(log_in(outside, "root", "wrong"), 401, "wrong-password")
    for _ in range(5 * BURST):
        answer = log_in(outside, "root", "wrong")
        refused(answer, 429, "too-many-attempts")
        assert int(answer.headers["retry-after"]) >= 1
    refused(log_in(outside, "root"), 429, "too-many-attempts")  # the right one is not looked at either
    assert inside.get("me").status_code == 200
    assert inside.post(f"runs/{RUN}/stop").status_code == 200
    assert console.post("abort").status_code == 200
    # who is in may still sign
    assert house.as_(Role.SAFETY).post("ack", json={"note": "seen", "password": PASSWORD}).status_code == 200


def test_guesses_of_one_name_from_many_places_are_slowed() -> None:
    """An account's own bucket: one more every 6 s, whatever address asks."""
    now = [0.0]
    attempts = Attempts(lambda: now[0], burst=BURST, every_s=6.0)
    for number in range(BURST):
        attempts.take(f"from 10.0.0.{number}", "as root")
    with pytest.raises(Problem) as refusal:
        attempts.take("from 10.0.0.99", "as root")
    assert refusal.value.after_s == pytest.approx(6.0)
    attempts.take("from 10.0.0.99", "as lin")  # another name is not touched
    now[0] = 6.0
    attempts.take("from 10.0.0.99", "as root")
    with pytest.raises(Problem):
        attempts.take("from 10.0.0.99", "as root")
    now[0] = 3600.0  # after an hour of quiet there are ten again and not more
    for _ in range(BURST):
        attempts.take("as root")
    with pytest.raises(Problem):
        attempts.take("as root")


def test_guesses_of_many_names_from_one_place_are_slowed(house: House) -> None:
    outside = house.client()
    answers = [log_in(outside, f"guess {number}", "wrong").status_code for number in range(BURST + 5)]
    assert answers == [401] * BURST + [429] * 5


def test_what_was_right_costs_no_attempt(house: House) -> None:
    outside = house.client()
    assert [log_in(outside, "lin").status_code for _ in range(3 * BURST)] == [200] * 3 * BURST


def test_guesses_at_a_signature_are_slowed_and_stop_is_not(house: House) -> None:
    client = house.as_(Role.SAFETY)
    answers = [client.post("ack", json={"note": "seen", "password": "wrong"}) for _ in range(BURST + 3)]
    assert [answer.json()["code"] for answer in answers] == ["not-signed"] * BURST + ["too-many-attempts"] * 3
    assert client.post("abort").status_code == 200
    assert not any(act[0] == "unlatch" for act in house.desk.asked)


class Counting(PasswordHasher):
    """Counts what it is asked."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified: list[str] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 # as its base
        self.verified.append(str(hash))
        return super().verify(hash, password)


def test_whether_there_is_such_a_user_costs_the_same_work() -> None:
    """One hash of the same parameters is computed for a user, for nobody, and for who is disabled (kept as None)."""
    hasher = Counting()
    passwords = Passwords(hasher)
    kept = passwords.hash(PASSWORD)
    assert [passwords.matches(kept, "wrong"), passwords.matches(None, "wrong"), passwords.matches(None, "nobody")] == [
        False,
        False,
        False,
    ]
    assert passwords.matches(kept, PASSWORD)
    assert len(hasher.verified) == 4
    parameters = {each.rpartition("$")[0].rpartition("$")[0] for each in hasher.verified}
    assert len(parameters) == 1, parameters
    passwords.close()


def test_the_same_is_said_of_nobody_of_a_user_and_of_who_is_disabled(house: House) -> None:
    with closing(Accounts(house.data)) as accounts:
        accounts.change("wang", disabled=True)
    client = house.client()
    answers = [log_in(client, name, "wrong") for name in ("nobody at all", "lin", "wang", "")]
    answers += [log_in(client, "wang")]
    assert {(answer.status_code, answer.text) for answer in answers} == {(401, answers[0].text)}


async def test_guesses_wait_for_one_thread_and_not_without_end() -> None:
    passwords = cheap_passwords()
    kept = passwords.hash(PASSWORD)
    guesses = await asyncio.gather(
        *(passwords.matches_aside(kept, "wrong") for _ in range(5 * MOST_WAITING)), return_exceptions=True
    )
    assert guesses.count(False) == MOST_WAITING
    assert sum(isinstance(each, TooManyWaiting) for each in guesses) == 4 * MOST_WAITING
    assert await passwords.matches_aside(kept, PASSWORD)
    passwords.close()


# Sessions


def test_the_cookie_is_for_the_page_alone(house: House) -> None:
    answer = log_in(house.client(), "lin")
    set_cookie = answer.headers["set-cookie"]
    name, *flags = [part.strip() for part in set_cookie.split(";")]
    assert name.startswith(f"{COOKIE}=cbs_")
    assert {flag.lower() for flag in flags} == {"httponly", "samesite=strict", "path=/", f"max-age={12 * 3600}"}
    assert answer.json()["token"] is None
    secret = name.partition("=")[2]
    page = house.client(cookie=secret)
    assert page.get("me").json() == {"name": "lin", "role": "operator", "how": "session"}
    assert page.post("notes", json={"text": "x"}).status_code == 403
    assert page.post("notes", json={"text": "x"}, headers={"x-cellbench": "1"}).status_code == 201


def test_a_program_s_session_is_a_bearer(house: House) -> None:
    answer = log_in(house.client(), "lin", cookie=False)
    assert "set-cookie" not in answer.headers
    assert house.client(answer.json()["token"]).get("me").json()["name"] == "lin"


def test_after_the_log_out_nobody_is_there(house: House) -> None:
    secret = log_in(house.client(), "lin", cookie=False).json()["token"]
    out = house.client(cookie=secret).post("logout", headers={"x-cellbench": "1"})
    assert out.status_code == 204
    assert 'cellbench_session=""' in out.headers["set-cookie"]
    refused(house.client(secret).get("me"), 401, "anonymous")
    refused(house.client(secret).post("abort"), 401, "anonymous")
    assert [record["who"] for record in house.audited("session.end")] == ["lin"]


def test_a_session_ends_after_its_time(tmp_path: Path) -> None:
    with house_of(tmp_path, WebSettings(port=0, session_s=1e-3)) as house:
        secret = log_in(house.client(), "lin", cookie=False).json()["token"]
        refused(house.client(secret).get("me"), 401, "expired")


def test_a_new_password_ends_every_session_and_token(house: House) -> None:
    one, other = house.as_(Role.OPERATOR), house.as_(Role.OPERATOR)
    token = one.post("tokens", json={"label": "mes", "password": PASSWORD}).json()["token"]
    refused(one.post("me/password", json={"old": "wrong", "new": NEW}), 403, "not-signed")
    refused(one.post("me/password", json={"old": PASSWORD, "new": "short"}), 422, "config")
    assert one.post("me/password", json={"old": PASSWORD, "new": NEW}).status_code == 204
    for client in (one, other, house.client(token)):
        refused(client.get("me"), 401, "anonymous")
    refused(log_in(house.client(), "lin"), 401, "wrong-password")
    assert log_in(house.client(), "lin", NEW).status_code == 200


@pytest.mark.parametrize("change", [{"password": NEW}, {"role": "viewer"}, {"disabled": True}])
def test_what_an_admin_changes_ends_every_session(house: House, change: dict[str, object]) -> None:
    client = house.as_(Role.OPERATOR)
    assert house.as_(Role.ADMIN).patch("users/lin", json=change).status_code == 200
    refused(client.get("me"), 401, "anonymous")


def test_the_last_admin_stays(house: House) -> None:
    client = house.as_(Role.ADMIN)
    for change in ({"disabled": True}, {"role": "safety"}):
        refused(client.patch("users/root", json=change), 422, "config")
    assert client.get("me").status_code == 200


def test_a_token_may_be_taken_back_by_its_owner_and_an_admin_alone(house: House) -> None:
    made = house.as_(Role.OPERATOR).post("tokens", json={"label": "mes", "password": PASSWORD}).json()
    refused(house.as_(Role.ENGINEER).delete(f"tokens/{made['id']}"), 404, "unknown")
    assert house.as_(Role.ENGINEER).get("tokens").json() == []
    assert house.as_(Role.OPERATOR).get("tokens").json()[0]["token"] is None  # it is told once
    assert house.as_(Role.ADMIN).delete(f"tokens/{made['id']}").status_code == 204
    refused(house.client(made["token"]).get("me"), 401, "anonymous")


def test_no_token_has_more_than_its_maker(house: House) -> None:
    asked = {"label": "mes", "role": "admin", "password": PASSWORD}
    refused(house.as_(Role.OPERATOR).post("tokens", json=asked), 403, "forbidden")


def test_a_thief_of_the_store_finds_nothing_to_log_in_with(house: House) -> None:
    secrets = [log_in(house.client(), "lin", cookie=False).json()["token"], house.console, PASSWORD]
    secrets.append(house.client(secrets[0]).post("tokens", json={"label": "m", "password": PASSWORD}).json()["token"])
    stored = b"".join(path.read_bytes() for path in sorted(house.data.glob("users.sqlite*")))
    trail = (house.data / "audit.jsonl").read_bytes()
    assert b"$argon2id$" in stored
    for secret in secrets:
        assert secret.encode() not in stored
        assert secret.encode() not in trail
        assert secret.partition("_")[2].encode() not in stored or "_" not in secret


def test_no_secret_is_in_the_log(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Not even where a route fails, whose frames hold them."""
    canary = "canary-in-a-coal-mine"

    def broken(**_: object) -> None:
        raise RuntimeError("broken on purpose")

    house.desk.unlatch = broken  # type: ignore[method-assign, assignment]
    secret = house.secret(Role.SAFETY)
    log_in(house.client(), "lin", canary)
    with closing(Accounts(house.data)) as accounts:
        accounts.change("shen", password_hash=cheap_passwords().hash(canary))
    secret = house.secret(Role.SAFETY)
    answer = house.client(secret).post("ack", json={"note": "x", "password": canary})
    refused(answer, 500, "internal")
    assert "broken on purpose" not in answer.text
    said = capsys.readouterr()
    assert "broken on purpose" in said.out + said.err
    for hidden in (canary, secret, house.console):
        assert hidden not in said.out + said.err


# Left alone


class Clock:
    def __init__(self) -> None:
        self.utc_s = 1.8e9

    def __call__(self) -> float:
        return self.utc_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def office(tmp_path: Path, clock: Clock) -> Iterator[Office]:
    """On a clock of the test's own; an operator's session begins with it."""
    keep_people(tmp_path)
    passwords = cheap_passwords()
    made = Office.opened(StrictDesk(data=tmp_path), tmp_path, WebSettings(), passwords, clock, console="cbc_here")
    yield made
    asyncio.run(made.close())


async def ask(office: Office, secret: str, method: str, place: str, **fields: object) -> tuple[int, str]:
    transport = httpx.ASGITransport(application(office))
    headers = {"authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost/api/v1/", headers=headers) as client:
        answer = await client.request(method, place, json=fields or None)
    said = answer.json() if answer.content else {}
    return answer.status_code, str(said.get("code", "")) if isinstance(said, dict) else ""


def begin(office: Office, clock: Clock, kind: str = "session", name: str = "lin") -> str:
    secret, _ = office.accounts.give(
        "token" if kind == "token" else "session", name, label="", role=None, utc_s=clock.utc_s, lasts_s=12 * HOUR_S
    )
    return secret


def test_a_session_left_alone_looks_and_stops_and_no_more(office: Office, clock: Clock) -> None:
    """Half an hour without a change. The page itself goes on asking, which is no use of it."""

    async def all_of_it() -> None:
        secret = begin(office, clock)
        for _ in range(6):
            clock.utc_s += 290.0
            assert await ask(office, secret, "GET", "prompts") == (200, "")
        assert await ask(office, secret, "POST", "notes", text="within half an hour") == (201, "")
        for _ in range(4):  # each change begins it anew
            clock.utc_s += 1799.0
            assert await ask(office, secret, "POST", f"runs/{RUN}/pause") == (200, "")
        clock.utc_s += 1800.0
        assert await ask(office, secret, "POST", f"runs/{RUN}/resume") == (401, "expired")
        assert await ask(office, secret, "POST", "notes", text="x") == (401, "expired")
        answered = await ask(office, secret, "POST", "prompts/p1/answer", yes=True, password=PASSWORD)
        assert answered == (401, "expired")
        assert await ask(office, secret, "GET", "prompts") == (200, "")
        assert await ask(office, secret, "POST", f"runs/{RUN}/stop") == (200, "")
        assert await ask(office, secret, "POST", "abort") == (200, "")
        assert await ask(office, secret, "POST", f"runs/{RUN}/resume") == (401, "expired")  # a stop wakes it not
        assert await ask(office, secret, "POST", "logout") == (204, "")
        assert await ask(office, secret, "POST", "abort") == (401, "anonymous")

    asyncio.run(all_of_it())


def test_a_session_in_use_ends_with_its_day(office: Office, clock: Clock) -> None:
    async def all_of_it() -> None:
        secret = begin(office, clock)
        for _ in range(24):
            assert await ask(office, secret, "POST", f"runs/{RUN}/pause") == (200, "")
            clock.utc_s += 1799.0
        assert await ask(office, secret, "POST", f"runs/{RUN}/pause") == (200, "")  # 24 s before 12 h
        clock.utc_s += 24.0
        assert await ask(office, secret, "POST", f"runs/{RUN}/pause") == (401, "expired")
        assert await ask(office, secret, "GET", "prompts") == (401, "expired")

    asyncio.run(all_of_it())


def test_a_program_s_token_is_not_left_alone(office: Office, clock: Clock) -> None:
    async def all_of_it() -> None:
        secret = begin(office, clock, "token")
        clock.utc_s += 11 * HOUR_S
        assert await ask(office, secret, "POST", "notes", text="x") == (201, "")

    asyncio.run(all_of_it())


def test_a_daemon_that_begins_anew_trusts_no_old_session(house: House) -> None:
    """It knows only when it was given, and a session of an hour ago looks and stops."""
    client = house.client(house.secret(Role.OPERATOR, since_s=HOUR_S))
    refused(client.post("notes", json={"text": "x"}), 401, "expired")
    assert client.get("me").status_code == 200


def test_the_people_of_these_tests_are_of_each_role() -> None:
    assert set(PEOPLE.values()) == set(Role)

"""Every route that may change something, as the router lists them: whom it refuses, and that nobody is refused a stop.

A route without a role, or one of which nobody said here how it is asked, fails these tests.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import httpx
import pytest

from bench.daemon.views import StartRequest
from bench.web.accounts import Accounts
from bench.web.app import OPEN, ROOT, api_routes, changing, role_of, routed
from bench.web.gate import SAFE_METHODS
from bench.web.roles import Role
from tests.page.paper_desk import HASH, PLAIN
from tests.page.served import PASSWORD
from tests.web.conftest import House
from tests.web.strict_desk import ALARM, PROMPT, RUN

KEY = {"idempotency-key": "12345678"}
START = {"sequence": PLAIN, "channel": "ch2", "cell": "nmc-21700"}
SIGNED = {"note": "seen", "password": PASSWORD}
#: How each of them is asked so that it would be done.
GOOD: dict[tuple[str, str], Any] = {
    ("POST", "/check"): START,
    ("POST", "/runs"): {"request": START, "plan_hash": HASH},
    ("POST", "/runs/{run_id}/stop"): None,
    ("POST", "/abort"): None,
    ("POST", "/runs/{run_id}/pause"): None,
    ("POST", "/runs/{run_id}/resume"): None,
    ("POST", "/runs/{run_id}/close"): SIGNED,
    ("POST", "/prompts/{prompt_id}/answer"): {"yes": True, "password": PASSWORD},
    ("POST", "/runs/{run_id}/judgements"): {"question": "fire", "answer": True, "password": PASSWORD},
    ("POST", "/alarms/{alarm_id}/acknowledge"): None,
    ("POST", "/alarms/{alarm_id}/shelve"): {"for_s": 60.0, "why": "known"},
    ("POST", "/ack"): SIGNED,
    ("POST", "/notes"): {"text": "the chamber hums"},
    ("POST", "/logout"): None,
    ("POST", "/me/password"): {"old": PASSWORD, "new": "another right horse"},
    ("POST", "/users"): {"name": "zhao", "role": "viewer", "password": "another right horse"},
    ("PATCH", "/users/{name}"): {"disabled": True},
    ("POST", "/tokens"): {"label": "mes", "password": PASSWORD},
    ("DELETE", "/tokens/{token_id}"): None,
}
PLACES = {"run_id": RUN, "prompt_id": PROMPT, "alarm_id": ALARM, "name": "gast", "token_id": "none"}
STOPS = {("POST", "/abort"), ("POST", "/runs/{run_id}/stop")}
CHANGING = [(method, path.removeprefix(ROOT), role) for method, path, role in changing(routed()) if path not in OPEN]
each_route = pytest.mark.parametrize(("method", "path", "role"), CHANGING, ids=[f"{m} {p}" for m, p, _ in CHANGING])


def ask(client: httpx.Client, method: str, path: str, **headers: str) -> httpx.Response:
    body = GOOD[method, path]
    place = path.lstrip("/").format(**PLACES)
    return client.request(method, place, json=body, headers={**KEY, **headers})


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_every_changing_route_names_a_role_and_is_asked_here() -> None:
    assert [(method, path) for method, path, role in CHANGING if role is None] == []
    assert {(method, path) for method, path, _ in CHANGING} == set(GOOD)


def test_a_new_route_without_a_role_would_be_found() -> None:
    app = routed()

    @app.post(f"{ROOT}/oven")
    async def oven() -> None: ...

    assert [found for found in changing(app) if found[2] is None and found[1] not in OPEN] == [
        ("POST", f"{ROOT}/oven", None)
    ]


def test_nothing_but_the_log_in_is_open() -> None:
    open_paths = {
        (method, route.path_format)
        for route in api_routes(routed())
        if role_of(route) is None
        for method in route.methods or ()
    }
    assert open_paths == {("POST", f"{ROOT}/login"), ("GET", "/healthz"), ("GET", "/metrics"), ("GET", "/")}


def test_every_route_with_a_role_asks_for_no_less_than_is_agreed() -> None:
    """Those that change something for others; the rest is one's own, or a stop."""
    by_role = {(method, path): role for method, path, role in CHANGING}
    viewers = {(method, path) for (method, path), role in by_role.items() if role is Role.VIEWER}
    own = {("POST", "/logout"), ("POST", "/me/password"), ("POST", "/tokens"), ("DELETE", "/tokens/{token_id}")}
    assert viewers == STOPS | own
    assert by_role["POST", "/ack"] is Role.SAFETY
    assert by_role["POST", "/users"] is Role.ADMIN
    assert by_role["PATCH", "/users/{name}"] is Role.ADMIN


@each_route
def test_nobody_is_refused(one_house: House, method: str, path: str, role: Role) -> None:
    refused(ask(one_house.client(), method, path), 401, "anonymous")
    refused(ask(one_house.client("cbs_" + "x" * 43), method, path), 401, "anonymous")
    assert one_house.desk.asked == []


@each_route
def test_a_page_of_another_origin_is_refused(one_house: House, method: str, path: str, role: Role) -> None:
    client = one_house.as_(Role.ADMIN)
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": f"http://127.0.0.1:{one_house.port + 1}"},
        {"origin": f"https://127.0.0.1:{one_house.port}"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        refused(ask(client, method, path, **headers), 403, "foreign-origin")
    assert one_house.desk.asked == []


@each_route
def test_a_cookie_without_the_page_s_header_is_refused(one_house: House, method: str, path: str, role: Role) -> None:
    refused(ask(one_house.client(cookie=one_house.secret(Role.ADMIN)), method, path), 403, "foreign-origin")
    assert one_house.desk.asked == []


@each_route
def test_a_name_that_is_not_the_bench_s_is_refused(one_house: House, method: str, path: str, role: Role) -> None:
    client = one_house.as_(Role.ADMIN)
    for host in ("evil.example", f"evil.example:{one_house.port}", "127.0.0.1.evil.example", "localhost.", "[::2]:80"):
        refused(ask(client, method, path, host=host), 403, "foreign-host")
    assert one_house.desk.asked == []


@each_route
def test_a_session_that_has_ended_is_refused(one_house: House, method: str, path: str, role: Role) -> None:
    refused(ask(one_house.client(one_house.secret(Role.ADMIN, lasts_s=-1.0)), method, path), 401, "expired")
    assert one_house.desk.asked == []


@each_route
def test_who_is_disabled_is_refused(one_house: House, method: str, path: str, role: Role) -> None:
    with closing(Accounts(one_house.data)) as accounts:
        name = accounts.add(f"admin {len(accounts.users())}", Role.ADMIN, "no hash", 0.0).name
        secret = one_house.secret(name)
        # an admin's change ends the session too; this is what the row alone does
        accounts._db.execute("UPDATE users SET disabled = 1 WHERE key = ?", (name,))
        refused(ask(one_house.client(secret), method, path), 401, "expired")
        accounts.change(name, disabled=True)
    refused(ask(one_house.client(secret), method, path), 401, "anonymous")
    assert one_house.desk.asked == []


@each_route
def test_every_lesser_role_is_refused(one_house: House, method: str, path: str, role: Role) -> None:
    for lesser in Role:
        if not lesser.holds(role):
            refused(ask(one_house.as_(lesser), method, path), 403, "forbidden")
    if role is not Role.VIEWER:
        refused(ask(one_house.client(one_house.console), method, path), 403, "forbidden")
    assert one_house.desk.asked == []


@each_route
def test_the_role_itself_is_let_in(house: House, method: str, path: str, role: Role) -> None:
    """Or the tests above would refuse for another reason than they say."""
    answer = ask(house.as_(role), method, path)
    assert answer.status_code in (200, 201, 204) or (path, answer.status_code) == ("/tokens/{token_id}", 404), (
        answer.text
    )


@each_route
def test_a_token_of_a_lesser_role_may_no_more_than_that(one_house: House, method: str, path: str, role: Role) -> None:
    """Of an admin's own token that was made for a viewer."""
    asked = {"label": "wall", "role": "viewer", "password": PASSWORD}
    token = one_house.as_(Role.ADMIN).post("tokens", json=asked).json()["token"]
    if role is Role.VIEWER:
        assert one_house.client(token).get("me").json()["role"] == "viewer"
    else:
        refused(ask(one_house.client(token), method, path), 403, "forbidden")
    assert one_house.desk.asked == []


def _callers(house: House) -> dict[str, Callable[[], httpx.Client]]:
    found: dict[str, Callable[[], httpx.Client]] = {role.value: lambda role=role: house.as_(role) for role in Role}  # type: ignore[misc]
    idle_s = 8 * 3600.0
    found["left alone"] = lambda: house.client(house.secret(Role.VIEWER, since_s=idle_s))
    found["console"] = lambda: house.client(house.console)
    return found


@pytest.mark.parametrize("who", [*(role.value for role in Role), "left alone", "console"])
def test_everyone_who_is_known_may_stop(house: House, who: str) -> None:
    client = _callers(house)[who]()
    assert ask(client, "POST", "/runs/{run_id}/stop").status_code == 200
    house.desk.begin(StartRequest(**START), key="another", by="lin")
    answer = ask(client, "POST", "/abort")
    assert [run["run_id"] for run in answer.json()] == ["r-0002"]
    assert [act for act, *_ in house.desk.asked] == ["stop", "start", "abort", "stop"]


def test_a_stop_is_carried_out_whatever_is_sent_with_it(house: House) -> None:
    client = house.as_(Role.VIEWER)
    for content, kind in ((b"{", "application/json"), (b"x" * 100, "text/plain"), (b"\0" * (2 << 20), "image/png")):
        answer = client.post("abort", content=content, headers={"content-type": kind})
        assert answer.status_code == 200, answer.text


def test_nothing_changes_by_looking(house: House) -> None:
    """Every route that is asked by GET, by an admin; the stream of events, which has no end, but for its beginning."""
    client = house.as_(Role.ADMIN)
    house.desk.finish(RUN)
    before = house.desk.now()
    lines = (house.data / "audit.jsonl").read_bytes() if (house.data / "audit.jsonl").exists() else b""
    asked = 0
    for route in api_routes(routed()):
        if "GET" in (route.methods or ()):
            assert set(route.methods or ()) <= SAFE_METHODS
            place = str(route.path_format).format(**{**PLACES, "name": "report.html"})
            params = {"channel": "ch1"} if str(route.path_format).endswith("/readings") else None
            with client.stream("GET", house.link.rstrip("/") + place, params=params) as answer:
                assert answer.status_code < 500 or str(place).endswith("/report"), place
            asked += 1
    assert asked > 20
    assert house.desk.asked == []
    assert house.desk.now() == before
    assert ((house.data / "audit.jsonl").read_bytes() if lines else b"") == lines
    assert {method for method, _, _ in changing(routed())} <= {"POST", "PATCH", "DELETE"}

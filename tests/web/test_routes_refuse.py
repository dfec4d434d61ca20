"""Every route that may change something, as the router lists them: whom it refuses, and that a stop is for all."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import httpx
import pytest

from bench.daemon.views import StartRequest
from bench.web.accounts import Accounts
from bench.web.app import api_routes, changing, routed
from bench.web.gate import SAFE_METHODS
from bench.web.roles import Role
from tests.page.served import PASSWORD
from tests.web.conftest import House
from tests.web.good_requests import CHANGING, PLACES, START, ask
from tests.web.strict_desk import RUN

pytestmark = pytest.mark.scenario

each_route = pytest.mark.parametrize(("method", "path", "role"), CHANGING, ids=[f"{m} {p}" for m, p, _ in CHANGING])


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


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

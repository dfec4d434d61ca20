"""The router by itself: a route without a role, or one of which nobody said how it is asked, fails these tests."""

from __future__ import annotations

from bench.web.app import OPEN, ROOT, api_routes, changing, role_of, routed
from bench.web.roles import Role
from tests.web.good_requests import CHANGING, GOOD, STOPS


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

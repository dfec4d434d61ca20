"""Frames, lines and headers that no client would send: refused, and the next one is answered as before."""

from __future__ import annotations

import pytest

from tests.web.conftest import House
from tests.web.frames import raw

pytestmark = pytest.mark.scenario


@pytest.mark.parametrize(
    ("line", "headers"),
    [
        ("GARBAGE", ()),
        ("GET /\x00 HTTP/1.1", ()),
        ("GET http://evil.example/api/v1/me HTTP/1.1", ()),
        ("GET " + "/a" * 20000 + " HTTP/1.1", ()),
        ("GET /api/v1/me HTTP/1.1", ("x: " + "y" * 60000,)),
        ("GET /api/v1/me HTTP/1.1", tuple(f"x{number}: {number}" for number in range(5000))),
        ("GET /api/v1/me HTTP/1.1", ("host: evil.example",)),
        ("GET /api/v1/me HTTP/1.1", ("bad header\x00: x",)),
        ("POST /api/v1/login HTTP/1.1", ("content-length: -1",)),
        ("POST /api/v1/login HTTP/1.1", ("content-length: 1", "content-length: 2")),
        ("POST /api/v1/login HTTP/1.1", ("content-length: " + "9" * 40,)),
        ("POST /api/v1/login HTTP/1.1", ("transfer-encoding: gzip, chunked",)),
        ("TRACE /api/v1/me HTTP/1.1", ()),
        ("CONNECT evil.example:443 HTTP/1.1", ()),
        ("PROPFIND /api/v1/me HTTP/1.1", ()),
    ],
    ids=lambda value: ascii(value)[:50],
)
def test_a_broken_frame_is_refused(one_house: House, line: str, headers: tuple[str, ...]) -> None:
    status, _, body = raw(one_house, line, *headers)
    assert status == 0 or 400 <= status < 500, (status, body[:200])
    assert raw(one_house, "GET /healthz HTTP/1.1")[0] == 200


@pytest.mark.parametrize(
    "authorization", ["Bearer", "Bearer  ", "Basic cm9vdDpyaWdodCBob3JzZQ==", "Bearer é", "x" * 9000]
)
def test_a_credential_of_another_kind_is_nobody_s(one_house: House, authorization: str) -> None:
    status, headers, _ = raw(one_house, "GET /api/v1/me HTTP/1.1", f"authorization: {authorization}")
    assert (status, headers["www-authenticate"]) == (401, 'Bearer realm="cellbench"')


def test_a_request_without_a_host_or_with_two_is_refused(one_house: House) -> None:
    assert raw(one_house, "GET /api/v1/me HTTP/1.1", host=False)[0] == 400
    assert raw(one_house, "GET /healthz HTTP/1.0", host=False)[0] == 403


def test_there_is_no_websocket(one_house: House) -> None:
    upgrade = ("upgrade: websocket", "sec-websocket-version: 13", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==")
    status, _, _ = raw(one_house, "GET /api/v1/events HTTP/1.1", *upgrade)
    assert status == 401

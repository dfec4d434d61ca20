"""What every request passes before a route sees it: whose page asks, by what name, and with what body.

A plain ASGI application around the whole one, so that nothing that is added later comes by another way. It also puts
the headers on every answer that keep a browser from doing more with it than show it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bench.web.json_bodies import BadJson, check_json
from bench.web.problems import Problem, answer
from bench.web.settings import LOOPBACK_NAMES, WebSettings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
API = "/api/"
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    b"content-security-policy": CONTENT_POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=(), serial=(self), usb=()",
}
_JSON = ("application/json",)


class Gate:
    """``own_port`` is asked at each request: a port of 0 is known only once it is bound."""

    def __init__(self, app: ASGIApp, settings: WebSettings) -> None:
        self._app = app
        self._settings = settings
        self._hosts = frozenset(_hosts(settings))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # there is none; a handshake is answered with a refusal
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        guarded = _with_headers(send, api=scope["path"].startswith(API), tls=self._settings.with_tls)
        try:
            self._check_names(scope)
            if scope["method"] in SAFE_METHODS:
                inner = receive
            elif is_stop(scope["path"]):
                inner = _replayed(b"", receive)  # a stop waits for nothing that was to come with it
            else:
                inner = await self._body(scope, receive)
        except Problem as problem:
            await answer(problem)(scope, receive, guarded)
            return
        await self._app(scope, inner, guarded)

    def _check_names(self, scope: Scope) -> None:
        hosts = _values(scope, b"host")
        if len(hosts) != 1 or _host_name(hosts[0]) not in self._hosts:
            fix = "call it by the address that it listens on, or name this one with --name at `cellbench serve`"
            raise Problem("foreign-host", "the bench is not called by that name", fix)
        if scope["method"] in SAFE_METHODS:
            return
        origins = _values(scope, b"origin")
        own = f"{scope['scheme']}://{hosts[0]}".lower()
        if any(origin.lower() != own and origin not in self._settings.origins for origin in origins):
            fix = "use the bench's own page; another one has to be named with --origin at `cellbench serve`"
            raise Problem("foreign-origin", "a page of another origin asked for a change", fix)
        if not origins and any(site not in ("same-origin", "none") for site in _values(scope, b"sec-fetch-site")):
            raise Problem("foreign-origin", "a page of another site asked for a change", "use the bench's own page")

    async def _body(self, scope: Scope, receive: Receive) -> Receive:
        """The whole body, read and found good, for the route to read again."""
        most = self._settings.body_bytes
        for length in _values(scope, b"content-length"):
            if length.isdecimal() and int(length[:20]) > most:
                raise Problem("too-large", f"the body may have {most} bytes", "send less at once")
        body = bytearray()
        try:
            async with asyncio.timeout(self._settings.body_s):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Problem("bad-request", "the body was cut off", "ask again")
                    body += message.get("body", b"")
                    if len(body) > most:
                        raise Problem("too-large", f"the body may have {most} bytes", "send less at once")
                    more = message.get("more_body", False)
        except TimeoutError:
            raise Problem("slow-body", f"the body did not come within {self._settings.body_s:g} s") from None
        if body:
            self._check_body(scope, bytes(body))
        return _replayed(bytes(body), receive)

    def _check_body(self, scope: Scope, body: bytes) -> None:
        kinds = [kind.partition(";")[0].strip().lower() for kind in _values(scope, b"content-type")]
        if kinds != list(_JSON):
            raise Problem(
                "not-json", "a body is taken as application/json alone", "send Content-Type: application/json"
            )
        if _values(scope, b"content-encoding"):
            raise Problem("not-json", "a body is taken as it is, not compressed", "send it without Content-Encoding")
        try:
            check_json(body, depth=self._settings.json_depth)
        except BadJson as bad:
            raise Problem("bad-json", str(bad), "send plain JSON") from None


def is_stop(path: str) -> bool:
    """Whether the path is that of a stop, which nothing but the caller's name may delay."""
    return path == "/api/v1/abort" or (path.startswith("/api/v1/runs/") and path.endswith("/stop"))


def _hosts(settings: WebSettings) -> Iterable[str]:
    if settings.on_loopback:
        yield from LOOPBACK_NAMES
    else:
        yield settings.host.lower()
    yield from (name.lower() for name in settings.names)


def _host_name(host: str) -> str:
    """Without its port."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdecimal() and not name.endswith(":") else host.lower()


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _replayed(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()  # a disconnect
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _with_headers(send: Send, *, api: bool, tls: bool) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            _add(message, api=api, tls=tls)
        await send(message)

    return guarded


def _add(message: MutableMapping[str, Any], *, api: bool, tls: bool) -> None:
    headers = list(message.get("headers", ()))
    there = {key.lower() for key, _ in headers}
    wanted = dict(_HEADERS)
    wanted[b"cache-control"] = b"no-store" if api else b"no-cache"
    if tls:
        wanted[b"strict-transport-security"] = b"max-age=31536000"
    headers += [(key, value) for key, value in wanted.items() if key not in there]
    message["headers"] = headers

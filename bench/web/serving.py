"""The server: on a socket that is bound before anything else, in a thread and a loop of its own."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog
import uvicorn

from bench.daemon.desk import Desk
from bench.daemon.serving import in_thread
from bench.web.accounts import Accounts
from bench.web.address import forget_address, keep_address
from bench.web.app import application
from bench.web.callers import console_token
from bench.web.lines import AT_ONCE, Bounds, Line, Listening
from bench.web.office import Office
from bench.web.passwords import Passwords
from bench.web.settings import WebSettings, check_reach
from drivers.errors import ConfigError, Fault

#: The far end of a connection that acknowledges nothing so long is gone (TCP_USER_TIMEOUT).
UNHEARD_MS = 20_000
_log = structlog.get_logger("cellbench.web")


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where a daemon is called: ``console`` is the local console's token, ``daemon`` the bench's process."""

    listening: Listening
    url: str
    console: str
    daemon: int


@contextmanager
def listened(data: Path, settings: WebSettings) -> Iterator[Entrance]:
    """The daemon's entrance, of which the data folder tells while inside.

    Raises ConfigError: the address cannot be used, or other machines could reach a bench without TLS and users;
    RecordError: the users or the console's token cannot be kept.
    """
    accounts = Accounts(data)
    try:
        check_reach(settings, sum(not user.disabled for user in accounts.users()))
    finally:
        accounts.close()
    listening = bound(settings)
    url = url_of(settings, listening)
    try:
        console = console_token(data)
        keep_address(data, url, settings.tls_certificate)
        _log.info("listening", url=url)
        yield Entrance(listening, url, console, os.getpid())
    finally:
        forget_address(data)
        listening.close()


@contextmanager
def answered(
    desk: Desk, data: Path, settings: WebSettings, entrance: Entrance, passwords: Passwords | None = None
) -> Iterator[None]:
    """Whoever calls is answered while inside, by a thread and a loop of their own. Raises RecordError."""
    office = Office.opened(desk, data, settings, passwords, console=entrance.console, daemon=entrance.daemon)
    with in_thread(partial(_serve, office, settings, entrance.listening), "web"):
        yield


def bound(settings: WebSettings) -> Listening:
    """Raises ConfigError."""
    host = settings.host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = Listening(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError, AttributeError):
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNHEARD_MS)
        listening.bind((host, settings.port))
        listening.listen()
        listening.settimeout(0.0)
    except OSError as error:
        listening.close()
        fix = "give another address or port with --listen, or end the program that has it"
        where = f"--listen {settings.host}:{settings.port}"
        raise ConfigError([Fault(f"it cannot be listened on: {error.strerror}", where, fix)]) from None
    return listening


def url_of(settings: WebSettings, listening: socket.socket) -> str:
    """As a browser is to call it."""
    host = settings.names[0] if settings.names else settings.host
    return f"{'https' if settings.with_tls else 'http'}://{host}:{listening.getsockname()[1]}/"


async def _serve(office: Office, settings: WebSettings, listening: Listening, stop: asyncio.Event) -> None:
    config = uvicorn.Config(
        application(office),
        http=Line,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=int(settings.head_s) + 1,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=16_384,
        backlog=AT_ONCE,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )
    server = uvicorn.Server(config)
    office.feed.begin()
    serving = asyncio.create_task(server.serve(sockets=[listening]), name="server")
    bounding = asyncio.create_task(Bounds(server.server_state, settings, listening).keep(), name="connections")
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        bounding.cancel()
        stopping.cancel()
        await office.feed.close()
        server.should_exit = True
        await serving
        await office.close()

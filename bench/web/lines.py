"""Connections that strangers may open: bounded in number, in how long they say nothing, in how long they linger."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from bench.web.settings import WebSettings

LOOK_S = 1.0
#: So many may wait to be let in; of those so many are let in at once.
BACKLOG, AT_ONCE = 1024, 64
#: What was closed may take so long to take its last bytes.
LINGER_S = 5.0


class Line(H11Protocol):
    """One connection; ``since_s`` is when it last began or ended something."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.since_s = self.loop.time()
        self.closing_since_s: float | None = None

    @property
    def idle(self) -> bool:
        """No request is under way: none has come whole, or the last one is answered."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def waits(self) -> bool:
        """It is the far end's turn: nothing is asked, or what is asked has not come whole."""
        return self.idle or bool(self.cycle and self.cycle.more_body)

    def on_response_complete(self) -> None:
        self.since_s = self.loop.time()
        super().on_response_complete()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as its base
        self.since_s = self.loop.time()
        super().connection_made(transport)


class Listening(socket.socket):
    """A listening socket that knows what came in by it and is still open. Of a far end that says nothing in its TLS
    handshake the server itself does not know."""

    def __init__(self, family: int = -1, *, fileno: int | None = None) -> None:
        """Of a family, or one that another process listens on and hands down."""
        super().__init__(family, socket.SOCK_STREAM if fileno is None else -1, fileno=fileno)
        #: When each came, by the order in which they came.
        self.open: dict[socket.socket, float] = {}
        #: Told of each new one, before the server is.
        self.came: Callable[[], None] = _nothing

    def listen(self, _: int = 0) -> None:  # a server that takes few at once still lets many wait
        super().listen(BACKLOG)

    def accept(self) -> tuple[socket.socket, Any]:
        new, address = super().accept()
        self.open[new] = asyncio.get_running_loop().time()
        self.came()
        return new, address


def _nothing() -> None:
    return


class Bounds:
    """How many connections there may be, and how long each may say nothing. The idlest of too many gives way; a caller
    whose request came whole never does."""

    def __init__(self, state: ServerState, settings: WebSettings, listening: Listening) -> None:
        self._state = state
        self._settings = settings
        self._listening = listening
        #: Told to go, and not gone yet.
        self._going: set[socket.socket] = set()
        listening.came = self._make_room

    async def keep(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            now_s = asyncio.get_running_loop().time()
            for line in self._lines():
                if line.transport.is_closing():
                    line.closing_since_s = line.closing_since_s or now_s
                    if now_s - line.closing_since_s > LINGER_S:
                        line.transport.abort()
            for since_s, waits, end in self._waiting():
                if not waits and now_s - since_s > self._settings.head_s:
                    end()
            self._make_room()

    def _lines(self) -> list[Line]:
        return [each for each in self._state.connections if isinstance(each, Line) and each.transport is not None]

    def _open(self) -> dict[int, tuple[socket.socket, float]]:
        """What came in and is open, by its number; what was closed is forgotten."""
        listening = self._listening
        for gone in [each for each in listening.open if each.fileno() < 0]:
            del listening.open[gone]
        found = {each.fileno(): (each, since_s) for each, since_s in listening.open.items()}
        self._going &= listening.open.keys()
        return found

    def _waiting(self) -> list[tuple[float, bool, Callable[[], None]]]:
        """Whose turn it is at the far end: since when, whether a body is what is waited for, and what ends it."""
        unheard = self._open()
        found: list[tuple[float, bool, Callable[[], None]]] = []
        for line in self._lines():
            its, _ = unheard.pop(line.transport.get_extra_info("socket").fileno(), (None, 0.0))
            if its is not None and line.waits and not line.transport.is_closing():
                found.append((line.since_s, not line.idle, partial(self._end, its, line.transport.abort)))
        for its, since_s in unheard.values():  # in its TLS handshake, or not even there
            if its not in self._going:
                found.append((since_s, False, partial(self._end, its, partial(_shut, its))))
        return found

    def _end(self, its: socket.socket, end: Callable[[], None]) -> None:
        self._going.add(its)
        end()

    def _make_room(self) -> None:
        many = len(self._open()) - len(self._going) - self._settings.connections
        if many > 0:
            for _, _, end in sorted(self._waiting(), key=lambda each: each[0])[:many]:
                end()


def _shut(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)

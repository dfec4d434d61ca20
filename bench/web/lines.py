"""Connections that strangers may open: bounded in number, in how long they say nothing, in how long they linger."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from bench.web.settings import WebSettings

LOOK_S = 1.0
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


async def keep_in_bounds(state: ServerState, settings: WebSettings) -> None:
    """Until cancelled. The idlest of too many gives way; a caller whose request came whole never does."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(LOOK_S)
        now_s = loop.time()
        lines = [each for each in state.connections if isinstance(each, Line) and each.transport is not None]
        for line in lines:
            if line.transport.is_closing():
                line.closing_since_s = line.closing_since_s or now_s
                if now_s - line.closing_since_s > LINGER_S:
                    line.transport.abort()
            elif line.idle and now_s - line.since_s > settings.head_s:
                line.transport.abort()
        many = len(lines) - settings.connections
        if many > 0:
            for line in sorted((line for line in lines if line.waits), key=lambda line: line.since_s)[:many]:
                line.transport.abort()

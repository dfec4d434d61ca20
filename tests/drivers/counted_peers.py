"""Modbus far ends for virtual time: every byte is counted, so that the clock stands still while one is on its way."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import Any

from drivers.wires import Flight
from simulators.virtual_time import virtual_loop
from tests.drivers.modbus_peers import PtyPeer, Script
from tests.drivers.peers import until


def counted() -> Flight:
    """The running virtual loop's count, as wires and peers take it."""
    flight = virtual_loop().flight
    return Flight(flight.left, flight.arrived)


class CountedPty(PtyPeer):
    """A line of Modbus RTU. ``lengths`` says how long a request of a function is, where it is not eight bytes."""

    def __init__(self, script: Script) -> None:
        super().__init__(script)
        self.flight = counted()
        os.set_blocking(self.master, False)

    async def __aenter__(self) -> CountedPty:
        await super().__aenter__()
        return self

    def write(self, data: bytes) -> None:
        with suppress(BlockingIOError):
            self.flight.left(os.write(self.master, data))

    def _readable(self) -> None:
        data = os.read(self.master, 4096)
        self.flight.arrived(len(data))
        self._held += data
        while len(self._held) >= 8:
            length = 8 if self._held[1] != 16 else 9 + self._held[6]
            if len(self._held) < length:
                return
            request, self._held = self._held[:length], self._held[length:]
            self._play(request, self.write)


class CountedTcp:
    """A Modbus TCP server; ``script`` as with the others."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.flight = counted()
        self.connections = 0
        self.requests: list[bytes] = []
        self.links: list[asyncio.Transport] = []
        self._server: Any = None

    @property
    def url(self) -> str:
        return f"modbus-tcp://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> CountedTcp:
        self._server = await asyncio.get_running_loop().create_server(lambda: _Link(self), "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for link in self.links:
            link.abort()
        await self._server.wait_closed()
        await until(lambda: not self.links)


class _Link(asyncio.Protocol):
    def __init__(self, peer: CountedTcp) -> None:
        self._peer = peer
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._link = transport
        self._peer.connections += 1
        self._peer.links.append(transport)

    def data_received(self, data: bytes) -> None:
        peer = self._peer
        peer.flight.arrived(len(data))
        self._held += data
        while len(self._held) >= 8:
            length = 6 + int.from_bytes(self._held[4:6], "big")
            if len(self._held) < length:
                return
            request, self._held = self._held[:length], self._held[length:]
            peer.requests.append(request)
            for delay_s, frame in peer.script(request):
                if delay_s:
                    asyncio.get_running_loop().call_later(delay_s, self._say, frame)
                else:
                    self._say(frame)

    def _say(self, frame: bytes) -> None:
        if not self._link.is_closing():
            self._peer.flight.left(len(frame))
            self._link.write(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        self._peer.links.remove(self._link)

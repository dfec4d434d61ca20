"""Small real far ends: a TCP server and a pseudo-terminal that answer lines as a test tells them to."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tty
from collections.abc import AsyncIterator, Callable
from typing import Any

from drivers.wires import Flight
from drivers.wires.opening import UNCOUNTED, make_wire

#: What a far end does with a line: nothing, bytes at once, or bytes after so many seconds each.
Reply = bytes | list[tuple[float, bytes]] | None
Answer = Callable[[str], Reply]


async def until(condition: Callable[[], Any], deadline_s: float = 5.0) -> None:
    """Wait for a condition, not for a time."""
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.002)


class _Lines:
    """What both kinds of far end share: lines in, bytes out, all of it kept."""

    def __init__(self, answer: Answer, flight: Flight) -> None:
        self.answer = answer
        self.flight = flight
        self.heard: list[str] = []
        self.raw = b""
        self._held = b""

    def take(self, data: bytes, write: Callable[[bytes], None]) -> None:
        self.flight.arrived(len(data))
        self.raw += data
        self._held += data
        while b"\n" in self._held:
            line, self._held = self._held.split(b"\n", 1)
            text = line.decode("ascii").rstrip("\r")
            self.heard.append(text)
            reply = self.answer(text)
            if isinstance(reply, bytes):
                write(reply)
            elif reply is not None:
                for delay_s, part in reply:
                    asyncio.get_running_loop().call_later(delay_s, write, part)


class TcpPeer(_Lines):
    """A TCP server on a free port of this machine."""

    def __init__(self, answer: Answer, flight: Flight = UNCOUNTED) -> None:
        super().__init__(answer, flight)
        self.port = 0
        self.connections = 0
        self.links: list[asyncio.Transport] = []
        self.deaf = False
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.get_running_loop().create_server(lambda: _Accepted(self), "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    @property
    def visa_url(self) -> str:
        return f"visa://TCPIP0::127.0.0.1::{self.port}::SOCKET"

    def say(self, data: bytes) -> None:
        """Speak without having been asked."""
        self.links[-1].write(data)

    def hang_up(self) -> None:
        for link in self.links:
            link.abort()

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self.hang_up()
            await self._server.wait_closed()
            await until(lambda: not self.links)


class _Accepted(asyncio.Protocol):
    def __init__(self, peer: TcpPeer) -> None:
        self._peer = peer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._link = transport
        self._peer.connections += 1
        self._peer.links.append(transport)
        if self._peer.deaf:
            transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        self._peer.take(data, self._write)

    def connection_lost(self, exc: Exception | None) -> None:
        self._peer.links.remove(self._link)

    def _write(self, data: bytes) -> None:
        if not self._link.is_closing():
            self._peer.flight.left(len(data))
            self._link.write(data)


class PtyPeer(_Lines):
    """The device end of a pseudo-terminal; ``url`` is the host's end."""

    def __init__(self, answer: Answer, flight: Flight = UNCOUNTED) -> None:
        super().__init__(answer, flight)
        self._device, host = os.openpty()
        tty.setraw(self._device)
        tty.setraw(host)
        os.set_blocking(self._device, False)
        self.path = os.ttyname(host)
        self._host: int | None = host
        self.unplugged = False
        asyncio.get_running_loop().add_reader(self._device, self._readable)

    @property
    def url(self) -> str:
        return f"serial:{self.path}?baud=9600"

    def say(self, data: bytes) -> None:
        if not self.unplugged:
            self.flight.left(len(data))
            os.write(self._device, data)

    def stop_reading(self) -> None:
        asyncio.get_running_loop().remove_reader(self._device)

    def unplug(self) -> None:
        """What the host sees when the adapter is pulled out. Nobody's pty gets its number while one end is kept."""
        if not self.unplugged:
            self.unplugged = True
            asyncio.get_running_loop().remove_reader(self._device)
            os.close(self._device)

    def close(self) -> None:
        self.unplug()
        if self._host is not None:
            os.close(self._host)
            self._host = None

    def _readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self.take(os.read(self._device, 4096), self.say)


@contextlib.asynccontextmanager
async def tcp_peer(answer: Answer) -> AsyncIterator[TcpPeer]:
    peer = TcpPeer(answer)
    await peer.start()
    try:
        yield peer
    finally:
        await peer.close()


@contextlib.asynccontextmanager
async def pty_peer(answer: Answer) -> AsyncIterator[PtyPeer]:
    peer = PtyPeer(answer)
    try:
        yield peer
    finally:
        peer.close()


def line_wire(url: str, **how: Any) -> Any:
    """The wire of a url, typed as anything so that a test may look inside."""
    return make_wire(url, **how)


@contextlib.asynccontextmanager
async def opened(wire: Any) -> AsyncIterator[Any]:
    await wire.open()
    try:
        yield wire
    finally:
        await wire.close()


@contextlib.asynccontextmanager
async def wired(answer: Answer, *, visa: bool = False, **how: Any) -> AsyncIterator[tuple[TcpPeer, Any]]:
    """A TCP far end and the wire that leads to it."""
    async with tcp_peer(answer) as peer, opened(line_wire(peer.visa_url if visa else peer.url, **how)) as wire:
        yield peer, wire

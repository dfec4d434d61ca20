"""A simulated device behind a TCP socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from simulators.servers.sessions import Session, Write
from simulators.spec import Flight

MakeSession = Callable[[Write], Session]


class _Connection(asyncio.Protocol):
    """One client. Bytes are counted as they cross the socket."""

    def __init__(self, server: TcpServer) -> None:
        self._server = server
        self._left = server.flight.left
        self._arrived = server.flight.arrived
        self._transport: asyncio.Transport | None = None
        self._session: Session | None = None
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._session = self._server.make_session(self._write)
        self._server.connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._arrived(len(data))
        if self._session is not None:
            self._session.feed(data)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._end()
        self._server.connections.discard(self)
        self.lost.set_result(None)

    def shout(self, data: bytes) -> None:
        """Send what nobody asked for."""
        self._write(data)

    def drop(self) -> None:
        """Break the connection at once."""
        self._end()
        if self._transport is not None:
            self._transport.abort()

    def _end(self) -> None:
        if self._session is not None:
            self._session.end()
            self._session = None

    def _write(self, data: bytes) -> None:
        transport = self._transport
        if transport is not None and not transport.is_closing():
            self._left(len(data))
            transport.write(data)


class TcpServer:
    """Listens on one address; every connection gets a session of its own."""

    def __init__(self, make_session: MakeSession, *, host: str = "127.0.0.1", port: int = 0, flight: Flight) -> None:
        self.make_session = make_session
        self.flight = flight
        self.connections: set[_Connection] = set()
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens; the port is known once it has started."""
        return self._host, self._port

    async def start(self) -> None:
        """Listen. Raises OSError if the address is taken. A restart listens on the same port."""
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(lambda: _Connection(self), self._host, self._port)
            self._port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Stop listening and break every connection."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self.reset()

    def reset(self) -> None:
        """Break every connection; who asks is let in again."""
        for connection in tuple(self.connections):
            connection.drop()

    def shout(self, data: bytes) -> None:
        """Send to everyone what nobody asked for."""
        for connection in tuple(self.connections):
            connection.shout(data)

    async def close(self) -> None:
        """As cut, and wait until every socket is closed. Idempotent."""
        self.cut()
        for connection in tuple(self.connections):
            await connection.lost

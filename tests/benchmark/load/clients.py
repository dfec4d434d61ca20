"""People at the web interface, on raw sockets: readers of events, askers of the API, and those who take nothing."""

from __future__ import annotations

import asyncio
import itertools
import socket
from contextlib import suppress
from dataclasses import dataclass, field

HOST = "127.0.0.1"
EVENTS = "/api/v1/events"
#: An operator's page asks for these.
PATHS = (
    "/api/v1/channels/{channel}",
    "/api/v1/alarms",
    "/api/v1/channels/{channel}",
    "/api/v1/prompts",
    "/api/v1/channels/{channel}",
    "/api/v1/runs?limit=20",
    "/api/v1/channels/{channel}",
    "/api/v1/benches",
)
CONNECTIONS = 8


def request(path: str, token: str, *, port: int) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


@dataclass
class Reader:
    """Reads the event stream and counts the wall's refreshes in it."""

    port: int
    token: str
    walls: int = 0
    dropped: int = 0
    cut: bool = False

    async def run(self) -> None:
        """Until it is cancelled, or cut off."""
        reader, writer = await asyncio.open_connection(HOST, self.port, limit=1 << 24)
        writer.write(request(EVENTS, self.token, port=self.port))
        try:
            while line := await reader.readline():
                if line.startswith((b"event: channels", b"event: bench")):
                    self.walls += 1
                elif line.startswith(b"event: dropped"):
                    self.dropped += 1
            self.cut = True
        except ConnectionError:
            self.cut = True
        finally:
            writer.close()


@dataclass
class Askers:
    """So many requests a second, each when it is due, whatever became of those before."""

    port: int
    token: str
    channels: tuple[str, ...]
    took_s: list[float] = field(default_factory=list)
    by_path: dict[str, list[float]] = field(default_factory=dict)
    wrong: int = 0

    def forget(self) -> None:
        """What was asked so far counts no more."""
        self.took_s.clear()
        self.by_path.clear()
        self.wrong = 0

    async def run(self, rate: float) -> None:
        """Until it is cancelled."""
        loop = asyncio.get_running_loop()
        due: asyncio.Queue[tuple[float, str]] = asyncio.Queue()
        lines = [loop.create_task(self._line(due), name=f"asker {at}") for at in range(CONNECTIONS)]
        turns = itertools.cycle(
            (template, template.format(channel=channel)) for channel in self.channels for template in PATHS
        )
        begun_s = loop.time()
        try:
            for at in itertools.count():
                due_s = begun_s + at / rate
                await asyncio.sleep(due_s - loop.time())
                due.put_nowait((due_s, next(turns)[1]))
        finally:
            for line in lines:
                line.cancel()
            await asyncio.gather(*lines, return_exceptions=True)

    async def _line(self, due: asyncio.Queue[tuple[float, str]]) -> None:
        """One connection, kept open."""
        reader, writer = await asyncio.open_connection(HOST, self.port, limit=1 << 24)
        try:
            while True:
                due_s, path = await due.get()
                writer.write(request(path, self.token, port=self.port))
                status = await _reply(reader)
                took_s = asyncio.get_running_loop().time() - due_s
                self.took_s.append(took_s)
                kind = path.partition("?")[0].split("/")[3]
                self.by_path.setdefault(kind, []).append(took_s)
                self.wrong += status != 200
        finally:
            writer.close()


async def _reply(reader: asyncio.StreamReader) -> int:
    """Read one reply off a connection; gives its status."""
    head = await reader.readuntil(b"\r\n\r\n")
    status, fields = int(head.split(b" ", 2)[1]), head.lower()
    if b"content-length:" in fields:
        await reader.readexactly(int(fields.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]))
        return status
    while size := int(await reader.readuntil(b"\r\n"), 16):
        await reader.readexactly(size + 2)
    await reader.readexactly(2)
    return status


@dataclass
class Crowd:
    """Clients that ask for the events and take none of them; every fourth is gone at once. Those that are cut off come
    again, ``again_s`` later."""

    port: int
    token: str
    count: int
    again_s: float = 2.0
    opened: int = 0
    refused: int = 0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as clients:
            for at in range(self.count):
                clients.create_task(self._one(at), name=f"client {at}")
                if at % 20 == 19:
                    await asyncio.sleep(0.02)

    async def _one(self, at: int) -> None:
        loop = asyncio.get_running_loop()
        while True:
            with socket.socket() as one:
                one.setblocking(False)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
                try:
                    await loop.sock_connect(one, (HOST, self.port))
                    await loop.sock_sendall(one, request(EVENTS, self.token, port=self.port))
                    self.opened += 1
                    if at % 4:
                        await self._stay(one)
                except OSError:
                    self.refused += 1
            await asyncio.sleep(self.again_s)

    async def _stay(self, one: socket.socket) -> None:
        """Take nothing until the far end has closed."""
        while True:
            await asyncio.sleep(1.0)
            with suppress(BlockingIOError):
                if not one.recv(1, socket.MSG_PEEK):
                    return
                one.recv(1)

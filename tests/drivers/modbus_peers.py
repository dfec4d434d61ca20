"""Far ends for the Modbus wire, written byte by byte: a real pty or socket, and a function from request to reply.

Nothing here comes from pymodbus or from the simulators.
"""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Callable, Iterable
from contextlib import suppress

#: What a peer does with one request: the bytes to send back, each after a delay in seconds.
Script = Callable[[bytes], Iterable[tuple[float, bytes]]]


def crc(body: bytes) -> bytes:
    """CRC-16/MODBUS, low byte first (MODBUS over Serial Line V1.02, 2.5.1.2 and appendix B)."""
    value = 0xFFFF
    for byte in body:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
    return bytes((value & 0xFF, value >> 8))


def rtu(*body: int | bytes) -> bytes:
    """A whole RTU frame from its bytes without the check."""
    raw = b"".join(part if isinstance(part, bytes) else bytes((part,)) for part in body)
    return raw + crc(raw)


def words(*values: int) -> bytes:
    """Byte count and registers, as in the replies to functions 3 and 4."""
    return bytes((2 * len(values),)) + b"".join((value & 0xFFFF).to_bytes(2, "big") for value in values)


class Peer:
    """What a test sees of either kind: every request that came, and the script that answers.

    What is asked of an address that no unit may have stands in ``to_nobody`` and meets no script. With ``echoes`` all
    that is sent comes back, as from an adapter with local echo.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.echoes = False
        self.to_nobody: list[bytes] = []
        self.requests: list[bytes] = []
        self.timers: list[asyncio.TimerHandle] = []
        self._came = asyncio.Event()

    async def until(self, condition: Callable[[list[bytes]], bool], deadline_s: float = 5.0) -> None:
        """Wait until the requests that have come satisfy ``condition``. Raises TimeoutError."""
        async with asyncio.timeout(deadline_s):
            while not condition(self.requests):
                self._came.clear()
                await self._came.wait()

    def _play(self, request: bytes, write: Callable[[bytes], None]) -> None:
        if self.echoes:
            write(request)
        if isinstance(self, PtyPeer) and request[0] > 247:
            self.to_nobody.append(request)
            return
        self.requests.append(request)
        self._came.set()
        for delay_s, data in self.script(request):
            if delay_s:
                self.timers.append(asyncio.get_running_loop().call_later(delay_s, write, data))
            else:
                write(data)

    def _stop(self) -> None:
        for timer in self.timers:
            timer.cancel()


class PtyPeer(Peer):
    """One end of a pty that keeps its own descriptor of the other end open, as the simulators do."""

    def __init__(self, script: Script) -> None:
        super().__init__(script)
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.path = os.ttyname(self.slave)
        self.url = f"modbus-rtu://{self.path}?baud=115200"
        self._held = b""

    def write(self, data: bytes) -> None:
        os.write(self.master, data)

    def _readable(self) -> None:
        self._held += os.read(self.master, 4096)
        while len(self._held) >= 8:  # every request of functions 1 to 6 has eight bytes
            request, self._held = self._held[:8], self._held[8:]
            self._play(request, self.write)

    async def __aenter__(self) -> PtyPeer:
        asyncio.get_running_loop().add_reader(self.master, self._readable)
        return self

    def hang_up(self) -> None:
        """Pull the cable."""
        asyncio.get_running_loop().remove_reader(self.master)
        os.close(self.master)
        os.close(self.slave)
        self.master = -1

    async def __aexit__(self, *_: object) -> None:
        self._stop()
        if self.master >= 0:
            self.hang_up()


class TcpPeer(Peer):
    """A listening socket on this machine."""

    def __init__(self, script: Script) -> None:
        super().__init__(script)
        self.connections = 0
        self.url = ""
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> TcpPeer:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"modbus-tcp://127.0.0.1:{port}"
        return self

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.append(task)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                header = await reader.readexactly(6)
                body = await reader.readexactly(int.from_bytes(header[4:6], "big"))
                self._play(header + body, writer.write)
        writer.close()

    def drop(self) -> None:
        """Close every connection, keep listening."""
        for writer in self._writers:
            writer.close()

    async def __aexit__(self, *_: object) -> None:
        self._stop()
        self.drop()
        assert self._server is not None
        self._server.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

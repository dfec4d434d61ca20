"""Hands that carry a simulated sample from place to place, since nobody is there to do it.

A virtual bench has them in its own process. A standing bench lends them over TCP, one line a request:
``carry CHANNEL PLACE``, answered by ``ok`` or by ``error`` and why. Real benches have none: a person carries.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from bench.means import Hands
from drivers.errors import DeviceError

LOCALHOST = "127.0.0.1"
REPLY_S = 5.0


@dataclass(frozen=True, slots=True)
class BorrowedHands:
    """The hands of a standing bench. ``url`` is ``tcp://HOST:PORT``, as its bench file says under ``[simulation]``."""

    url: str

    async def carry(self, channel: str, place: str) -> None:
        """Raises DeviceError if nobody answers in time, or if the sample cannot be carried there."""
        doing = f"carrying the sample to {place}"
        parts = urlsplit(self.url)
        try:
            async with asyncio.timeout(REPLY_S):
                reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
                try:
                    writer.write(f"carry {channel} {place}\n".encode())
                    reply = (await reader.readline()).decode("utf-8", "replace").strip()
                finally:
                    writer.close()
                    await writer.wait_closed()
        except (OSError, ValueError) as error:
            fix = "is the standing bench still running? write its bench file anew"
            raise DeviceError("hands", doing, f"nobody answers at {self.url} ({error})", fix) from None
        if reply != "ok":
            said = reply.removeprefix("error ") or "the standing bench hung up"
            raise DeviceError("hands", doing, said, "carry it to a place that its channel reaches")


@asynccontextmanager
async def lent_hands(hands: Hands) -> AsyncIterator[str]:
    """Lend hands to other processes of this machine; gives the url to borrow them at."""

    serving: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(serve(reader, writer), name="hands")
        serving.add(task)
        task.add_done_callback(serving.discard)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (line := await reader.readline()).endswith(b"\n"):
                writer.write(f"{await _done(hands, line)}\n".encode())
                await writer.drain()
        except (ConnectionError, ValueError):  # gone, or a line without an end
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(begin, LOCALHOST, 0)
    try:
        host, port = server.sockets[0].getsockname()[:2]
        yield f"tcp://{host}:{port}"
    finally:
        server.close()
        left = list(serving)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await server.wait_closed()


async def _done(hands: Hands, line: bytes) -> str:
    match line.decode("utf-8", "replace").split():
        case ["carry", channel, place]:
            try:
                await hands.carry(channel, place)
            except ValueError as error:
                return f"error {error}"
            return "ok"
        case _:
            return "error write: carry CHANNEL PLACE"

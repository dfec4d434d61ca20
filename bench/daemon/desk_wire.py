"""The desk over a socket, as the bench's process speaks it: frames, what may be asked, and who answers.

A frame is four bytes of length, one of kind, four of a number, and JSON. The far end asks with a number of its own and
is answered with the same one; the wall and events come by themselves. What goes over are the desk's own views, checked
on arrival as those of any program are. :mod:`bench.daemon.far_desk` is the other end.
"""

from __future__ import annotations

import asyncio
import collections.abc
import inspect
import json
import socket
import struct
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, get_args, get_origin, get_type_hints

import structlog
from pydantic import BaseModel, ConfigDict, TypeAdapter, create_model

from bench.daemon.bulletin import KEPT
from bench.daemon.desk import Desk, DeskRefused
from bench.daemon.views import BenchView, EventView
from drivers.errors import BenchError, BenchHeld, ConfigError, DeviceError, Fault, PreflightRefused, RecordError

HEAD = struct.Struct(">IBI")
#: The wall is looked at so often, as it is made anew.
WALL_S = 0.2
#: A far end that lets more than this wait for it has hung.
HUNG_BYTES = 64 << 20
_log = structlog.get_logger("cellbench.daemon")


class Kind(IntEnum):
    ASK = 1
    SAID = 2
    REFUSED = 3
    WALL = 4
    EVENT = 5
    END = 6


def frame(kind: Kind, number: int, body: bytes = b"") -> bytes:
    return HEAD.pack(len(body), kind, number) + body


@dataclass(frozen=True, slots=True)
class Method:
    """One act of the desk: how its arguments and its result are written and read."""

    arguments: type[BaseModel]
    result: TypeAdapter[Any]
    listed: bool

    def dumped(self, result: Any) -> bytes:
        return self.result.dump_json(list(result) if self.listed else result)


def _method(name: str, act: Any) -> Method:
    hints = {key: _listed(hint) for key, hint in get_type_hints(act).items()}
    result = hints.pop("return")
    fields: dict[str, Any] = {key: (hint, ...) for key, hint in hints.items()}
    arguments = create_model(name, __config__=ConfigDict(frozen=True, extra="forbid"), **fields)
    return Method(arguments, TypeAdapter(result), get_origin(result) is list)


def _listed(hint: Any) -> Any:
    """A sequence goes over as a list: pydantic takes every other kind through Python, item by item."""
    return list[get_args(hint)] if get_origin(hint) is collections.abc.Sequence else hint  # type: ignore[misc]


#: What may be asked: every awaitable act of the desk.
METHODS: Mapping[str, Method] = {
    name: _method(name, act) for name, act in vars(Desk).items() if inspect.iscoroutinefunction(act)
}
_TREE = (ConfigError, PreflightRefused, BenchHeld, RecordError, DeviceError, BenchError)


def refusal(error: Exception) -> bytes:
    """What the far end raises. A fault of this program is logged here and told in a word."""
    if isinstance(error, DeskRefused):
        return _json({"code": error.code, "text": error.text, "fix": error.fix})
    if isinstance(error, BenchError):
        kind = next(kind for kind in _TREE if isinstance(error, kind)).__name__
        return _json({"kind": kind, "faults": [[it.error, it.where, it.fix] for it in error.faults]})
    _log.error("desk failed", exc_info=error)
    return _json({"internal": f"{type(error).__name__}: {error}"})


def _json(said: dict[str, Any]) -> bytes:
    """Of whatever text, half of a character as well: a refusal always arrives."""
    return json.dumps(said).encode()


def refused(body: bytes) -> Exception:
    """The far end's half of :func:`refusal`."""
    said = json.loads(body)
    if "code" in said:
        return DeskRefused(said["code"], said["text"], said["fix"])
    if "kind" not in said:
        return RuntimeError(said["internal"])
    faults = [Fault(*it) for it in said["faults"]]
    kind = next(kind for kind in _TREE if kind.__name__ == said["kind"])
    error = kind.__new__(kind)
    BenchError.__init__(error, faults[0].error, faults[0].where, faults[0].fix)
    error.faults = tuple(faults)
    return error


class DeskServer:
    """Answers one far end after the other. To be used on a loop of its own."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._heard: deque[EventView] = deque(maxlen=KEPT)
        self._wake = asyncio.Event()
        #: What was begun is carried out, whether or not the far end is still there to hear of it.
        self._answers: set[asyncio.Task[None]] = set()

    async def serve(self, sock: socket.socket, stop: asyncio.Event) -> None:
        """Until the far end is gone or hangs, or until it was told that the program ends."""
        loop = asyncio.get_running_loop()
        reader, writer = await asyncio.open_unix_connection(sock=sock)
        self._heard.clear()

        def hear(event: EventView) -> None:  # in the bench's thread: no more than this
            self._heard.append(event)
            with suppress(RuntimeError):  # this loop has ended
                loop.call_soon_threadsafe(self._wake.set)

        deaf = self._desk.listen(hear, after=0)
        tasks = [
            loop.create_task(self._hear_out(reader, writer), name="questions"),
            loop.create_task(self._tell(writer), name="wall and events"),
            loop.create_task(stop.wait(), name="stop"),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if stop.is_set():
                writer.write(frame(Kind.END, 0))
                with suppress(OSError, TimeoutError):
                    async with asyncio.timeout(1.0):
                        await writer.drain()
        finally:
            deaf()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            writer.close()

    async def close(self) -> None:
        """What is still under way is given up: the bench's runs are over, or its loop is."""
        for task in self._answers:
            task.cancel()
        await asyncio.gather(*self._answers, return_exceptions=True)

    async def _hear_out(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                size, _, number = HEAD.unpack(await reader.readexactly(HEAD.size))
                task = asyncio.create_task(self._answer(writer, number, await reader.readexactly(size)))
                self._answers.add(task)
                task.add_done_callback(self._answers.discard)

    async def _answer(self, writer: asyncio.StreamWriter, number: int, body: bytes) -> None:
        try:
            name, _, wanted = body.partition(b" ")
            method = METHODS[name.decode()]
            asked = method.arguments.model_validate_json(wanted)
            arguments = {key: getattr(asked, key) for key in type(asked).model_fields}
            result = await getattr(self._desk, name.decode())(**arguments)
            said = frame(Kind.SAID, number, method.dumped(result))
        except Exception as error:  # noqa: BLE001 - whatever it is, the far end waits for it
            said = frame(Kind.REFUSED, number, refusal(error))
        if not writer.is_closing():
            writer.write(said)

    async def _tell(self, writer: asyncio.StreamWriter) -> None:
        """The wall whenever it is made anew, and each event."""
        loop = asyncio.get_running_loop()
        shown: BenchView | None = None
        due_s = loop.time()
        while writer.transport.get_write_buffer_size() < HUNG_BYTES:
            while self._heard:
                event = self._heard.popleft()
                writer.write(frame(Kind.EVENT, 0, event.model_dump_json().encode()))
            if loop.time() >= due_s:
                now, due_s = self._desk.now(), loop.time() + WALL_S
                if now is not shown:
                    shown = now
                    writer.write(frame(Kind.WALL, 0, now.model_dump_json().encode()))
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due_s):
                    await self._wake.wait()
        _log.warning("page hangs", waiting_bytes=HUNG_BYTES)

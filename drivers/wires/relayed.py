"""Wires whose port another process owns: every exchange is relayed to it, one at a time, over a pair of sockets.

The owner (``drivers/wires/lending.py``) opens the port and carries the exchanges; here is the side that borrows. A
driver does not see the difference. What waits, waits on this side, so that what its caller gives up is never sent; a
stop waits for nothing here, and takes the stop lane of the owner's port; what a caller has given up is taken back from
there, too. Each request and its reply carry a number: a
reply that comes after its caller has stopped waiting is nobody's.

Both sides speak lines of JSON. A request: ``{"id", "url", "act", ...}`` with the arguments of the wire's method; a
reply: ``{"id", "result"}``, or ``{"id", "error": {"kind", "text", "fix", "code"}}``. The act ``withdraw`` takes
back the request of that number.

An owner that is dead holds no port any more: the wire then opens it itself, since what is asked next is a stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

from drivers.errors import DeviceError, DeviceRefused, FrameError, WireClosed, WireTimeout
from drivers.wires import Flight, Wire
from drivers.wires.health import LineHealth
from drivers.wires.opening import make_wire
from drivers.wires.pacing import HeldBackError
from drivers.wires.port import ExchangeError, PortWire
from drivers.wires.url import WireUrl, parse_url

#: An exchange that says nothing else has this deadline, in seconds.
TIMEOUT_S = 0.5
#: How much longer a reply may take by way of the owner: it may have to open the port anew and to find silence first.
RELAY_S = 2.0
#: The longest line either way, in bytes.
LONGEST = 1 << 20
#: What a request is taken back with, by its number; there is no reply to it.
WITHDRAW = "withdraw"

_KINDS: dict[str, type[DeviceError]] = {
    kind.__name__: kind for kind in (WireTimeout, WireClosed, FrameError, DeviceRefused, HeldBackError)
}


class Lease:
    """The borrower's end of the pair. ``wire(url)`` is a wire through it, not yet open; ``owner`` is the process that
    made the pair, which has the ports open.

    ``give_up(why)`` fails what is under way and whatever comes later with WireClosed, at once. At the owner's end what
    is under way fails, and the lease is ``orphaned``.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._writer: asyncio.StreamWriter | None = None
        self._listening: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._numbers = count(1)
        self._gone: str | None = None
        self.orphaned = False
        self.owner = _maker_of(sock)

    async def start(self) -> None:
        """Begin to listen, in the running loop."""
        reader, self._writer = await asyncio.open_connection(sock=self._sock, limit=LONGEST)
        self._listening = asyncio.get_running_loop().create_task(self._listen(reader), name="lent wires")

    async def close(self) -> None:
        """Idempotent."""
        self.give_up("the wires were given back")
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        if self._writer is None:
            self._sock.close()
            return
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def wire(self, url: str) -> Wire:
        """Raises UrlError."""
        parts = parse_url(url)
        kind = RelayedModbus if parts.scheme.startswith("modbus") else RelayedLines
        return kind(parts, self)

    def give_up(self, why: str) -> None:
        self._gone = self._gone or why
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ExchangeError(WireClosed, self._gone))

    async def ask(self, url: str, act: str, within_s: float, **arguments: Any) -> Any:
        """One exchange by way of the owner. Raises ExchangeError, and DeviceRefused as :class:`_Refused`."""
        if self._gone is not None or self._writer is None:
            raise ExchangeError(WireClosed, self._gone or "nothing is lent yet")
        number, reply = next(self._numbers), asyncio.get_running_loop().create_future()
        self._waiting[number] = reply
        line = json.dumps({"id": number, "url": url, "act": act, **arguments})
        try:
            self._writer.write(line.encode() + b"\n")
            async with asyncio.timeout(within_s + RELAY_S):
                answer = await reply
        except asyncio.CancelledError:
            self._withdraw(number, act, arguments)
            raise
        except TimeoutError:
            self._withdraw(number, act, arguments)
            raise ExchangeError(
                WireTimeout, f"the owner of the port said nothing for {within_s + RELAY_S:g} s"
            ) from None
        finally:
            del self._waiting[number]
        if "error" in answer:
            raise _Trouble(answer["error"])
        return answer["result"]

    def _withdraw(self, number: int, act: str, arguments: dict[str, Any]) -> None:
        """Nobody wants this any more: the owner drops it if it still waits there, so that it never follows a stop."""
        if act != "open" and not arguments.get("stop") and self._gone is None and self._writer is not None:
            self._writer.write(json.dumps({"id": number, "act": WITHDRAW}).encode() + b"\n")

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        why = "the owner of the port is gone"
        try:
            while (line := await reader.readline()).endswith(b"\n"):
                answer = json.loads(line)
                waiting = self._waiting.get(answer["id"])
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
        except (OSError, ValueError) as error:
            why = f"{why} ({error})"
        self.orphaned = True
        self.give_up(why)


def _maker_of(sock: socket.socket) -> int:
    """The process that made this pair of sockets [unix(7), SO_PEERCRED]; 0 where the system does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return 0
    return int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, option, 4), sys.byteorder)


class _Trouble(ExchangeError):
    """What the owner said went wrong."""

    def __init__(self, said: dict[str, Any]) -> None:
        super().__init__(WireClosed, str(said["text"]))
        self._said = said

    def of(self, device: str, doing: str) -> Any:
        said = self._said
        error = _KINDS.get(said["kind"], WireClosed)(device, doing, self.text, said["fix"])
        if isinstance(error, DeviceRefused):
            error.code = said["code"]
        return error


class _Relayed(PortWire):
    """What both kinds share."""

    def __init__(self, parts: WireUrl, lease: Lease) -> None:
        super().__init__(parts, Flight())
        self.health = LineHealth(parts.url, parts.path, owners=frozenset({lease.owner}))
        self._lease = lease
        self._own: Wire | None = None

    async def _open_first(self) -> None:
        await self._lease.ask(self.url, "open", TIMEOUT_S)

    async def _free(self) -> None:
        """The owner keeps the port; one that was opened here is freed."""
        if self._own is not None:
            await self._own.close()

    async def _relay(
        self, act: str, device: str, doing: str, deadline_s: float | None, *, stop: bool, **arguments: Any
    ) -> Any:
        within_s = TIMEOUT_S if deadline_s is None else deadline_s
        if deadline_s is not None:
            arguments["deadline_s"] = deadline_s
        arguments["stop"] = stop

        async def exchange() -> Any:
            if self._lease.orphaned:
                return await self._alone(act, device=device, doing=doing, **arguments)
            try:
                return await self._lease.ask(self.url, act, within_s, **arguments)
            except ExchangeError as trouble:
                raise trouble.of(device, doing) from None

        return await (self._counted(exchange) if stop else self._given_up_with_its_caller(exchange, device, doing))

    async def _given_up_with_its_caller(self, exchange: Callable[[], Awaitable[Any]], device: str, doing: str) -> Any:
        """One exchange in its turn. It may wait again where it is carried, and must not be sent once its caller has
        gone: a stop may have overtaken it there."""
        under_way: list[asyncio.Future[Any]] = []

        async def carried() -> Any:
            work = asyncio.ensure_future(exchange())
            under_way.append(work)
            await asyncio.wait([work])
            if work.cancelled():
                raise HeldBackError(device, doing, "its caller has given it up")
            return work.result()

        try:
            return await self._carried(carried, stop=False)
        except asyncio.CancelledError:
            for work in under_way:
                work.cancel()
            raise

    async def _alone(self, act: str, **arguments: Any) -> Any:
        """One exchange through the port itself, now that nobody owns it."""
        own = self._own
        if own is None:
            own = self._own = make_wire(self.url)
            try:
                await own.open()
            except BaseException:
                self._own = None
                raise
        # else it is open, or about to be: to open it once more would wait behind the exchange that a stop overtakes
        for told in ("known", "distrust"):  # a port that was just opened has no past
            arguments.pop(told, None)
        return await getattr(own, act)(**arguments)


class RelayedModbus(_Relayed):
    """Satisfies :class:`drivers.wires.ModbusWire`. What a unit is known by is told with each request."""

    def __init__(self, parts: WireUrl, lease: Lease) -> None:
        super().__init__(parts, lease)
        self._known: dict[int, list[Any]] = {}

    def recognise(self, table: str, address: int, words: tuple[int, ...], *, unit: int) -> None:
        self._known[unit] = [table, address, list(words)]

    def forget(self, *, unit: int) -> None:
        self._known.pop(unit, None)

    def _of(self, unit: int) -> dict[str, Any]:
        """The unit of a request, and what it is known by."""
        return {"unit": unit, "known": self._known.get(unit)}

    async def read_bits(
        self,
        table: str,
        address: int,
        count: int,
        *,
        unit: int,
        device: str,
        doing: str,
        stop: bool = False,
        deadline_s: float | None = None,
    ) -> tuple[bool, ...]:
        found = await self._relay(
            "read_bits",
            device,
            doing,
            deadline_s,
            stop=stop,
            table=table,
            address=address,
            count=count,
            **self._of(unit),
        )
        return tuple(found)

    async def read_registers(
        self,
        table: str,
        address: int,
        count: int,
        *,
        unit: int,
        device: str,
        doing: str,
        stop: bool = False,
        deadline_s: float | None = None,
    ) -> tuple[int, ...]:
        found = await self._relay(
            "read_registers",
            device,
            doing,
            deadline_s,
            stop=stop,
            table=table,
            address=address,
            count=count,
            **self._of(unit),
        )
        return tuple(found)

    async def write_bit(
        self,
        address: int,
        *,
        on: bool,
        unit: int,
        device: str,
        doing: str,
        stop: bool = False,
        deadline_s: float | None = None,
    ) -> None:
        await self._relay("write_bit", device, doing, deadline_s, stop=stop, address=address, on=on, **self._of(unit))

    async def write_register(
        self,
        address: int,
        value: int,
        *,
        unit: int,
        device: str,
        doing: str,
        stop: bool = False,
        deadline_s: float | None = None,
    ) -> None:
        await self._relay(
            "write_register", device, doing, deadline_s, stop=stop, address=address, value=value, **self._of(unit)
        )

    async def write_registers(
        self,
        address: int,
        values: tuple[int, ...],
        *,
        unit: int,
        device: str,
        doing: str,
        stop: bool = False,
        deadline_s: float | None = None,
    ) -> None:
        await self._relay(
            "write_registers",
            device,
            doing,
            deadline_s,
            stop=stop,
            address=address,
            values=list(values),
            **self._of(unit),
        )


class RelayedLines(_Relayed):
    """Satisfies :class:`drivers.wires.LineWire`. What the driver said about recovering is told with the next line."""

    def __init__(self, parts: WireUrl, lease: Lease) -> None:
        super().__init__(parts, lease)
        self._known: list[Any] | None = None
        self._distrusted = False

    async def query(
        self, line: str, *, device: str, doing: str, deadline_s: float = 0.5, stop: bool = False, pause_s: float = 0.0
    ) -> str:
        asked = self._asked(line, pause_s)
        return str(await self._relay("query", device, doing, deadline_s, stop=stop, **asked))

    async def send(
        self, line: str, *, device: str, doing: str, deadline_s: float = 0.5, stop: bool = False, pause_s: float = 0.0
    ) -> None:
        await self._relay("send", device, doing, deadline_s, stop=stop, **self._asked(line, pause_s))

    def recognise(self, question: str, answer: str, *, pause_s: float = 0.0) -> None:
        self._known = [question, answer, pause_s]

    def distrust(self) -> None:
        self._distrusted = True

    def _asked(self, line: str, pause_s: float) -> dict[str, Any]:
        asked = {"line": line, "pause_s": pause_s, "known": self._known, "distrust": self._distrusted}
        self._distrusted = False
        return asked

"""The wires that carry bytes. The URL decides which one; a driver does not know who is at the far end.

    tcp://host:port                          text lines over a raw socket (asyncio)
    visa://RESOURCE                          text lines through pyvisa, in a daemon thread of its own
    serial:///dev/ttyUSB0?baud=9600          text lines over a serial port (pyserial)
    modbus-rtu:///dev/ttyUSB1?baud=9600      Modbus RTU over a serial port (pymodbus)
    modbus-tcp://host:port                   Modbus TCP (pymodbus)

A wire has one owner, carries one exchange at a time, each with a deadline, and is never cancelled half-way: a caller
that is cancelled stops waiting, the exchange itself runs to its end. ``stop=True`` is the stop lane: it is served
before everything that waits. After a timeout a wire resynchronises before it carries the next request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


def _nothing(_: int) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Flight:
    """Bytes on their way, for a loop whose clock may only jump when there are none.

    ``left(n)`` when n bytes were handed to the kernel, ``arrived(n)`` when n bytes were read from it. A wire made
    without one counts nothing, which is what live hardware wants. A wire whose exchange is owned by a thread (VISA)
    calls ``left(1)`` before and ``arrived(1)`` after, so that the clock stands still meanwhile.
    """

    left: Callable[[int], None] = _nothing
    arrived: Callable[[int], None] = _nothing


class Wire(Protocol):
    """What every wire has. ``url`` is what it was opened from; two devices with the same url share one wire."""

    @property
    def url(self) -> str: ...
    async def open(self) -> None:
        """Open the port. Raises WireClosed. Idempotent while open."""
        ...

    async def close(self) -> None:
        """Let the exchange under way end, fail what waits with WireClosed, free the port. Idempotent."""
        ...


class LineWire(Wire, Protocol):
    """Text lines. ``device`` and ``doing`` only name the caller in errors.

    ``pause_s`` is the quiet time that the device needs after this exchange before the next one.
    """

    async def query(
        self, line: str, *, device: str, doing: str, deadline_s: float = 0.5, stop: bool = False, pause_s: float = 0.0
    ) -> str:
        """Send one line and give the one line that answers it, without its terminator.

        Raises WireTimeout, WireClosed, FrameError (not text, or longer than the wire allows).
        """
        ...

    async def send(
        self, line: str, *, device: str, doing: str, deadline_s: float = 0.5, stop: bool = False, pause_s: float = 0.0
    ) -> None:
        """Send one line that has no answer. Raises WireTimeout (the peer does not take it), WireClosed."""
        ...

    def recognise(self, question: str, answer: str, *, pause_s: float = 0.0) -> None:
        """From now on, after trouble nothing is asked before ``question`` was answered by exactly ``answer``.

        ``pause_s`` is the quiet time that the device needs after that question.
        """
        ...

    def distrust(self) -> None:
        """The last reply does not fit its request: resynchronise before the next one."""
        ...


class ModbusWire(Wire, Protocol):
    """Modbus. Addresses are 0-based; every reply is checked for unit, function, count and address.

    A Modbus exception raises DeviceRefused with the code's name. ``deadline_s`` is how long the reply may take; None is
    the wire's own 0.5 s.
    """

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
        """``table`` is "coils" (function 1) or "discrete" (function 2)."""
        ...

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
        """``table`` is "holding" (function 3) or "input" (function 4); values are unsigned 16 bit."""
        ...

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
        """Function 5, never repeated by the wire."""
        ...

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
        """Function 6, never repeated by the wire."""
        ...

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
        """Function 16, all in one request, never repeated by the wire. The reply does not tell the values."""
        ...

    def recognise(self, table: str, address: int, words: tuple[int, ...], *, unit: int) -> None:
        """After the port was opened anew, nothing but a stop's command goes to ``unit`` before these registers read
        like this again; until then its exchanges fail with FrameError. ``table`` as for ``read_registers``."""
        ...

    def forget(self, *, unit: int) -> None:
        """Ask ``unit`` without such proof: it is about to be asked who it is."""
        ...

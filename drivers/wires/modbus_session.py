"""One opening of a Modbus port: pymodbus's framing, with every byte accounted for."""

from __future__ import annotations

import asyncio
import logging
from typing import NamedTuple

from pymodbus.client.base import ModbusBaseClient
from pymodbus.framer import FramerRTU
from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest, WriteSingleCoilRequest
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)
from pymodbus.transaction import TransactionManager

from drivers.errors import FrameError, WireClosed, WireTimeout
from drivers.wires import Flight
from drivers.wires.port import ExchangeError
from drivers.wires.serial_port import open_serial, open_serial_patiently
from drivers.wires.url import WireUrl

#: How long an answer may take, in seconds, where the caller says nothing else.
TIMEOUT_S = 0.5
#: How long the far end may take nothing of what is sent, whatever its answer may take, in seconds.
WRITE_S = 0.5
#: Writes whose reply repeats the request to the last bit. That to function 16 does not tell the values.
WRITES = (5, 6)

#: An address that no unit may have [MODBUS over Serial Line V1.02, 2.2: 248 to 255 are reserved], and how much longer
#: than its bytes take on the line an echo of a question to it may be on its way: an adapter gathers for 16 ms.
NOBODY = 248
ECHO_S = 0.04

#: The longest frame on a serial line, in bytes; what comes beyond it is not kept.
LONGEST_RTU = 256

_REQUESTS = {
    1: ReadCoilsRequest,
    2: ReadDiscreteInputsRequest,
    3: ReadHoldingRegistersRequest,
    4: ReadInputRegistersRequest,
}

# What goes wrong reaches the user as a BenchError; the library's own log lines would say it twice, in other words.
_library_log = logging.getLogger("pymodbus")
_library_log.addHandler(logging.NullHandler())
_library_log.propagate = False


class Ask(NamedTuple):
    """One request: ``points`` to read, or the ``value`` (functions 5 and 6) or ``values`` (16) to write.

    ``deadline_s`` is how long the answer may take; None stands for ``TIMEOUT_S``.
    """

    function: int
    address: int
    points: int
    unit: int
    value: int = 0
    values: tuple[int, ...] = ()
    deadline_s: float | None = None

    def pdu(self) -> ModbusPDU:
        if self.function == 5:
            return WriteSingleCoilRequest(address=self.address, bits=[bool(self.value)], dev_id=self.unit)
        if self.function == 6:
            return WriteSingleRegisterRequest(address=self.address, registers=[self.value], dev_id=self.unit)
        if self.function == 16:
            return WriteMultipleRegistersRequest(
                address=self.address, registers=list(self.values), count=self.points, dev_id=self.unit
            )
        return _REQUESTS[self.function](address=self.address, count=self.points, dev_id=self.unit)

    def reply_length(self) -> int:
        """Bytes of the reply from its function code on, without check or header."""
        if self.function in WRITES or self.function == 16:
            return 5
        return 2 + (2 * self.points if self.function > 2 else (self.points + 7) // 8)


def _is_frame(data: bytes) -> bool:
    """Whether it is one whole RTU frame (MODBUS over Serial Line V1.02, 2.5.1.2: the check goes low byte first)."""
    return data[-2:] == FramerRTU.compute_CRC(data[:-2]).to_bytes(2, "big")


class Session(TransactionManager, asyncio.Protocol):
    """One opening of the port: pymodbus's framing over asyncio's TCP or our own serial port.

    ``strays`` counts bytes that came while nothing was asked, ``reply`` holds what came for the request (without
    local echo and noise before the first byte), ``lost`` says why the port is gone. ``deadline_s`` is how long the next
    answer may take. ``foreign_unit`` is the unit that answered in place of the one that was asked. With ``first`` the
    port's lock is waited for.
    """

    def __init__(
        self, client: ModbusBaseClient, parts: WireUrl, flight: Flight, *, rtu: bool, echo: bool, first: bool
    ) -> None:
        super().__init__(
            client.comm_params,
            client.ctx.framer,
            0,
            is_server=False,
            trace_packet=self._on_packet,
            trace_pdu=None,
            trace_connect=None,
        )
        self._parts = parts
        self.rtu = rtu
        self.strays = 0
        self.noise = 0
        self.echo = echo
        self.first = first
        self.sent = b""
        self.reply = b""
        self.lost: str | None = None
        self.deadline_s = TIMEOUT_S
        self.foreign_unit: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._asked_s = 0.0
        self._left = flight.left
        self._arrived = flight.arrived
        self._held = b""
        self._heard = b""
        self._unasked = b""
        self._echo_due = b""
        self._unit = 0
        self._undecided = False
        self._connected: asyncio.Future[None] = self.loop.create_future()
        self.response_future.cancel()  # nothing is asked yet

    async def connect(self) -> bool:
        """Open the port. Raises OSError with the reason, which pymodbus's own connect only logs."""
        self.is_closing = False
        if self.rtu:
            link = await open_serial_patiently(self._parts, self) if self.first else open_serial(self._parts, self)
            self.connection_made(link)
        else:
            self.transport, _ = await self.call_create()
            await self._connected
        return True

    def callback_connected(self) -> None:
        super().callback_connected()
        if not self._connected.done():
            self._connected.set_result(None)

    async def execute(self, no_response_expected: bool, request: ModbusPDU) -> ModbusPDU:  # noqa: FBT001, ARG002 - pymodbus's
        """Send one request and give the first reply that decodes. Raises ExchangeError."""
        loop = self.loop
        request.transaction_id = self.getNextTID()
        self.recv_buffer = self.reply = self._held = b""
        self.noise = 0
        self.foreign_unit = None
        self._heard = b""
        self._unit = request.dev_id
        self._undecided = self.rtu
        self.response_future = waiting = loop.create_future()
        self._asked_s = loop.time()
        self._timer = loop.call_at(self._asked_s + self.deadline_s, self._expire, waiting)
        write_timer = loop.call_at(self._asked_s + WRITE_S, self._expire_untaken, waiting)
        try:
            self.pdu_send(request)
            self._echo_due = self.sent if self.echo or request.function_code not in WRITES else b""
            pdu: ModbusPDU = await waiting
            return pdu
        finally:
            self._timer.cancel()
            write_timer.cancel()
            waiting.cancel()

    async def find_echo(self) -> bool:
        """Set ``echo`` and give it: a question to nobody goes out, and what comes back can only be itself."""
        body = bytes((NOBODY, 3, 0, 0, 0, 1))
        frame = body + FramerRTU.compute_CRC(body).to_bytes(2, "big")
        link = self.transport
        if not isinstance(link, asyncio.Transport):
            return False
        self._left(len(frame))
        link.write(frame)
        await asyncio.sleep(2 * len(frame) * 11 / self._parts.baud + ECHO_S)
        if frame in self._unasked:
            self.echo = True
            self.strays -= len(frame)
        self._unasked = b""
        return self.echo

    def hurry(self) -> None:
        """From its beginning on, the answer that is waited for gets no more than ``TIMEOUT_S``."""
        waiting, due_s = self.response_future, self._asked_s + TIMEOUT_S
        if not waiting.done() and self._timer is not None and self._timer.when() > due_s:
            self._timer.cancel()
            self._timer = self.loop.call_at(due_s, self._expire, waiting)

    def _on_packet(self, sending: bool, data: bytes) -> bytes:  # noqa: FBT001 - pymodbus's
        if sending:
            self.sent = data
            self._left(len(data))
        return data

    def data_received(self, data: bytes) -> None:
        # Not in trace_packet: of a reply in pieces it sees the first piece again with each later one.
        self._arrived(len(data))
        waiting = self.response_future
        if waiting.done():
            self.strays += len(data)
            self._unasked = (self._unasked + data)[-LONGEST_RTU:]
            return
        if len(self._heard) < LONGEST_RTU:
            self._heard += data
        if self._undecided:
            data = self._without_echo_and_noise(data)
            if not data:
                return
        self.reply += data
        try:
            super().data_received(data)
        except Exception as error:  # noqa: BLE001 - whatever foreign bytes make the decoder raise
            waiting.set_exception(ExchangeError(FrameError, f"a reply came that cannot be decoded ({error})"))
            self.abandon("the connection was given up after a reply that cannot be decoded")

    def _without_echo_and_noise(self, data: bytes) -> bytes:
        """What belongs to the reply; empty while that is open.

        An adapter with local echo repeats the request. For a read that cannot be a reply, and it is remembered; for a
        write it can, so it is taken off only where it is known to happen.
        """
        data = self._held + data
        self._held = b""
        echo = self._echo_due
        if echo:
            if data.startswith(echo):
                self.echo = True
                self._echo_due = b""
                data = data[len(echo) :]
            elif echo.startswith(data):
                self._held = data
                return b""
        first = data.find(self._unit)
        if first < 0:
            self.noise += len(data)
            return b""
        self.noise += first
        self._undecided = False
        return data[first:]

    def _untaken(self) -> bool:
        link = self.transport
        return isinstance(link, asyncio.WriteTransport) and link.get_write_buffer_size() > 0

    def _expire_untaken(self, waiting: asyncio.Future[ModbusPDU]) -> None:
        if not waiting.done() and self._untaken():
            waiting.set_exception(ExchangeError(WireTimeout, f"the far end took nothing within {WRITE_S:g} s"))

    def _expire(self, waiting: asyncio.Future[ModbusPDU]) -> None:
        if waiting.done():
            return
        came = len(self.reply) + len(self._held) + self.noise
        self.foreign_unit = self._who_else()
        if self.foreign_unit is not None:
            text = f"unit {self.foreign_unit} answered instead of unit {self._unit}"
            waiting.set_exception(ExchangeError(FrameError, text))
        elif came:
            waiting.set_exception(ExchangeError(FrameError, f"{came} bytes came that are no reply to this request"))
        else:
            what = "the far end took nothing" if self._untaken() else "no reply"
            waiting.set_exception(ExchangeError(WireTimeout, f"{what} within {self.deadline_s:g} s"))

    def _who_else(self) -> int | None:
        """The unit that answered in another's place; None if what came is no such answer."""
        heard = self._heard.removeprefix(self.sent)
        if self.rtu:
            unit = heard[0] if len(heard) > 4 and _is_frame(heard) else self._unit
        else:
            unit = heard[6] if len(heard) > 7 and heard[:2] == self.sent[:2] else self._unit
        return None if unit == self._unit else unit

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.lost = f"the far end is gone ({exc})" if exc else "the far end closed the connection"
        if not self.response_future.done():
            self.response_future.set_exception(ExchangeError(WireClosed, self.lost))

    def abandon(self, why: str) -> None:
        """Give the port up at once, without sending what may still wait to be sent."""
        if self.lost is None:
            self.lost = why
        transport = self.transport
        if isinstance(transport, asyncio.Transport):
            transport.abort()
        self.close()

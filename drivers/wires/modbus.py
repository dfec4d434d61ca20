"""Modbus RTU over a serial port and Modbus TCP, on pymodbus: one request out, its own answer back, or an error.

pymodbus builds and takes apart the frames. What it leaves to its user is done here: the wire repeats nothing
(``retries=0``), reconnects nothing, waits no longer than its caller says (``TIMEOUT_S`` where he says nothing), and
hands every decoded reply to a check of type, unit, function, length and, for a write, address and value.

RTU carries no transaction number, so a reply that comes after its deadline looks like the answer to the next
request. After any trouble the wire therefore

- waits until the line has been silent for ``QUIET_S`` (at most ``DRAIN_S``), then drops the port and opens it anew;
- before the next read from the unit that owes an answer, or write of function 16, asks that unit something of another
  function code and goes on only when that is answered, with data or with a Modbus exception. A unit answers in order,
  so whatever it still owed came first. A reply may be late by as many failed exchanges as there are read functions
  (four).

A write of functions 5 and 6 needs no such question: its reply repeats address and value. Other units of the line are
told apart by their number and are not held up. On TCP a new connection leaves nothing of the old one behind.

Sources: MODBUS Application Protocol Specification V1.1b3, chapters 6 and 7 (functions 1 to 6 and 16, exception codes);
MODBUS over Serial Line V1.02, 2.5.1.1 (silence of 3.5 characters between frames, 1.750 ms above 19 200 Bd).
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from functools import partial

from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.client.base import ModbusBaseClient
from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.bit_message import ReadCoilsResponse, ReadDiscreteInputsResponse
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersResponse,
    ReadInputRegistersResponse,
    WriteMultipleRegistersResponse,
)

from drivers.errors import DeviceRefused, FrameError, WireClosed
from drivers.wires import Flight, modbus_session
from drivers.wires.known_units import Known, KnownUnits
from drivers.wires.modbus_session import TIMEOUT_S, WRITES, Ask, Session
from drivers.wires.port import ExchangeError, PortWire
from drivers.wires.url import WireUrl

#: How long opening may take, in seconds.
OPEN_S = 1.0
#: The silence that ends a drain, and how long a line that is being drained may go on talking, in seconds.
QUIET_S = 0.05
DRAIN_S = 0.5

_BIT_FUNCTIONS = {"coils": 1, "discrete": 2}
_REGISTER_FUNCTIONS = {"holding": 3, "input": 4}
_RESPONSES: dict[int, type[ModbusPDU]] = {
    1: ReadCoilsResponse,
    2: ReadDiscreteInputsResponse,
    3: ReadHoldingRegistersResponse,
    4: ReadInputRegistersResponse,
    16: WriteMultipleRegistersResponse,
}
#: In which order functions are tried for the question whose answer proves that nothing older is on its way.
_QUESTIONS = (3, 1, 4, 2)

#: Reads are functions up to this one; only they are asked again when the far end is busy (6) or a gateway hears nothing
#: from its device (11): so often, after so long.
LAST_READ = 4
BUSY = (6, 11)
BUSY_TRIES = 2
BUSY_PAUSE_S = 0.05

_EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledge, still working",
    6: "server device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}


class _ModbusClientWire(PortWire):
    """What both kinds of Modbus wire share. Satisfies :class:`drivers.wires.ModbusWire`."""

    rtu: bool
    gap_s = 0.0

    def __init__(self, parts: WireUrl, flight: Flight) -> None:
        super().__init__(parts, flight)
        self._client: ModbusBaseClient | None = None
        self._session: Session | None = None
        self._suspect = False
        self._known = KnownUnits()
        self._owed: dict[int, list[int]] = {}  # unit: function codes of the reads it has not answered, oldest first
        self._free_at_s = 0.0

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
        """Read ``count`` coils (``table`` "coils", function 1) or discrete inputs ("discrete", function 2).

        Raises WireTimeout, WireClosed, FrameError, DeviceRefused (with the name of the Modbus exception).
        """
        ask = Ask(_BIT_FUNCTIONS[table], address, count, unit, deadline_s=deadline_s)
        pdu = await self._carried(partial(self._exchange, ask, device, doing, urgent=stop), stop=stop)
        return tuple(pdu.bits[:count])

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
        """Read ``count`` holding ("holding", function 3) or input registers ("input", function 4), unsigned 16 bit.

        Raises WireTimeout, WireClosed, FrameError, DeviceRefused.
        """
        ask = Ask(_REGISTER_FUNCTIONS[table], address, count, unit, deadline_s=deadline_s)
        pdu = await self._carried(partial(self._exchange, ask, device, doing, urgent=stop), stop=stop)
        return tuple(pdu.registers)

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
        """Write one coil (function 5), once. After a WireError it is unknown whether the device acted on it."""
        ask = Ask(5, address, 1, unit, int(on), deadline_s=deadline_s)
        await self._carried(partial(self._exchange, ask, device, doing, urgent=stop), stop=stop)

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
        """Write one holding register (function 6), once. After a WireError it is unknown whether it took effect."""
        ask = Ask(6, address, 1, unit, value, deadline_s=deadline_s)
        await self._carried(partial(self._exchange, ask, device, doing, urgent=stop), stop=stop)

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
        """Write neighbouring holding registers (function 16, at most 123), once, all in one request.

        The reply tells how many and from where, not the values. After a WireError it is unknown whether they took
        effect. Raises WireError, DeviceRefused.
        """
        ask = Ask(16, address, len(values), unit, values=tuple(values), deadline_s=deadline_s)
        await self._carried(partial(self._exchange, ask, device, doing, urgent=stop), stop=stop)

    def recognise(self, table: str, address: int, words: tuple[int, ...], *, unit: int) -> None:
        """After the port was opened anew, ask this unit nothing before these registers read like this again."""
        self._known.recognise(unit, Known(_REGISTER_FUNCTIONS[table], address, words))

    def forget(self, *, unit: int) -> None:
        """Ask this unit without such proof, since it is about to be asked who it is."""
        self._known.forget(unit)

    async def _exchange(self, ask: Ask, device: str, doing: str, *, urgent: bool) -> ModbusPDU:
        """One request and its checked reply, after making good what went wrong before. Raises DeviceError."""
        try:
            session = self._session
            if session is None or self._suspect or session.strays or session.lost is not None:
                session = await self._resynchronised(urgent=urgent)
                self._give_way(device, doing, urgent=urgent)
            # A stop's command does not wait for proof; what confirms it does.
            unproven = self._known.unproven(ask.unit) and not (urgent and ask.function > LAST_READ)
            if unproven:
                await self._prove(session, ask)
                self._give_way(device, doing, urgent=urgent)
            if self._owed and ask.unit in self._owed and ask.function not in WRITES:
                await self._settle(session, ask)
            await self._quiet_until(self._free_at_s)
            self._give_way(device, doing, urgent=urgent)
            pdu = await self._asked(session, ask)
            for _ in range(0 if urgent or ask.function > LAST_READ else BUSY_TRIES):
                if pdu.function_code == ask.function or pdu.exception_code not in BUSY:
                    break
                self.health.busy += 1
                await asyncio.sleep(BUSY_PAUSE_S)
                self._give_way(device, doing, urgent=urgent)
                pdu = await self._asked(session, ask)
        except ExchangeError as trouble:
            raise trouble.of(device, doing) from None
        if pdu.function_code != ask.function:
            code = pdu.exception_code
            refusal = DeviceRefused(device, doing, f"Modbus exception {code} ({_EXCEPTIONS.get(code, 'unknown code')})")
            refusal.code = code
            raise refusal
        return pdu

    async def _asked(self, session: Session, ask: Ask) -> ModbusPDU:
        """One request and its reply, data or exception, checked. Raises ExchangeError and leaves the wire suspect."""
        assert self._client is not None
        loop = session.loop
        await self._quiet_until(self._free_at_s)
        session.deadline_s = modbus_session.TIMEOUT_S if ask.deadline_s is None else ask.deadline_s
        try:
            pdu: ModbusPDU = await self._client.execute(no_response_expected=False, request=ask.pdu())
            self._check(session, ask, pdu)
        except ExchangeError:
            self._suspect = True
            if session.foreign_unit is not None:
                self.health.heard_unit(session.foreign_unit, ask.unit, loop.time())
            if session.lost is not None:
                self.pace.failed()
            if self.rtu and ask.function not in WRITES:
                self._owed.setdefault(ask.unit, []).append(ask.function)
            raise
        finally:
            if self.gap_s:
                self._free_at_s = loop.time() + self.gap_s
        if session.echo:
            self.health.echoed()
        return pdu

    def _check(self, session: Session, ask: Ask, pdu: ModbusPDU) -> None:
        """Type, unit, transaction, function, length; address and value of a write. Raises ExchangeError(FrameError)."""
        function = ask.function
        reply = session.reply
        around = 3 if self.rtu else 7
        if pdu.dev_id != ask.unit:
            session.foreign_unit = pdu.dev_id
            wrong = f"of unit {pdu.dev_id}"
        elif not self.rtu and reply[:2] != session.sent[:2]:
            wrong = "to another transaction"
        elif pdu.function_code == function | 0x80:
            if len(reply) == around + 2:
                return
            wrong = f"of {len(reply)} bytes to function {function}"
        elif pdu.function_code != function:
            wrong = f"to function {pdu.function_code} instead of {function}"
        elif len(reply) != around + ask.reply_length():
            wrong = f"of {len(reply)} bytes instead of {around + ask.reply_length()}"
        elif function in WRITES:
            if reply == session.sent:
                return
            wrong = "that repeats another address or value"
        elif function == 16 and (pdu.address, pdu.count) != (ask.address, ask.points):
            wrong = f"about {pdu.count} registers at {pdu.address} instead of {ask.points} at {ask.address}"
        elif type(pdu) is _RESPONSES[function]:
            return
        else:
            wrong = f"of the wrong kind {type(pdu).__name__}"
        raise ExchangeError(FrameError, f"a reply {wrong} came")

    async def _settle(self, session: Session, ask: Ask) -> None:
        """Ask a unit that owes an answer something that no late answer can be taken for. Raises ExchangeError."""
        unit = ask.unit
        owed = self._owed[unit]
        function = next((function for function in _QUESTIONS if function not in owed), 0)
        if not function:
            function = owed.pop(0)
            owed[:] = [other for other in owed if other != function]
        await self._asked(session, Ask(function, 0, 1, unit, deadline_s=ask.deadline_s))
        del self._owed[unit]

    async def _prove(self, session: Session, ask: Ask) -> None:
        """Have a unit tell who it is, after the port was opened anew. Raises ExchangeError if it is another."""
        question = self._known.question(ask.unit, ask.deadline_s)
        if question.function in self._owed.get(ask.unit, ()):
            await self._settle(session, ask)
        pdu = await self._asked(session, question)
        self._owed.pop(ask.unit, None)  # it answered another function than it owed, so that came first
        if (
            differs := self._known.differs(ask.unit, tuple(pdu.registers) if pdu.function_code < 0x80 else ())
        ) is not None:
            raise ExchangeError(FrameError, differs)

    async def _resynchronised(self, *, urgent: bool) -> Session:
        """A session on which no byte of the past is on its way. Raises ExchangeError."""
        session = self._session
        if session is not None:
            self.health.strayed(session.strays)
        if session is not None and session.lost is not None:
            self._drop(session.lost)
            session = await self._opened(echo=session.echo, free=urgent)
        if session is not None and self.rtu:
            await self._silence(session, urgent=urgent)
        echo = session is not None and session.echo
        if session is None or self._suspect or session.lost is not None:
            self._drop("the line is resynchronised")
            session = await self._opened(echo=echo, free=urgent)
        self._suspect = False
        return session

    async def _silence(self, session: Session, *, urgent: bool) -> None:
        """Wait for QUIET_S without a byte; what is urgent waits once. Raises ExchangeError when it does not come."""
        end_s = session.loop.time() + DRAIN_S
        while True:
            session.strays = 0
            await asyncio.sleep(QUIET_S)
            if urgent or not session.strays or session.lost is not None:
                session.strays = 0
                return
            if session.loop.time() >= end_s or self._port.stop_waits:
                raise ExchangeError(FrameError, f"the line did not fall silent for {DRAIN_S:g} s")

    async def _open_first(self) -> None:
        if self._session is None or self._session.lost is not None:
            self._drop("the port is opened anew")
            session = await self._opened(echo=False, free=True, first=True)
            if self.rtu and await session.find_echo():
                self.health.echoed()

    async def _opened(self, *, echo: bool, free: bool, first: bool = False) -> Session:
        self._turn_to_connect(free=free)
        try:
            client = self._make_client()
            session = Session(client, self._parts, self._flight, rtu=self.rtu, echo=echo, first=first)
            client.ctx = session
            async with asyncio.timeout(OPEN_S):
                await session.connect()
        except TimeoutError:
            self.pace.failed()
            raise ExchangeError(WireClosed, f"{self.url} did not open within {OPEN_S:g} s") from None
        except (OSError, ValueError) as error:
            self.pace.failed()
            raise ExchangeError(WireClosed, f"{self.url} cannot be opened ({error})") from None
        self._client, self._session = client, session
        self._known.opened()
        return session

    def _hurry(self) -> None:
        """A stop waits: the exchange under way gets no more than ``TIMEOUT_S`` from its beginning."""
        if self._session is not None:
            self._session.hurry()

    async def _free(self) -> None:
        self._drop("the port was closed")
        await asyncio.sleep(0)  # the transport's own last callback

    def _drop(self, why: str) -> None:
        session, self._session, self._client = self._session, None, None
        if session is not None:
            session.abandon(why)

    @abstractmethod
    def _make_client(self) -> ModbusBaseClient:
        """pymodbus's client for this kind of port, not yet open."""


class ModbusRtu(_ModbusClientWire):
    """``modbus-rtu:///dev/ttyUSB1?baud=9600``: several units may share it."""

    rtu = True

    def __init__(self, parts: WireUrl, flight: Flight) -> None:
        super().__init__(parts, flight)
        self.gap_s = 3.5 * 11 / parts.baud if parts.baud <= 19_200 else 1.75e-3

    def _make_client(self) -> ModbusBaseClient:
        # The session opens the port itself, with the settings of the url.
        return AsyncModbusSerialClient(self._parts.path, timeout=TIMEOUT_S, retries=0, reconnect_delay=0)


class ModbusTcp(_ModbusClientWire):
    """``modbus-tcp://host:port``"""

    rtu = False

    def _make_client(self) -> ModbusBaseClient:
        parts = self._parts
        return AsyncModbusTcpClient(parts.host, port=parts.port, timeout=TIMEOUT_S, retries=0, reconnect_delay=0)

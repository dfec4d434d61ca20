"""A wire through another process carries what the wire itself would, one exchange at a time, and can be taken back."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from drivers import DeviceError, DeviceRefused, FrameError, WireClosed, WireTimeout
from drivers.wires import Flight, Wire, relayed
from drivers.wires.lending import Lending
from drivers.wires.port import PortWire
from drivers.wires.relayed import Lease, RelayedLines, RelayedModbus
from drivers.wires.url import parse_url, wire_key
from tests.bench.benchtop import cancel

MODBUS = "modbus-tcp://10.0.0.9:502"
LINES = "tcp://10.0.0.9:5025"


class Port:
    """The owner's wire: remembers what it was asked, answers as told."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.opened = self.closed = 0
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.recognised: list[tuple[str, str, float]] = []
        self.distrusted = 0
        self.answer: Any = None
        self.hold: asyncio.Event | None = None

    async def open(self) -> None:
        self.opened += 1

    async def close(self) -> None:
        self.closed += 1

    def forget(self, *, unit: int) -> None:
        """Nobody is known at this port."""

    async def _do(self, act: str, *values: Any, **asked: Any) -> Any:
        self.asked.append((act, {"": values, **asked}))
        if self.hold is not None:
            await self.hold.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def __getattr__(self, act: str) -> Any:
        if act.startswith("_"):
            raise AttributeError(act)
        return lambda *values, **asked: self._do(act, *values, **asked)

    def recognise(self, question: str, answer: str, *, pause_s: float = 0.0) -> None:
        self.recognised.append((question, answer, pause_s))

    def distrust(self) -> None:
        self.distrusted += 1


class Pair:
    """Both ends, and the ports that the owner has made."""

    def __init__(self, lease: Lease, lending: Lending, ports: dict[str, Port]) -> None:
        self.lease, self.lending, self.ports = lease, lending, ports

    async def modbus(self) -> RelayedModbus:
        wire = self.lease.wire(MODBUS)
        assert isinstance(wire, RelayedModbus)
        await wire.open()
        return wire

    async def lines(self) -> RelayedLines:
        wire = self.lease.wire(LINES)
        assert isinstance(wire, RelayedLines)
        await wire.open()
        return wire


@asynccontextmanager
async def pair() -> AsyncIterator[Pair]:
    ours, theirs = socket.socketpair()
    ports: dict[str, Port] = {}

    def make(url: str) -> Wire:
        return ports.setdefault(url, Port(url))

    lending, lease = Lending(ours, make), Lease(theirs)
    serving = asyncio.create_task(lending.run())
    await lease.start()
    try:
        yield Pair(lease, lending, ports)
    finally:
        await lease.close()
        await serving
        await lending.close()


async def test_every_exchange_arrives_as_it_was_asked_and_its_answer_as_it_was_given() -> None:
    async with pair() as both:
        wire = await both.modbus()
        port = both.ports[MODBUS]
        assert port.opened == 1
        port.answer = (True, False)
        bits = await wire.read_bits("coils", 4, 2, unit=3, device="io1", doing="looking", stop=True)
        assert bits == (True, False)
        port.answer = (1, 65535)
        words = await wire.read_registers("input", 8, 2, unit=3, device="io1", doing="looking", deadline_s=1.5)
        assert words == (1, 65535)
        port.answer = None
        await wire.write_bit(0, on=True, unit=3, device="io1", doing="closing")
        await wire.write_register(488, 40, unit=3, device="io1", doing="setting")
        await wire.write_registers(10, (1, 2), unit=3, device="io1", doing="setting")
        acts = [act for act, _ in port.asked]
        assert acts == ["read_bits", "read_registers", "write_bit", "write_register", "write_registers"]
        assert port.asked[0][1]["stop"] is True
        assert {key: port.asked[1][1][key] for key in ("table", "address", "count", "unit", "deadline_s")} == {
            "table": "input", "address": 8, "count": 2, "unit": 3, "deadline_s": 1.5,
        }  # fmt: skip
        assert port.asked[2][1]["on"] is True
        await wire.close()
        assert port.closed == 0  # the owner keeps it


async def test_lines_take_what_the_driver_said_about_recovering_with_them() -> None:
    async with pair() as both:
        wire = await both.lines()
        port = both.ports[LINES]
        port.answer = "EA, PSB"
        assert await wire.query("*IDN?", device="psb", doing="asking") == "EA, PSB"
        assert port.recognised == []
        wire.recognise("*IDN?", "EA, PSB", pause_s=0.1)
        wire.distrust()
        await wire.send("OUTP OFF", device="psb", doing="making safe", stop=True, pause_s=0.2)
        assert port.recognised == [("*IDN?", "EA, PSB", 0.1)]
        assert port.distrusted == 1
        assert port.asked[-1][1]["pause_s"] == 0.2
        await wire.send("OUTP OFF", device="psb", doing="making safe")
        assert port.distrusted == 1
        await wire.close()


@pytest.mark.parametrize("kind", [WireTimeout, WireClosed, FrameError, DeviceRefused])
async def test_what_goes_wrong_keeps_its_kind_and_names_the_caller(kind: type[DeviceError]) -> None:
    async with pair() as both:
        wire = await both.modbus()
        error = kind("", "", "Modbus exception 2", "mend it")
        if isinstance(error, DeviceRefused):
            error.code = 2
        both.ports[MODBUS].answer = error
        with pytest.raises(kind) as raised:
            await wire.read_bits("coils", 0, 1, unit=1, device="io1", doing="looking")
        fault = raised.value.faults[0]
        assert (fault.error, fault.where, fault.fix) == ("Modbus exception 2 while looking", "io1", "mend it")
        if isinstance(raised.value, DeviceRefused):
            assert raised.value.code == 2
        await wire.close()


async def test_a_slip_at_the_owners_end_is_an_error_of_the_wire() -> None:
    async with pair() as both:
        wire = await both.modbus()
        both.ports[MODBUS].answer = ZeroDivisionError("a slip")
        with pytest.raises(WireClosed, match="a slip"):
            await wire.read_bits("coils", 0, 1, unit=1, device="io1", doing="looking")
        await wire.close()


async def test_a_stop_is_the_next_to_leave_and_what_was_given_up_is_never_sent() -> None:
    async with pair() as both:
        wire = await both.modbus()
        port = both.ports[MODBUS]
        port.hold = asyncio.Event()

        async def write(address: int, *, stop: bool = False) -> None:
            await wire.write_bit(address, on=not stop, unit=1, device="io1", doing="switching", stop=stop)

        first = asyncio.create_task(write(1))
        await asyncio.sleep(0.05)
        given_up, second = asyncio.create_task(write(2)), asyncio.create_task(write(3))
        stop = asyncio.create_task(write(0, stop=True))
        await asyncio.sleep(0)
        await cancel(given_up)
        port.hold.set()
        await asyncio.gather(first, second, stop)
        assert [asked["address"] for _, asked in port.asked] == [1, 0, 3]
        await wire.close()


async def test_once_the_owner_has_taken_it_back_nothing_is_carried_for_the_borrower() -> None:
    async with pair() as both:
        wire = await both.modbus()
        port = both.ports[MODBUS]
        port.hold = asyncio.Event()
        waiting = asyncio.create_task(wire.write_bit(1, on=True, unit=1, device="io1", doing="closing"))
        await asyncio.sleep(0.05)
        both.lending.take_back("the guardian has taken the port")
        with pytest.raises(WireClosed, match="taken the port"):
            await waiting
        with pytest.raises(WireClosed, match="taken the port"):
            await wire.write_bit(1, on=True, unit=1, device="io1", doing="closing")
        assert len(port.asked) == 1
        port.hold.set()
        assert both.lending.wires == {wire_key(MODBUS): port}
        await wire.close()


async def test_an_answer_that_comes_after_its_asker_has_left_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relayed, "RELAY_S", 0.1)
    async with pair() as both:
        wire = await both.modbus()
        port = both.ports[MODBUS]
        port.hold, port.answer = asyncio.Event(), (7,)
        with pytest.raises(WireTimeout, match="owner"):
            await wire.read_registers("input", 0, 1, unit=1, device="io1", doing="looking", deadline_s=0.1)
        hold, port.hold = port.hold, None
        port.answer = (8,)
        late = asyncio.create_task(
            wire.read_registers("input", 1, 1, unit=1, device="io1", doing="looking", deadline_s=0.5)
        )
        hold.set()
        assert await late == (8,)
        await wire.close()


async def test_a_dead_owner_fails_what_is_under_way_and_the_port_is_then_opened_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with pair() as both:
        wire, lines = await both.modbus(), await both.lines()
        own: dict[str, Port] = {}
        monkeypatch.setattr(relayed, "make_wire", lambda url: own.setdefault(url, Port(url)))
        both.ports[MODBUS].hold = asyncio.Event()
        under_way = asyncio.create_task(wire.write_bit(0, on=True, unit=1, device="io1", doing="closing"))
        await asyncio.sleep(0.05)
        both.lending._sock.shutdown(socket.SHUT_RDWR)  # as the end of its process does
        with pytest.raises(WireClosed, match="gone"):
            await under_way
        await wire.write_bit(0, on=False, unit=1, device="io1", doing="opening", stop=True)
        assert own[MODBUS].opened == 1
        (act, asked) = own[MODBUS].asked[0]
        assert (act, asked["on"], asked["stop"], asked["device"]) == ("write_bit", False, True, "io1")
        await lines.send("OUTP OFF", device="psb", doing="making safe", stop=True)
        assert own[LINES].asked[0][1]["line"] == "OUTP OFF"
        await wire.close()
        await lines.close()
        assert own[MODBUS].closed == own[LINES].closed == 1


async def test_a_lease_that_is_given_up_fails_at_once_and_opens_nothing() -> None:
    async with pair() as both:
        wire = await both.modbus()
        both.lease.give_up("no heartbeat")
        with pytest.raises(WireClosed, match="no heartbeat"):
            await wire.read_bits("coils", 0, 1, unit=1, device="io1", doing="looking")
        await wire.close()


async def test_what_is_no_request_ends_nothing_but_itself() -> None:
    async with pair() as both:
        wire = await both.modbus()
        assert both.lease._writer is not None
        both.lease._writer.write(b'{"id": 99, "url": "modbus-tcp://10.0.0.9:502", "act": "close"}\n')
        both.ports[MODBUS].answer = (True,)
        assert await wire.read_bits("coils", 0, 1, unit=1, device="io1", doing="looking") == (True,)
        assert both.ports[MODBUS].closed == 0
        await wire.close()


class Lost(PortWire):
    """The owner's wire when its connection is lost: it takes 0.3 s to connect anew, and gives way to a stop then."""

    def __init__(self, url: str) -> None:
        super().__init__(parse_url(url), Flight())
        self.up = False
        self.sent: list[bool] = []

    async def _open_first(self) -> None:
        return

    async def _free(self) -> None:
        return

    def forget(self, *, unit: int) -> None:
        """Nobody is known at this port."""

    async def write_bit(self, address: int, *, on: bool, device: str, doing: str, stop: bool, **_: Any) -> None:
        async def exchange() -> None:
            if not self.up:
                await asyncio.sleep(0.3)
                self.up = True
                self._give_way(device, doing, urgent=stop)
            self.sent.append(on)

        await self._carried(exchange, stop=stop)


@pytest.mark.fault("F25")
@pytest.mark.parametrize("orphaned", [False, True])
def test_what_was_given_up_never_follows_the_stop_that_overtook_it(
    orphaned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> list[bool]:
        ours, theirs = socket.socketpair()
        owners: list[Lost] = []

        def make(url: str) -> Wire:
            owners.append(Lost(url))
            return owners[-1]

        monkeypatch.setattr(relayed, "make_wire", make)
        lending, lease = Lending(ours, make), Lease(theirs)
        serving = asyncio.create_task(lending.run())
        await lease.start()
        wire = lease.wire(MODBUS)
        assert isinstance(wire, RelayedModbus)
        await wire.open()
        if orphaned:
            await cancel(serving)
            await asyncio.sleep(0.05)
            assert lease.orphaned
        closing = asyncio.create_task(wire.write_bit(0, on=True, unit=1, device="io1", doing="closing"))
        await asyncio.sleep(0.1)
        closing.cancel()
        await wire.write_bit(0, on=False, unit=1, device="io1", doing="opening", stop=True)
        await asyncio.sleep(0.5)
        await wire.close()
        await lease.close()
        await cancel(serving)
        await lending.close()
        return owners[-1].sent

    assert asyncio.run(scene()) == [False]

"""The rig driver against a PLC written byte by byte on a real socket: what leaves, how often, and in what order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import pytest

from drivers.capabilities import DeviceSettings, Stroke
from drivers.errors import DeviceError, DeviceRefused, FrameError, ReadbackMismatch, WrongDevice
from drivers.penetration_rig import PenetrationRig
from drivers.profiles import builtin
from drivers.rig_profile import parse
from drivers.wires.opening import make_wire
from tests.drivers.icpdas_modules import clock
from tests.drivers.modbus_peers import TcpPeer, words

READY, ARMED, APPROACH, STOPPED = 3, 4, 5, 11
STROKE = Stroke(
    tool="nail",
    depth_mm=13.5,
    speed_mm_s=25.0,
    approach_mm_s=10.0,
    retract_mm_s=5.0,
    thickness_mm=15.0,
    contact_force_n=20.0,
    force_stop_n=50e3,
    link_watchdog_s=0.5,
)


class Plc:
    """Registers of the reference map (its table, 0-based). A command takes effect when its number is new."""

    def __init__(self) -> None:
        self.registers = dict.fromkeys([*range(50), *range(100, 132), *range(200, 204)], 0)
        self.registers |= {0: 1, 1: 3, 3: READY, 4: 1, 8: 0x3FFF, 18: 0x8E94}
        self.commands: list[tuple[int, ...]] = []
        self.done: list[int] = []
        self.drop: Callable[[bytes], bool] = lambda _: False
        self.hold: Callable[[bytes], float] = lambda _: 0.0
        self.result = 0
        self.beats = True

    def script(self, request: bytes) -> Iterable[tuple[float, bytes]]:
        pdu = request[7:]
        function, address = pdu[0], int.from_bytes(pdu[1:3], "big")
        if self.beats:
            self.registers[2] += 1
        if function == 3:
            count = int.from_bytes(pdu[3:5], "big")
            if any(at not in self.registers for at in range(address, address + count)):
                reply = bytes((0x83, 2))
            else:
                reply = b"\x03" + words(*(self.registers[at] for at in range(address, address + count)))
        else:
            values = [int.from_bytes(pdu[6 + at : 8 + at], "big") for at in range(0, len(pdu) - 6, 2)]
            reply = self._written(address, values) if function == 16 else pdu
            reply = reply or pdu[:5]
        if self.drop(pdu):
            return []
        head = request[:4] + (len(reply) + 1).to_bytes(2, "big") + request[6:7]
        return [(self.hold(pdu), head + reply)]

    def _written(self, address: int, values: list[int]) -> bytes:
        if address != 200:
            self.registers.update(enumerate(values, address))
            return b""
        self.commands.append(tuple(values))
        number, code = values[0], values[1]
        if number != self.registers[5]:
            self.done.append(code)
            self.registers |= {5: number, 6: code, 7: self.result}
            state = {2: ARMED, 3: APPROACH, 4: STOPPED, 7: READY}.get(code)
            if state is not None and not self.result:
                self.registers[3] = state
        return b""


@asynccontextmanager
async def rig_on(plc: Plc, *points: str) -> AsyncIterator[tuple[PenetrationRig, TcpPeer]]:
    async with TcpPeer(plc.script) as peer:
        wire = make_wire(peer.url)
        await wire.open()
        rig = PenetrationRig(
            parse(builtin("reference"), "reference.toml"),
            DeviceSettings(name="rig", wire=wire, clock=clock(), points=points),
        )
        try:
            yield rig, peer
        finally:
            await rig.close()
            await wire.close()


async def test_the_four_words_of_a_command() -> None:
    """FC16, 4 registers from 200: number, command, key, heartbeat (reference map, [command])."""
    plc = Plc()
    plc.registers[5] = 0xFFFF  # the number wraps round
    async with rig_on(plc) as (rig, peer):
        await rig.arm()
        frame = next(request for request in peer.requests if request[7] == 16)
        assert frame[6:] == bytes.fromhex("01 10 00 C8 00 04 08 00 00 00 02 A5 5A 00 01")


async def test_a_parameter_is_written_alone_in_the_words_of_the_map() -> None:
    """25 mm/s is 25 000 um/s = 0x61A8; 50 kN is 500 000 tenths of a newton = 0x0007A120; CDAB: low word first."""
    plc = Plc()
    async with rig_on(plc) as (rig, peer):
        await rig.prepare(STROKE)
        sent = {request[7:] for request in peer.requests if request[7] == 16}
        assert bytes.fromhex("10 00 68 00 02 04 61 A8 00 00") in sent
        assert bytes.fromhex("10 00 6C 00 02 04 A1 20 00 07") in sent
        assert bytes.fromhex("10 00 6E 00 02 04 00 00 80 00") in sent  # no voltage stop
        assert bytes.fromhex("10 00 78 00 01 02 01 F4") in sent  # 500 ms


@pytest.mark.fault("F23")
async def test_a_parameter_that_reads_back_as_another_is_named() -> None:
    plc = Plc()
    async with rig_on(plc) as (rig, _):
        written = plc._written

        def forgetful(address: int, values: list[int]) -> bytes:
            reply = written(address, values)
            plc.registers[104] = 1
            return reply

        plc._written = forgetful  # type: ignore[method-assign] # a PLC that keeps another speed
        with pytest.raises(ReadbackMismatch, match="speed_mm_s"):
            await rig.prepare(STROKE)


@pytest.mark.fault("F15")
async def test_a_lost_reply_sends_the_same_frame_again_and_acts_once() -> None:
    plc = Plc()
    lost: list[bytes] = []

    def first_command(pdu: bytes) -> bool:
        if pdu[0] == 16 and not lost:
            lost.append(pdu)
            return True
        return False

    plc.drop = first_command
    async with rig_on(plc) as (rig, _):
        await rig.arm()
        assert plc.done == [2]
        assert len(set(plc.commands)) == 1


@pytest.mark.parametrize(
    ("result", "words_"), [(1, "busy"), (3, "bad parameter"), (4, "remote"), (5, "wrong state"), (6, "not armed")]
)
async def test_a_refusal_is_told_in_words_and_not_repeated(result: int, words_: str) -> None:
    plc = Plc()
    plc.result = result
    async with rig_on(plc) as (rig, _):
        with pytest.raises(DeviceRefused, match=words_):
            await rig.start()
        assert plc.done == [3]


async def test_an_open_interlock_is_named() -> None:
    """Bit 0 of register 8 is the door, bit 4 the exhaust flow."""
    plc = Plc()
    plc.result = 2
    plc.registers[8] = 0x3FFF & ~0b10001
    async with rig_on(plc) as (rig, _):
        with pytest.raises(DeviceRefused, match="door_closed, exhaust_flow"):
            await rig.start()


@pytest.mark.fault("F56")
async def test_a_start_that_waits_is_never_sent_once_a_stop_was_asked_for() -> None:
    """The wire is busy with a slow answer; START queues behind it, STOP comes: only STOP leaves."""
    plc = Plc()
    plc.registers[3] = ARMED
    async with rig_on(plc) as (rig, peer):
        plc.hold = lambda pdu: 0.15 if pdu == bytes.fromhex("03 00 05 00 03") else 0.0
        starting = asyncio.ensure_future(rig.start())
        await peer.until(lambda requests: any(request[7:] == bytes.fromhex("03 00 05 00 03") for request in requests))
        plc.hold = lambda _: 0.0
        await rig.stop()
        with pytest.raises(DeviceError, match="stop"):
            await starting
        assert plc.done == [4]


@pytest.mark.fault("F24")
async def test_stop_tries_three_times_and_says_when_it_is_not_confirmed() -> None:
    plc = Plc()
    plc.registers[3] = APPROACH
    plc.result = 1
    async with rig_on(plc) as (rig, _):
        with pytest.raises(DeviceError):
            await rig.stop()
        assert plc.done == [4, 4, 4]


@pytest.mark.fault("F38")
async def test_a_plc_whose_program_stands_still_is_no_rig() -> None:
    plc = Plc()
    plc.beats = False
    async with rig_on(plc) as (rig, _):
        with pytest.raises(WrongDevice, match="does not run"):
            await rig.connect()
    assert plc.commands == []


@pytest.mark.fault("F40")
@pytest.mark.parametrize(("register", "value"), [(0, 2), (1, 7)])
async def test_another_map_is_another_device(register: int, value: int) -> None:
    plc = Plc()
    plc.registers[register] = value
    async with rig_on(plc) as (rig, _):
        with pytest.raises(WrongDevice, match=str(value)):
            await rig.connect()


async def test_a_state_that_the_map_does_not_know_is_no_reading() -> None:
    plc = Plc()
    plc.registers[3] = 99
    async with rig_on(plc) as (rig, _):
        with pytest.raises(FrameError, match="99"):
            await rig.read()


async def test_a_poll_is_one_request_and_converts() -> None:
    """3.65 V is 36 500 tenths of a millivolt = 0x8E94; -1 degC is -10 = 0xFFF6; 101.3 kPa is 1013."""
    plc = Plc()
    plc.registers |= {10: 0x86A0, 11: 1, 12: 0x61A8, 22: 0xFFF6, 34: 1013}
    async with rig_on(plc, "door_closed", "t1", "pressure") as (rig, peer):
        readings = await rig.read()
        assert len(peer.requests) == 1
    values = {reading.channel: reading.value for reading in readings}
    assert tuple(values) == rig.channels
    assert values == {
        "rig.nail.position_mm": pytest.approx(100.0),
        "rig.nail.speed_mm_s": pytest.approx(25.0),
        "rig.nail.force_n": 0.0,
        "rig.nail.voltage_v": pytest.approx(3.65),
        "rig.nail.state": 3.0,
        "rig.door_closed.on": 1.0,
        "rig.t1.temperature_c": pytest.approx(-1.0),
        "rig.pressure.pressure_kpa": pytest.approx(101.3),
    }

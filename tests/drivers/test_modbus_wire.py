"""The Modbus wire against far ends written byte by byte, on real ptys and sockets."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from drivers.errors import DeviceRefused, FrameError, WireClosed, WireError, WireTimeout
from drivers.wires import Flight, modbus_session
from drivers.wires import modbus as modbus_module
from drivers.wires.modbus import ModbusRtu, ModbusTcp
from drivers.wires.opening import make_wire
from tests.drivers.modbus_peers import PtyPeer, Script, TcpPeer, crc, rtu, words

Wire = ModbusRtu | ModbusTcp
FAST_S = 0.15


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines short enough to wait for many of them."""
    monkeypatch.setattr(modbus_session, "TIMEOUT_S", FAST_S)
    monkeypatch.setattr(modbus_module, "QUIET_S", 0.02)
    monkeypatch.setattr(modbus_module, "DRAIN_S", 0.2)


def wire_for(url: str, flight: Flight | None = None) -> Wire:
    wire = make_wire(url, flight=flight or Flight())
    assert isinstance(wire, ModbusRtu | ModbusTcp)
    return wire


async def registers(
    wire: Wire, address: int, count: int = 1, *, unit: int = 1, table: str = "holding"
) -> tuple[int, ...]:
    return await wire.read_registers(table, address, count, unit=unit, device="dev", doing="reading")


async def bits(wire: Wire, address: int, count: int, *, unit: int = 1, table: str = "coils") -> tuple[bool, ...]:
    return await wire.read_bits(table, address, count, unit=unit, device="dev", doing="reading")


async def write_bit(wire: Wire, address: int, value: bool, *, unit: int = 1, stop: bool = False) -> None:
    await wire.write_bit(address, on=value, unit=unit, device="dev", doing="switching", stop=stop)


def truth(address: int) -> int:
    """What every register of the honest device holds."""
    return address * 7 + 3


def honest(request: bytes) -> bytes:
    """The right answer to any request of functions 1 to 6, as an RTU frame."""
    unit, function = request[0], request[1]
    address, count = int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big")
    if function in (5, 6):
        return request
    if function in (1, 2):
        packed = sum((truth(address + index) & 1) << index for index in range(count))
        size = (count + 7) // 8
        return rtu(unit, function, size, packed.to_bytes(size, "little"))
    return rtu(unit, function, words(*(truth(address + index) for index in range(count))))


def now(request: bytes) -> Iterable[tuple[float, bytes]]:
    return [(0, honest(request))]


def nothing(_: bytes) -> Iterable[tuple[float, bytes]]:
    return []


def honest_tcp(request: bytes) -> bytes:
    reply = honest(request[6:] + b"\0\0")[:-2] if request[7] < 5 else request[6:]
    return request[:4] + len(reply).to_bytes(2, "big") + reply


async def until_answered(attempt: Callable[[], object], tries: int) -> object:
    """The first result of up to ``tries`` attempts; WireErrors count as one."""
    for index in range(tries):
        try:
            return await attempt()  # type: ignore[misc]
        except WireError:
            assert index + 1 < tries, f"not recovered after {tries} attempts"
    return None


# The frames that the sources print: the peer's CRC is right, and so are the wire's frames.


@pytest.mark.parametrize(
    "frame",
    [
        "01 10 01 12 00 02 04 0B B8 00 00 FC EB",  # Delta ASDA-A2 manual, p. 589
        "01 10 01 12 00 02 E0 31",  # the same, its reply
        "01 86 02 C3 A1",  # Delta ASDA-B manual, p. 249
        "01 05 01 92 FF 00 2C 2B",
        "01 03 01 FB 00 03 75 C6",
        "01 03 06 08 BC 44 44 0B A5 E2 48",
        "01 06 01 F4 09 58 CE 6E",
    ],
)
def test_crc_of_printed_frames(frame: str) -> None:
    raw = bytes.fromhex(frame)
    assert crc(raw[:-2]) == raw[-2:]


async def test_printed_frames_cross_the_wire() -> None:
    replies = {
        bytes.fromhex("01 03 01 FB 00 03 75 C6"): bytes.fromhex("01 03 06 08 BC 44 44 0B A5 E2 48"),
        bytes.fromhex("01 05 01 95 FF 00 9D EA"): bytes.fromhex("01 05 01 95 FF 00 9D EA"),
        bytes.fromhex("01 05 01 95 00 00 DC 1A"): bytes.fromhex("01 05 01 95 00 00 DC 1A"),
        bytes.fromhex("01 06 01 F4 09 58 CE 6E"): bytes.fromhex("01 06 01 F4 09 58 CE 6E"),
    }
    async with PtyPeer(lambda request: [(0, replies[request])]) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        assert await registers(wire, 507, 3) == (0x08BC, 0x4444, 0x0BA5)
        await write_bit(wire, 405, True)
        await write_bit(wire, 405, False)
        await wire.write_register(500, 0x0958, unit=1, device="dev", doing="setting")
        await wire.close()
        assert peer.requests == list(replies)


@pytest.mark.parametrize("table", ["coils", "discrete"])
async def test_bits_least_significant_first(table: str) -> None:
    """V1.1b3, 6.1 and 6.2: the first point is the least significant bit of the first byte."""
    function = 1 if table == "coils" else 2
    async with PtyPeer(lambda request: [(0, rtu(request[0], function, 2, 0b00000101, 0b1))]) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        assert await bits(wire, 0, 9, table=table) == (True, False, True, *(False,) * 5, True)
        await wire.close()


async def test_modbus_tcp_frames() -> None:
    """V1.1b3 with the MBAP header: transaction, protocol 0, length, unit."""
    async with TcpPeer(lambda request: [(0, honest_tcp(request))]) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        assert await registers(wire, 0x006B, 3, unit=17, table="input") == (truth(107), truth(108), truth(109))
        await wire.close()
        assert peer.requests[0][2:] == bytes.fromhex("00 00 00 06 11 04 00 6B 00 03")


async def test_exception_is_refused_by_name_and_is_no_trouble() -> None:
    async with PtyPeer(lambda request: [(0, rtu(request[0], request[1] | 0x80, 2))]) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        with pytest.raises(DeviceRefused, match="illegal data address"):
            await registers(wire, 9)
        peer.script = now
        assert await registers(wire, 9) == (truth(9),)
        assert len(peer.requests) == 2
        await wire.close()


# M1 to M7: what the library does by itself, and what the wire makes of it.


def in_order(delays_s: list[float], log: list[bytes] | None = None) -> Script:
    """A device that answers one request after another, the first ones late: a reply never overtakes another."""
    free_at: list[float] = [0.0]

    def script(request: bytes) -> Iterable[tuple[float, bytes]]:
        if log is not None:
            log.append(request)
        time_s = asyncio.get_running_loop().time()
        start_s = max(time_s, free_at[0])
        free_at[0] = start_s + (delays_s.pop(0) if delays_s else 0.02)
        return [(free_at[0] - time_s, honest(request))]

    return script


@pytest.mark.fault("F3", "T1")
@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("late_s", [0.16, 0.18, 0.25, 0.34, 0.5, 0.7])
async def test_m1_late_reply_is_never_another_answer(late_s: float) -> None:
    """Same unit, same function, same length: only the order tells the late reply from the right one."""
    async with PtyPeer(in_order([late_s])) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        with pytest.raises(WireTimeout):
            await registers(wire, 100)
        address = 200
        answered = 0
        for _ in range(12):
            address += 1
            try:
                assert await registers(wire, address) == (truth(address),)
            except WireError:
                continue
            answered += 1
        assert answered >= 5
        await wire.close()


@pytest.mark.fault("F3", "T4")
@pytest.mark.usefixtures("fast")
async def test_m1_the_unit_is_asked_another_function_before_it_is_believed() -> None:
    async with PtyPeer(in_order([0.2])) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        with pytest.raises(WireTimeout):
            await registers(wire, 100, table="input")
        assert await until_answered(lambda: registers(wire, 200, table="input"), 3) == (truth(200),)
        await wire.close()
        functions = [request[1] for request in peer.requests]
        assert functions[0] == 4
        assert functions[-1] == 4
        assert functions[-2] != 4


@pytest.mark.fault("F3", "T1")
async def test_m1_with_the_deadline_of_half_a_second() -> None:
    async with PtyPeer(in_order([0.6])) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        with pytest.raises(WireTimeout, match=r"within 0\.5 s"):
            await registers(wire, 100)
        assert 0.49 <= loop.time() - began_s < 0.9
        assert await until_answered(lambda: registers(wire, 200), 3) == (truth(200),)
        await wire.close()


@pytest.mark.fault("T2", "T6")
@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("late_s", [0.1, 0.2, 0.3])
async def test_m2_a_cancelled_caller_leaves_nothing_behind(late_s: float) -> None:
    async with PtyPeer(in_order([late_s])) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        caller = asyncio.create_task(registers(wire, 100))
        await peer.until(bool)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert await until_answered(lambda: registers(wire, 200), 4) == (truth(200),)
        await wire.close()


@pytest.mark.fault("F25", "T10")
async def test_m3_stop_overtakes_a_queue_behind_a_hung_device() -> None:
    """Nothing answers; ten reads wait; the stop frame leaves after at most the exchange under way (0.75 s, G2)."""
    async with PtyPeer(nothing) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        reads = [asyncio.create_task(registers(wire, 100 + index)) for index in range(10)]
        await peer.until(bool)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        stopping = asyncio.create_task(write_bit(wire, 0, False, stop=True))
        await peer.until(lambda requests: any(request[1] == 5 for request in requests))
        assert loop.time() - began_s <= 0.75
        for read in reads:
            read.cancel()
        await asyncio.gather(stopping, *reads, return_exceptions=True)
        await wire.close()


@pytest.mark.fault("F15")
@pytest.mark.usefixtures("fast")
async def test_m4_a_write_is_on_the_wire_once() -> None:
    async with PtyPeer(nothing) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        with pytest.raises(WireTimeout):
            await write_bit(wire, 0, True)
        with pytest.raises(WireTimeout):
            await wire.write_register(500, 1, unit=1, device="dev", doing="setting")
        await wire.close()
        assert [request[1] for request in peer.requests] == [5, 6]


def tcp_reply(
    *, function: int | None = None, body: bytes | None = None, tid: int | None = None, unit: int = 1
) -> Script:
    def script(request: bytes) -> Iterable[tuple[float, bytes]]:
        pdu = (request[7:8] if function is None else bytes((function,))) + (words(truth(0)) if body is None else body)
        transaction = request[:2] if tid is None else tid.to_bytes(2, "big")
        return [(0, transaction + b"\0\0" + (len(pdu) + 1).to_bytes(2, "big") + bytes((unit,)) + pdu)]

    return script


@pytest.mark.fault("F6", "F7", "F8", "F9", "T8", "T13")
@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize(
    ("count", "script"),
    [
        (1, tcp_reply(function=4)),
        (1, tcp_reply(function=1, body=b"\1\1")),
        (2, tcp_reply(body=words(1))),
        (2, tcp_reply(body=words(1, 2, 3, 4))),
        (1, tcp_reply(function=6, body=b"\0\0\0\1")),
        (1, tcp_reply(tid=0)),
        (1, tcp_reply(unit=2)),
        (1, tcp_reply(function=0x84, body=b"\2")),
    ],
    ids=["function", "bits", "too few", "too many", "write echo", "transaction 0", "unit", "exception of another"],
)
async def test_m5_a_reply_that_does_not_fit_is_no_answer(count: int, script: Script) -> None:
    async with TcpPeer(script) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        with pytest.raises(FrameError):
            await registers(wire, 0, count)
        peer.script = lambda request: [(0, honest_tcp(request))]
        assert await registers(wire, 0, 2) == (truth(0), truth(1))
        assert peer.connections == 2
        await wire.close()


@pytest.mark.fault("F7", "F8", "F9", "T8")
@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize(
    "reply",
    [
        rtu(1, 4, words(5)),
        rtu(2, 3, words(5)),
        rtu(1, 3, words(5, 6)),
        rtu(1, 3, words(5)) + rtu(1, 3, words(6)),
        rtu(1, 0x84, 2),
        rtu(1, 3, words(5))[:-1] + b"\0",
        rtu(1, 3, words(5))[:-1],
    ],
    ids=["function", "unit", "count", "two replies", "exception of another", "check", "cut short"],
)
async def test_m5_the_same_on_a_serial_line(reply: bytes) -> None:
    async with PtyPeer(lambda _: [(0, reply)]) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        with pytest.raises(FrameError):
            await registers(wire, 0)
        peer.script = now
        assert await until_answered(lambda: registers(wire, 8), 2) == (truth(8),)
        await wire.close()


@pytest.mark.fault("F8", "T8")
@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize(
    "reply",
    [rtu(1, 5, 0, 1, 0xFF, 0), rtu(1, 5, 0, 0, 0, 0), rtu(1, 5, 0, 0, 0x12, 0x34), rtu(1, 6, 0, 0, 0xFF, 0)],
    ids=["address", "value", "no value", "function"],
)
async def test_m5_a_write_is_repeated_back_exactly(reply: bytes) -> None:
    async with PtyPeer(lambda _: [(0, reply)]) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        with pytest.raises(FrameError):
            await write_bit(wire, 0, True)
        await wire.close()


@pytest.mark.fault("F12", "T7", "T9")
@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("noise", [b"\x00", b"\xff", b"\x7f\x55"])
async def test_m6_noise_before_every_reply(noise: bytes) -> None:
    """A glitch when the line turns round costs nothing: what stands before the unit's number is not the reply."""
    async with PtyPeer(lambda request: [(0, noise), (0.005, honest(request))]) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        assert [await registers(wire, address) for address in range(3)] == [(truth(n),) for n in range(3)]
        peer.script = lambda request: [(0, noise + honest(request))]
        assert await registers(wire, 7) == (truth(7),)
        assert len(peer.requests) == 4
        await wire.close()


@pytest.mark.fault("F10", "F12", "T7")
@pytest.mark.usefixtures("fast")
async def test_m6_a_broken_frame_takes_the_good_one_behind_it_along_and_the_wire_recovers() -> None:
    async with PtyPeer(lambda request: [(0, honest(request)[:-1] + b"\0" + honest(request))]) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        with pytest.raises(FrameError):
            await registers(wire, 3)
        peer.script = now
        assert await until_answered(lambda: registers(wire, 4), 3) == (truth(4),)
        await wire.close()


@pytest.mark.fault("F12")
@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("pause_s", [0, 0.005])
async def test_m6_local_echo_is_taken_off(pause_s: float) -> None:
    def echoing(request: bytes) -> Iterable[tuple[float, bytes]]:
        return [(0, request[:3]), (0, request[3:]), (pause_s, honest(request))]

    async with PtyPeer(echoing) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        assert await registers(wire, 0, 8, table="input") == tuple(truth(n) for n in range(8))
        await write_bit(wire, 2, True)
        assert await bits(wire, 0, 4) == tuple(bool(truth(n) & 1) for n in range(4))
        assert len(peer.requests) == 3
        await wire.close()


@pytest.mark.fault("F12", "F8")
@pytest.mark.usefixtures("fast")
async def test_m6_an_echo_is_no_acknowledgement_of_a_write() -> None:
    """The echo of a write looks like its reply. Once a read has shown the echo, a dead device does not pass."""
    async with PtyPeer(lambda request: [(0, request), (0.002, honest(request))]) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        await registers(wire, 0)
        peer.script = lambda request: [(0, request)]
        with pytest.raises(WireTimeout):
            await write_bit(wire, 0, True)
        with pytest.raises(WireTimeout):
            await write_bit(wire, 0, True)
        await wire.close()


MALFORMED = [
    rtu(1, 0x55, 1, 2, 3),
    rtu(1, 0x2B, 0x0E, 0, 0, 0, 0, 0xFF),
    rtu(1, 3, 0xFF, 0, 0),
    rtu(1, 3, 0),
    rtu(1, 0x08, 0xFF, 0xFF, 0, 0),
    b"\x01\x03",
    bytes(300),
    b"\x01" * 300,
]


@pytest.mark.fault("F9", "T7")
@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("reply", MALFORMED, ids=range(len(MALFORMED)))
async def test_m7_malformed_replies_on_a_serial_line(reply: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    async with PtyPeer(lambda _: [(0, reply)]) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        with pytest.raises(FrameError):
            await registers(wire, 0)
        peer.script = now
        assert await until_answered(lambda: registers(wire, 5), 3) == (truth(5),)
        await wire.close()
    assert complaints == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.fault("F9", "F6")
@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize(
    "pdu",
    [b"\x55\x01\x02", b"\x03\xff\x00\x01", b"\x03", b"\x83", b"\x2b\x0e\x00", b"\x18\x00\xff", b""],
    ids=["unknown function", "lying byte count", "no byte count", "no exception code", "device id", "fifo", "empty"],
)
async def test_m7_malformed_replies_over_tcp(pdu: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    def malformed(request: bytes) -> Iterable[tuple[float, bytes]]:
        return [(0, request[:4] + (len(pdu) + 1).to_bytes(2, "big") + request[6:7] + pdu)]

    async with TcpPeer(malformed) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        with pytest.raises(FrameError):
            await registers(wire, 0)
        peer.script = lambda request: [(0, honest_tcp(request))]
        assert await registers(wire, 5) == (truth(5),)
        await wire.close()
    assert complaints == []
    assert capfd.readouterr() == ("", "")


# Other units, other owners, the far end going away.


@pytest.mark.fault("T10", "F1")
@pytest.mark.usefixtures("fast")
async def test_a_silent_unit_does_not_starve_its_sibling() -> None:
    """Polls in turn: every one of the sibling's is answered, each after at most one exchange of the silent unit."""
    async with PtyPeer(lambda request: now(request) if request[0] == 2 else []) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        silent = 0
        for address in range(6):
            dead = asyncio.create_task(registers(wire, address, unit=1))
            assert await registers(wire, address, unit=2) == (truth(address),)
            with pytest.raises(WireTimeout):
                await dead
            silent += 1
        assert silent == 6
        assert sum(request[0] == 2 for request in peer.requests) == 6
        await wire.close()


@pytest.mark.fault("F3", "F7")
@pytest.mark.usefixtures("fast")
async def test_a_late_reply_of_one_unit_is_not_the_siblings() -> None:
    async with PtyPeer(lambda request: [(0.18 if request[0] == 1 else 0.03, honest(request))]) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        for address in range(4):
            with pytest.raises(WireError):
                await registers(wire, 50 + address, unit=1)
            assert await until_answered(lambda: registers(wire, 60, unit=2), 3) == (truth(60),)
        await wire.close()


@pytest.mark.fault("F13")
@pytest.mark.usefixtures("fast")
async def test_a_line_that_never_falls_silent_is_an_error_not_a_hang() -> None:
    async with PtyPeer(lambda _: [(n * 0.004, b"\x00") for n in range(1, 150)]) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        loop = asyncio.get_running_loop()
        for _ in range(2):
            began_s = loop.time()
            with pytest.raises(FrameError):
                await registers(wire, 0)
            assert loop.time() - began_s < 3 * (FAST_S + 0.2)
        await wire.close()


def dribbling(end_s: float, last_s: list[float]) -> Script:
    """Single bytes every 10 ms until ``end_s`` after the first request; later requests are answered."""

    def script(request: bytes) -> Iterable[tuple[float, bytes]]:
        if last_s:
            return now(request)
        last_s.append(asyncio.get_running_loop().time() + end_s)
        return [(n * 0.01, b"\x00") for n in range(int(end_s * 100) + 1)]

    return script


@pytest.mark.usefixtures("fast")
async def test_nothing_is_asked_until_the_line_is_silent() -> None:
    last_s: list[float] = []
    asked_s: list[float] = []
    script = dribbling(0.25, last_s)

    def noted(request: bytes) -> Iterable[tuple[float, bytes]]:
        asked_s.append(asyncio.get_running_loop().time())
        return script(request)

    async with PtyPeer(noted) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        with pytest.raises(FrameError):
            await registers(wire, 0)
        assert await registers(wire, 1) == (truth(1),)
        assert asked_s[1] >= last_s[0] + 0.015
        await wire.close()


@pytest.mark.fault("F25")
@pytest.mark.usefixtures("fast")
async def test_a_stop_waits_for_one_silence_only() -> None:
    async with PtyPeer(dribbling(0.6, [])) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        with pytest.raises(FrameError):
            await registers(wire, 0)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        stopping = asyncio.create_task(write_bit(wire, 0, False, stop=True))
        await peer.until(lambda requests: len(requests) == 2)
        assert loop.time() - began_s < 0.4
        await asyncio.gather(stopping, return_exceptions=True)
        await wire.close()


async def test_the_gap_between_frames() -> None:
    """MODBUS over Serial Line V1.02, 2.5.1.1: 3.5 characters of 11 bits at 9600 Bd are 4.01 ms."""
    times: list[float] = []

    def script(request: bytes) -> Iterable[tuple[float, bytes]]:
        times.append(asyncio.get_running_loop().time())
        return now(request)

    async with PtyPeer(script) as peer:
        wire = wire_for(peer.url.replace("115200", "9600"))
        await wire.open()
        for _ in range(4):
            await registers(wire, 0)
        await wire.close()
    assert all(later - earlier >= 4.01e-3 for earlier, later in itertools.pairwise(times))


@pytest.mark.fault("F25")
async def test_what_waits_for_the_gap_gives_way_to_a_stop_and_a_cancelled_command_never_leaves() -> None:
    """The trip cancels the walk, whose command had its turn and waits until the line may be used again."""
    async with PtyPeer(now) as peer:
        wire = wire_for(peer.url)
        wire.gap_s = 0.15
        await wire.open()
        await registers(wire, 0)
        switching = asyncio.create_task(write_bit(wire, 0, True))
        await asyncio.sleep(0.02)
        switching.cancel()
        await write_bit(wire, 0, False, stop=True)
        await registers(wire, 1)
        await wire.close()
    assert [request[1] for request in peer.requests] == [3, 5, 3]
    assert peer.requests[1][4] == 0, "off"


@pytest.mark.fault("F20", "T18")
async def test_one_owner_a_port_and_opening_again() -> None:
    async with PtyPeer(now) as peer:
        first, second = wire_for(peer.url), wire_for(peer.url)
        await first.open()
        await first.open()
        with pytest.raises(WireClosed, match="cannot be opened"):
            await second.open()
        assert await registers(first, 1) == (truth(1),)
        await first.close()
        await first.close()
        await second.open()
        assert await registers(second, 2) == (truth(2),)
        await second.close()
        with pytest.raises(WireClosed):
            await registers(second, 2)


async def test_what_cannot_be_opened_says_why() -> None:
    with pytest.raises(WireClosed, match="No such file"):
        await wire_for("modbus-rtu:///dev/no-such-port").open()
    async with TcpPeer(nothing) as peer:
        url = peer.url
    with pytest.raises(WireClosed, match=r"refused|Connect call failed"):
        await wire_for(url).open()


@pytest.mark.fault("F19", "T16", "T19")
@pytest.mark.usefixtures("fast")
async def test_the_cable_is_pulled_and_a_new_far_end_is_found(tmp_path: Path) -> None:
    link = tmp_path / "port"
    async with PtyPeer(nothing) as peer:
        link.symlink_to(peer.path)
        wire = wire_for(f"modbus-rtu://{link}?baud=115200")
        await wire.open()
        reading = asyncio.create_task(registers(wire, 0))
        await peer.until(bool)
        peer.hang_up()
        with pytest.raises(WireClosed):
            await reading
        with pytest.raises(WireClosed, match="cannot be opened"):
            await registers(wire, 0)
    link.unlink()
    async with PtyPeer(now) as peer:
        link.symlink_to(peer.path)
        with pytest.raises(WireClosed, match=r"is tried again in 0\.2 s"):
            await registers(wire, 0)
        loop = asyncio.get_running_loop()
        due = loop.create_future()
        loop.call_at(wire.pace.next_s, due.set_result, None)
        await due
        assert await registers(wire, 0) == (truth(0),)
        await wire.close()


@pytest.mark.fault("T11")
async def test_a_closed_connection_is_an_error_at_once_and_is_made_anew() -> None:
    async with TcpPeer(nothing) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        reading = asyncio.create_task(registers(wire, 0))
        await peer.until(bool)
        peer.drop()
        with pytest.raises(WireClosed):
            await reading
        peer.script = lambda request: [(0, honest_tcp(request))]
        assert await registers(wire, 3) == (truth(3),)
        await wire.close()


@pytest.mark.fault("F3", "F5", "T13")
@pytest.mark.usefixtures("fast")
async def test_a_late_reply_over_tcp_is_dropped_with_its_connection() -> None:
    async with TcpPeer(lambda request: [(0.2, honest_tcp(request))]) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        with pytest.raises(WireTimeout):
            await registers(wire, 100)
        peer.script = lambda request: [(0, honest_tcp(request))]
        assert await registers(wire, 200) == (truth(200),)
        assert peer.connections == 2
        await wire.close()


# Bytes on their way, and many exchanges on a bad line.


@pytest.mark.usefixtures("fast")
async def test_every_byte_is_counted_once() -> None:
    counted = {"left": 0, "arrived": 0}
    written = [0]

    def pieces(request: bytes) -> Iterable[tuple[float, bytes]]:
        reply = honest(request)
        written[0] += len(reply)
        return [(0.002 * n, reply[n : n + 1]) for n in range(len(reply))]

    def count(name: str) -> Callable[[int], None]:
        def add(n: int) -> None:
            counted[name] += n

        return add

    async with PtyPeer(pieces) as peer:
        wire = wire_for(peer.url, Flight(count("left"), count("arrived")))
        await wire.open()
        assert await registers(wire, 0, 8) == tuple(truth(n) for n in range(8))
        assert counted == {"left": 16, "arrived": 21}  # the question to nobody, then the read
        peer.script = lambda request: [(0.18, honest(request))]
        with pytest.raises(WireTimeout):
            await registers(wire, 1)
        peer.script = pieces
        assert await until_answered(lambda: registers(wire, 2), 3) == (truth(2),)
        await wire.close()
        assert counted["left"] == 8 * (len(peer.requests) + len(peer.to_nobody))
        assert counted["arrived"] == written[0] + 7


@pytest.mark.fault("F3", "T1", "T23")
@pytest.mark.parametrize("seed", range(4))
async def test_no_reading_is_ever_another_registers(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replies late, lost, doubled, broken and dirty at random, from a device that answers in order: what is returned
    is what was asked for, and the wire keeps coming back."""
    monkeypatch.setattr(modbus_session, "TIMEOUT_S", 0.03)
    monkeypatch.setattr(modbus_module, "QUIET_S", 0.004)
    monkeypatch.setattr(modbus_module, "DRAIN_S", 0.05)
    draw = random.Random(f"{seed}/modbus")
    free_at = [0.0]

    def script(request: bytes) -> Iterable[tuple[float, bytes]]:
        time_s = asyncio.get_running_loop().time()
        kind = draw.choices(["good", "late", "lost", "double", "broken", "dirty", "cut"], [70, 12, 5, 3, 4, 3, 3])[0]
        free_at[0] = max(time_s, free_at[0]) + (draw.uniform(0.02, 0.08) if kind == "late" else 0.0)
        reply = honest(request)
        if kind == "lost":
            return []
        if kind == "double":
            reply *= 2
        elif kind == "broken":
            reply = reply[:3] + bytes((reply[3] ^ 0x10,)) + reply[4:]
        elif kind == "dirty":
            reply = bytes(draw.randrange(256) for _ in range(3)) + reply
        elif kind == "cut":
            reply = reply[:-2]
        return [(free_at[0] - time_s, reply)]

    good = 0
    async with PtyPeer(script) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        for _ in range(150):
            address, unit = draw.randrange(1000), draw.choice((1, 2))
            try:
                assert await registers(wire, address, unit=unit, table="input") == (truth(address),)
            except WireError:
                continue
            good += 1
        await wire.close()
    assert good >= 50


async def test_neighbouring_registers_are_written_in_one_request() -> None:
    """V1.1b3, 6.12: the example of function 16 writes 000A and 0102 from register 2 on."""
    async with TcpPeer(lambda request: [(0, request[:4] + b"\0\6" + request[6:12])]) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        await wire.write_registers(1, (0x000A, 0x0102), unit=1, device="dev", doing="setting")
        assert peer.requests[0][7:] == bytes.fromhex("10 00 01 00 02 04 00 0A 01 02")
        peer.script = lambda request: [(0, request[:4] + b"\0\6" + request[6:11] + b"\1")]
        with pytest.raises(FrameError, match="1 registers"):
            await wire.write_registers(1, (10, 20), unit=1, device="dev", doing="setting")
        await wire.close()


async def test_a_caller_may_wait_less_than_the_wire() -> None:
    async with TcpPeer(nothing) as peer:
        wire = wire_for(peer.url)
        await wire.open()
        begun_s = asyncio.get_running_loop().time()
        with pytest.raises(WireTimeout, match=r"within 0\.05 s"):
            await wire.read_registers("holding", 0, 1, unit=1, device="dev", doing="reading", deadline_s=0.05)
        assert asyncio.get_running_loop().time() - begun_s < 0.4
        await wire.close()

"""What a line goes through is counted, and told when it gets out of hand."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from drivers import DeviceRefused, FrameError, WireError, WireTimeout
from drivers.wires.health import DEGRADED, OVER, LineHealth
from drivers.wires.opening import make_wire, prepared
from drivers.wires.port_sharers import sharers
from simulators.virtual_time import run_virtual, virtual_loop
from tests.drivers.counted_peers import CountedPty, CountedTcp, counted
from tests.drivers.modbus_peers import rtu, words
from tests.drivers.peers import TcpPeer, line_wire, opened

Told = list[tuple[str, dict[str, Any]]]


def kept() -> tuple[Told, Callable[..., None]]:
    told: Told = []
    return told, lambda event, **facts: told.append((event, facts))


def truth(request: bytes) -> bytes:
    """A proper answer to a read of registers on a serial line: each holds its own address."""
    first, count = int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big")
    if request[1] in (3, 4):
        return rtu(request[0], request[1], words(*range(first, first + count)))
    return rtu(request[0], request[1], b"\x01\x00")


def spoilt(frame: bytes) -> bytes:
    """One bit of its check is wrong."""
    return frame[:-1] + bytes((frame[-1] ^ 1,))


def on_rtu(
    script: Callable[[bytes], list[tuple[float, bytes]]], check: Callable[[Any, Told, CountedPty], Awaitable[None]]
) -> None:
    async def main() -> None:
        told, tell = kept()
        async with CountedPty(script) as peer, opened(make_wire(peer.url, flight=counted())) as wire:
            prepared(wire, event=tell)
            await check(wire, told, peer)

    run_virtual(main())


async def read(wire: Any, unit: int = 1) -> tuple[int, ...]:
    found: tuple[int, ...] = await wire.read_registers("holding", 5, 1, unit=unit, device="dev", doing="reading")
    return found


@pytest.mark.fault("F10")
@pytest.mark.parametrize(("rate", "degraded"), [(0.01, False), (0.10, True), (1.0, True)])
def test_a_line_with_broken_checks_is_told_to_be_degraded_from_some_per_cent_on(rate: float, *, degraded: bool) -> None:
    random = Random(4)

    async def check(wire: Any, told: Told, _peer: CountedPty) -> None:
        lost = 0
        for _ in range(400):
            await asyncio.sleep(0.2)
            try:
                assert await read(wire) == (5,)
            except WireError:
                lost += 1
        # After a broken answer the wire asks something of its own, which may be answered badly as well.
        assert 0.5 * rate * 400 <= lost <= min(3.0 * rate * 400, 400)
        assert ("line_degraded" in [event for event, _ in told]) == degraded
        assert wire.health.exchanges == 400
        assert wire.health.failures.total() == lost
        assert wire.health.error_rate == pytest.approx(rate, abs=0.1)
        if degraded:
            (facts,) = [facts for event, facts in told if event == "line_degraded"][:1]
            assert (facts["failed"], facts["wire"]) == (DEGRADED, wire.url)

    on_rtu(lambda request: [(0.003, (spoilt if random.random() < rate else bytes)(truth(request)))], check)


@pytest.mark.fault("F10")
def test_a_degraded_line_that_is_mended_is_told_once() -> None:
    told, tell = kept()
    health = LineHealth("modbus-rtu:///dev/ttyUSB0")
    health.tell = tell
    for _ in range(50):
        health.failed(FrameError("dev", "reading", "bad"), 0.0)
    for _ in range(2 * OVER):
        health.answered()
    assert [event for event, _ in told] == ["line_degraded", "line_recovered"]
    assert (health.exchanges, health.failures["bad reply"], health.error_rate) == (50 + 2 * OVER, 50, 0.0)


@pytest.mark.fault("F10", "H17")
def test_one_lost_answer_in_a_hundred_is_no_alarm_in_a_million_exchanges() -> None:
    told, tell = kept()
    health, random = LineHealth("tcp://10.0.0.1:1"), Random(1)
    health.tell = tell
    lost = WireTimeout("dev", "reading", "nothing")
    for at in range(1_000_000):
        if random.random() < 0.01:
            health.failed(lost, float(at))
        else:
            health.answered()
    assert told == []


@pytest.mark.fault("F7", "T8")
@pytest.mark.parametrize("kind", ["rtu", "tcp"])
def test_three_answers_of_a_unit_that_nobody_asked_are_an_alarm(kind: str) -> None:
    """Refused each time; three within a minute mean a wrong address or wiring."""

    def script(request: bytes) -> list[tuple[float, bytes]]:
        if kind == "rtu":
            return [(0.003, rtu(9, request[1], words(77)))]
        return [(0.003, request[:4] + b"\x00\x05" + bytes((9, request[7])) + words(77))]

    async def main() -> None:
        told, tell = kept()
        peer: Any = (CountedPty if kind == "rtu" else CountedTcp)(script)
        async with peer, opened(make_wire(peer.url, flight=counted())) as wire:
            prepared(wire, event=tell)
            for times in range(1, 4):
                with pytest.raises(FrameError, match="unit 9"):
                    await read(wire)
                assert wire.health.wrong_units >= times
                await asyncio.sleep(5.0)
            (facts,) = [facts for event, facts in told if event == "wrong_unit"]
            assert (facts["asked"], facts["answered"]) == (1, 9)

    run_virtual(main())


@pytest.mark.fault("F7")
def test_wrong_units_far_apart_are_no_alarm() -> None:
    told, tell = kept()
    health = LineHealth("modbus-rtu:///dev/ttyUSB0")
    health.tell = tell
    for at in range(50):
        health.heard_unit(9, 1, 31.0 * at)
    assert told == []
    assert health.wrong_units == 50


@pytest.mark.fault("F12")
def test_local_echo_is_told_with_the_first_answer_and_taken_off() -> None:
    async def check(wire: Any, told: Told, _peer: CountedPty) -> None:
        for _ in range(10):
            assert await read(wire) == (5,)
        assert [event for event, _ in told] == ["local_echo"]

    on_rtu(lambda request: [(0.0005, request), (0.004, truth(request))], check)


@pytest.mark.fault("F12", "T7", "T9")
@pytest.mark.parametrize("noise", [b"\x00", b"\xff\x00\x55", bytes(range(2, 60))])
def test_after_a_burst_of_noise_it_is_well_within_three_polls(noise: bytes) -> None:
    state = {"noisy": 0}

    def script(request: bytes) -> list[tuple[float, bytes]]:
        if state["noisy"]:
            state["noisy"] -= 1
            return [(0.003, noise + truth(request)[:-1])]
        return [(0.003, truth(request))]

    async def check(wire: Any, _told: Told, peer: CountedPty) -> None:
        for times in range(1, 30):
            state["noisy"] = times % 4
            peer.write(noise)
            polls = 0
            while True:
                polls += 1
                await asyncio.sleep(0.2)
                try:
                    assert await read(wire) == (5,)
                except WireError:
                    continue
                if not state["noisy"]:
                    break
            assert polls <= times % 4 + 3
        assert wire.health.stray_bytes > 0

    on_rtu(script, check)


@pytest.mark.fault("T9", "F11")
def test_a_stray_byte_at_every_offset_of_an_answer_is_never_a_value() -> None:
    where = {"at": 0, "on": True}

    def script(request: bytes) -> list[tuple[float, bytes]]:
        frame = truth(request)
        if not where["on"]:
            return [(0.003, frame)]
        return [(0.003, frame[: where["at"]] + b"\x5a" + frame[where["at"] :])]

    async def check(wire: Any, _told: Told, _peer: CountedPty) -> None:
        for at in range(8):
            where.update(at=at, on=True)
            with contextlib.suppress(WireError):
                assert await read(wire) == (5,)  # noise before or after a whole frame may be taken off
            where["on"] = False
            polls = 0
            while True:
                polls += 1
                try:
                    assert await read(wire) == (5,)
                    break
                except WireError:
                    assert polls < 3

    on_rtu(script, check)


@pytest.mark.fault("F22")
@pytest.mark.parametrize("code", [6, 11])
@pytest.mark.parametrize("times", [1, 2])
def test_a_busy_gateway_is_asked_again(code: int, times: int) -> None:
    left = [times]

    def script(request: bytes) -> list[tuple[float, bytes]]:
        if left[0]:
            left[0] -= 1
            return [(0.003, rtu(request[0], request[1] | 0x80, code))]
        return [(0.003, truth(request))]

    async def check(wire: Any, _told: Told, peer: CountedPty) -> None:
        assert await read(wire) == (5,)
        assert len(peer.requests) == times + 1
        assert wire.health.busy == times

    on_rtu(script, check)


@pytest.mark.fault("F22", "F2")
def test_a_gateway_that_stays_busy_is_an_error_after_three_times() -> None:
    async def check(wire: Any, _told: Told, peer: CountedPty) -> None:
        begun_s = virtual_loop().time()
        with pytest.raises(DeviceRefused, match="server device busy"):
            await read(wire)
        assert len(peer.requests) == 3
        assert virtual_loop().time() - begun_s < 0.5

    on_rtu(lambda request: [(0.003, rtu(request[0], request[1] | 0x80, 6))], check)


@pytest.mark.fault("F22", "F15", "T13")
@pytest.mark.parametrize("code", [5, 6, 11])
def test_a_write_that_a_gateway_puts_off_is_never_repeated_by_the_wire(code: int) -> None:
    async def check(wire: Any, _told: Told, peer: CountedPty) -> None:
        with pytest.raises(DeviceRefused):
            await wire.write_bit(3, on=True, unit=1, device="dev", doing="closing")
        await asyncio.sleep(10.0)
        assert len(peer.requests) == 1

    on_rtu(lambda request: [(0.003, rtu(request[0], request[1] | 0x80, code))], check)


@pytest.mark.fault("F4")
def test_a_doubled_answer_is_dropped_and_counted() -> None:
    async def main() -> None:
        peer = TcpPeer(lambda line: [(0.002, f"{line}\r\n".encode())] * (2 if line == "A?" else 1), counted())
        await peer.start()
        wire = line_wire(peer.url, flight=counted())
        async with opened(wire):
            for _ in range(5):
                with contextlib.suppress(FrameError):
                    assert await wire.query("A?", device="d", doing="reading") == "A?"
                await asyncio.sleep(1.0)
                assert await wire.query("B?", device="d", doing="reading") == "B?"
            assert wire.health.stray_bytes + wire.health.failures["bad reply"] > 0
        await peer.close()

    run_virtual(main())


@pytest.mark.fault("F13")
def test_sixty_four_kilobytes_that_nobody_asked_for() -> None:
    """Nothing grows with them, the next reading is right or an error, and soon it is right."""

    async def check(wire: Any, _told: Told, peer: CountedPty) -> None:
        assert await read(wire) == (5,)
        for _ in range(256):
            peer.write(bytes(range(256)))
            await asyncio.sleep(0.001)
        session = wire._session
        assert len(session.recv_buffer) <= 1024
        assert len(session.reply) <= 1024
        assert len(session._heard) <= 5000
        assert await read(wire) == (5,)
        assert wire.health.stray_bytes > 60_000

    on_rtu(lambda request: [(0.003, truth(request))], check)


THIEF = """
import os, sys
port = os.open(sys.argv[1], os.O_RDONLY | os.O_NOCTTY)
print("open", flush=True)
sys.stdin.readline()
"""


@pytest.mark.fault("F20", "T18")
def test_another_program_that_has_the_port_open_is_named() -> None:
    """It took no lock, so the port's own lock does not keep it out; here it swallows every answer."""

    async def check(wire: Any, told: Told, peer: CountedPty) -> None:
        assert await read(wire) == (5,)
        assert sharers(peer.path) == ()
        thief = subprocess.Popen(  # noqa: ASYNC220 - the clock is virtual and stands still meanwhile
            [sys.executable, "-c", THIEF, peer.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            assert thief.stdout is not None
            assert thief.stdout.readline() == "open\n"
            peer.script = lambda request: []
            for _ in range(3):
                with pytest.raises(WireTimeout):
                    await read(wire)
            ((event, facts),) = told
            assert event == "port_shared"
            (program,) = facts["programs"]
            assert f"({thief.pid})" in program
        finally:
            thief.communicate("\n")

    on_rtu(lambda request: [(0.003, truth(request))], check)


@pytest.mark.fault("F79", "T27")
def test_no_counter_wraps() -> None:
    health = LineHealth("tcp://10.0.0.1:1")
    health.exchanges = 2**31 - 2
    health.strayed(2**31 - 2)
    for _ in range(5):
        health.answered()
        health.strayed(1)
    assert health.exchanges == 2**31 + 3
    assert health.stray_bytes == 2**31 + 3

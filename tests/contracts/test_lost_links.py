"""A link that breaks in the middle: a command that energises is never sent again, and nobody is taken for another."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from drivers import DeviceError, ReadbackMismatch, WireError
from drivers.capabilities import DeviceKind, RigState
from tests.contracts.stands import DISCHARGE, HOT_C, LIMITS, NAME, WATCHDOG_S, Stand, on_every
from tests.contracts.test_rigs import Enclosure, enclosed

ENERGETIC = (DeviceKind.CYCLER, DeviceKind.CHAMBER, DeviceKind.SWITCHES)
#: How long after a loss the wire may try again.
BACK_S = 2.0


def break_link(stand: Stand) -> None:
    """The connection is reset, or the serial adapter comes loose for a moment; the device itself is well."""
    wire = stand.wire
    if stand.case.scheme in ("tcp", "visa", "modbus-tcp"):
        stand.scene.reset(NAME)
    else:
        link = wire._session.transport if stand.case.scheme == "modbus-rtu" else wire._stream.link
        link._end(OSError(5, "Input/output error"))


def energising(stand: Stand) -> bytes:
    """How the request that lets energy through begins."""
    return {
        DeviceKind.CYCLER: b"OUTP ON",
        DeviceKind.CHAMBER: b"MODE,CONSTANT",
        DeviceKind.SWITCHES: b"\x05",
    }[stand.case.kind]


async def ready(stand: Stand) -> None:
    await stand.device.connect()
    if stand.case.kind is DeviceKind.CYCLER:
        stand.plant.contactor("1", closed=True)
        await stand.device.arm(LIMITS)
        await stand.device.apply(DISCHARGE)
    elif stand.case.kind is DeviceKind.SWITCHES:
        await stand.device.arm_watchdog(WATCHDOG_S)
    stand.heard.clear()


async def energise(stand: Stand) -> None:
    if stand.case.kind is DeviceKind.CYCLER:
        await stand.device.output(on=True)
    elif stand.case.kind is DeviceKind.CHAMBER:
        await stand.device.run_at(HOT_C)
    else:
        await stand.device.write("do0", on=True)


def broken_at(stand: Stand, command: bytes, *, obeyed: bool) -> None:
    """Break the link when this request has arrived, once, before its reply leaves."""
    heard = stand.twin.answer
    broken = False

    def answer(request: bytes, now_s: float) -> Any:
        nonlocal broken
        if broken or not request.startswith(command):
            return heard(request, now_s)
        broken = True
        if obeyed:
            heard(request, now_s)
        else:
            stand.heard.append(request)
        break_link(stand)
        return ()

    stand.twin.answer = answer


async def check_unknown(stand: Stand, *, obeyed: bool) -> None:
    await ready(stand)
    command = energising(stand)
    broken_at(stand, command, obeyed=obeyed)
    try:
        await energise(stand)
    except WireError as unknown:
        told: DeviceError | None = unknown
    except ReadbackMismatch as mismatch:
        told = mismatch
        assert not obeyed
    else:  # what is not told as unknown was read back
        told = None
        assert obeyed
    assert told is None or told.device == NAME
    await asyncio.sleep(BACK_S)
    readings = await stand.device.read()
    assert tuple(reading.channel for reading in readings) == stand.device.channels
    if stand.case.kind is not DeviceKind.SWITCHES:
        assert await stand.device.energised() is obeyed
    assert stand.at_rest() is not obeyed
    assert sum(request.startswith(command) for request in stand.heard) == 1
    await stand.device.make_safe()
    assert stand.at_rest()


@pytest.mark.fault("F15")
@on_every(*ENERGETIC)
async def test_a_reset_after_an_energising_command_leaves_it_unknown_and_reading_tells(stand: Stand) -> None:
    await check_unknown(stand, obeyed=True)


@pytest.mark.fault("F15")
@on_every(*ENERGETIC)
async def test_a_reset_that_takes_an_energising_command_with_it_is_not_made_good(stand: Stand) -> None:
    await check_unknown(stand, obeyed=False)


@pytest.mark.fault("F15")
def test_a_reset_in_the_middle_of_start_starts_a_rig_once() -> None:
    """The frame may be sent again: it has the number of the first one, and the rig acts on a number once."""

    async def check(stand: Enclosure) -> None:
        await stand.armed()
        answer = stand.twin.answer
        broken: list[bytes] = []

        def breaking(request: bytes, now_s: float) -> Any:
            reply = answer(request, now_s)
            if request[0] == 16 and not broken:
                broken.append(request)
                stand.scene.reset("rig")
                return ()
            return reply

        stand.twin.answer = breaking
        await stand.rig.start()
        assert broken
        starts = {request[6:10] for _, request in stand.frames if request[0] == 16 and request[8:10] == b"\x00\x03"}
        assert len(starts) == 1
        assert stand.plc.state.value == RigState.APPROACH

    enclosed(check)


@pytest.mark.fault("F19", "F40")
@on_every()
async def test_after_its_link_was_lost_a_device_is_asked_who_it_is_before_anything_else(stand: Stand) -> None:
    """A page that names no constant tells nothing by which its device could be known."""
    if stand.case.model == "modbus-points":
        return
    await stand.device.connect()
    first = stand.heard[0]
    for _ in range(3):
        break_link(stand)
        await asyncio.sleep(BACK_S)
        stand.heard.clear()
        await stand.device.read()
        assert len(stand.heard) >= 2
        known = stand.heard[0]
        if stand.case.kind is DeviceKind.RIG:
            assert known[0] == first[0] == 3
            assert int.from_bytes(known[3:5], "big") == 1, "one register: the map's version"
        else:
            assert known == first

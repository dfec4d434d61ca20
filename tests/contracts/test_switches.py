"""What every switching module promises. The contacts in the plant are the oracle."""

from __future__ import annotations

import asyncio

import pytest

from drivers import DeviceRefused, WireError
from drivers.capabilities import DeviceKind
from simulators.faults import no_reply
from tests.contracts.stands import NAME, WATCHDOG_S, Stand, equipped, on_every

SWITCHES = DeviceKind.SWITCHES


async def shown(stand: Stand) -> dict[str, float]:
    return {reading.channel.split(".")[1]: reading.value for reading in await stand.device.read()}


@on_every(SWITCHES)
async def test_the_contactor_follows_and_its_feedback_is_read(stand: Stand) -> None:
    await stand.device.connect()
    await stand.device.arm_watchdog(WATCHDOG_S)
    for on in (True, False, True):
        await stand.device.write("do0", on=on)
        assert stand.terminal.closed is on
        assert (await shown(stand))["di0"] == float(on)


@on_every(SWITCHES)
async def test_inputs_are_the_contacts_of_the_place(stand: Stand) -> None:
    await stand.device.connect()
    for point, signal in stand.spec.points.items():
        if signal.of != "box":
            continue
        for value in (0.0, 1.0):
            stand.plant.set_input("box", signal.kind, value)
            assert (await shown(stand))[point] == value


@pytest.mark.fault("F23")
@on_every(SWITCHES)
async def test_a_contactor_that_does_not_obey_is_told_by_its_feedback(stand: Stand) -> None:
    await stand.energise()
    stand.plant.stick_contactor("1", closed=True)
    await stand.device.make_safe()
    assert (await shown(stand))["di0"] == 1.0
    stand.plant.stick_contactor("1", closed=None)
    assert (await shown(stand))["di0"] == 0.0


@pytest.mark.fault("H4")
@on_every(SWITCHES)
async def test_a_host_that_falls_silent_loses_the_contactor(stand: Stand) -> None:
    """Under current, so that it is energy that ends. Polls keep it closed for as long as they come."""
    await stand.energise()
    terminal = stand.terminal
    terminal.regulate(on=True, voltage_v=2.8, source_a=0.0, sink_a=10.0, source_w=5e3, sink_w=5e3)
    for _ in range(15):
        await asyncio.sleep(WATCHDOG_S / 2)
        await stand.device.read()
        assert stand.current_a < 0.0
    await asyncio.sleep(WATCHDOG_S - 0.2)
    assert stand.terminal.closed
    await asyncio.sleep(0.5)
    assert not stand.terminal.closed
    assert stand.current_a == 0.0


@pytest.mark.fault("H4")
@on_every(SWITCHES)
async def test_a_cut_wire_loses_the_contactor_too(stand: Stand) -> None:
    await stand.energise()
    stand.scene.cut(NAME)
    await asyncio.sleep(WATCHDOG_S + 0.2)
    assert not stand.terminal.closed


@on_every(SWITCHES)
async def test_after_the_watchdog_nothing_closes_until_it_is_armed_again(stand: Stand) -> None:
    await stand.energise()
    await asyncio.sleep(WATCHDOG_S + 0.2)
    with pytest.raises(DeviceRefused) as refused:
        await stand.device.write("do0", on=True)
    assert refused.value.device == NAME
    assert "do0 on" in refused.value.doing
    assert not stand.terminal.closed
    await stand.device.make_safe()
    assert not stand.terminal.closed
    await stand.device.arm_watchdog(WATCHDOG_S)
    assert not stand.terminal.closed
    await stand.device.write("do0", on=True)
    assert stand.terminal.closed


@on_every(SWITCHES)
async def test_watchdog_times_out_of_range_are_refused(stand: Stand) -> None:
    await stand.device.connect()
    maximum_s = equipped(stand.case.model).watchdog_max_s
    assert maximum_s is not None
    for seconds in (0.0, -1.0, maximum_s + 0.2):
        with pytest.raises(ValueError, match="watchdog"):
            await stand.device.arm_watchdog(seconds)
    assert stand.written() == []


@on_every(SWITCHES)
async def test_points_that_are_no_outputs_are_refused(stand: Stand) -> None:
    await stand.device.connect()
    for point in ("di0", "do9", "do", "ai0", ""):
        with pytest.raises(ValueError, match=r"output|invalid literal"):
            await stand.device.write(point, on=True)
    assert stand.written() == []


@pytest.mark.fault("F15")
@on_every(SWITCHES)
async def test_closing_whose_reply_is_lost_is_not_sent_again(stand: Stand) -> None:
    await stand.device.connect()
    await stand.device.arm_watchdog(WATCHDOG_S)
    stand.heard.clear()
    stand.twin.faults.push(no_reply)
    with pytest.raises(WireError) as lost:
        await stand.device.write("do0", on=True)
    assert lost.value.device == NAME
    assert "do0 on" in lost.value.doing
    assert len(stand.written()) == 1
    assert (await shown(stand))["di0"] == float(stand.terminal.closed) == 1.0
    assert len(stand.written()) == 1
    await stand.device.make_safe()
    assert not stand.terminal.closed


@pytest.mark.fault("F15")
@on_every(SWITCHES)
async def test_closing_that_is_lost_itself_is_not_sent_again(stand: Stand) -> None:
    await stand.device.connect()
    await stand.device.arm_watchdog(WATCHDOG_S)
    stand.heard.clear()
    stand.scene.cut(NAME)
    with pytest.raises(WireError):
        await stand.device.write("do0", on=True)
    await stand.scene.restore(NAME)
    await asyncio.sleep(1.0)  # an attempt that failed meanwhile is not repeated at once
    assert (await shown(stand))["di0"] == float(stand.terminal.closed) == 0.0
    assert stand.written() == []

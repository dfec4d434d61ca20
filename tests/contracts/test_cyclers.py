"""What every cycler promises. The plant's book-keeping at the cell is the oracle for sign, amount and absence."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from random import Random

import pytest

from drivers import DeviceError, DeviceRefused, WireError
from drivers.capabilities import DeviceKind, Setpoints, TerminalLimits
from drivers.models import driver_model
from simulators.faults import no_reply
from tests.contracts.stands import CHARGE, DISCHARGE, LIMITS, NAME, RATING, WATCHDOG_S, Stand, on_every

CYCLER = DeviceKind.CYCLER
MEASURED_A = 0.05  # five times what an instrument of this size shows as noise and steps
MEASURED_V = 0.05


async def ready(stand: Stand, limits: TerminalLimits = LIMITS) -> None:
    stand.plant.contactor("1", closed=True)
    await stand.device.connect()
    await stand.device.arm(limits)


async def measured(stand: Stand) -> tuple[float, float]:
    voltage, current = await stand.device.read()
    return voltage.value, current.value


@on_every(CYCLER)
async def test_charge_is_positive_at_the_cell_and_on_the_stream(stand: Stand) -> None:
    """A cell that is charged holds more than before, and its voltage at rest is higher; discharged, the reverse."""
    await ready(stand)
    for setpoints, sign in ((CHARGE, 1.0), (DISCHARGE, -1.0)):
        rest_v = stand.terminal.cell_voltage_v
        before = stand.plant.totals("1")
        await stand.device.apply(setpoints)
        await stand.device.output(on=True)
        moved_as, last_s, last_a = 0.0, stand.loop.time(), (await measured(stand))[1]
        for _ in range(600):
            await asyncio.sleep(1.0)
            _, current_a = await measured(stand)
            now_s = stand.loop.time()
            moved_as += 0.5 * (last_a + current_a) * (now_s - last_s)
            last_s, last_a = now_s, current_a
            assert current_a == pytest.approx(stand.current_a, abs=MEASURED_A)
            assert math.copysign(1.0, current_a) == sign
        after = stand.plant.totals("1")
        truth_as = 3600.0 * (after.charged_ah - before.charged_ah - after.discharged_ah + before.discharged_ah)
        assert truth_as == pytest.approx(sign * 6000.0, rel=0.01)  # 10 A for 600 s
        assert moved_as == pytest.approx(truth_as, rel=0.002)
        await stand.device.output(on=False)
        for _ in range(600):
            await asyncio.sleep(3.0)
            await stand.device.read()
        assert (stand.terminal.cell_voltage_v - rest_v) * sign > 0.01


@on_every(CYCLER)
async def test_what_goes_in_at_a_voltage_is_the_energy_that_the_cell_got(stand: Stand) -> None:
    await ready(stand)
    await stand.device.apply(CHARGE)
    await stand.device.output(on=True)
    energy_j, last_s = 0.0, stand.loop.time()
    last_w = math.prod(await measured(stand))
    for _ in range(300):
        await asyncio.sleep(1.0)
        volts, amperes = await measured(stand)
        now_s = stand.loop.time()
        energy_j += 0.5 * (last_w + volts * amperes) * (now_s - last_s)
        last_s, last_w = now_s, volts * amperes
    assert energy_j == pytest.approx(3600.0 * stand.plant.totals("1").charged_wh, rel=0.01)


@on_every(CYCLER)
async def test_the_instrument_holds_the_voltage_that_it_was_given(stand: Stand) -> None:
    await ready(stand)
    limit_v = round(stand.terminal.cell_voltage_v + 0.02, 2)
    await stand.device.apply(replace(CHARGE, voltage_v=limit_v))
    await stand.device.output(on=True)
    await asyncio.sleep(1.0)
    await stand.device.read()
    await asyncio.sleep(3.0)
    volts, amperes = await measured(stand)
    assert volts == pytest.approx(limit_v, abs=MEASURED_V)
    assert 0.0 < amperes < CHARGE.source_current_a


@on_every(CYCLER)
async def test_arm_leaves_the_output_off_and_takes_it_off(stand: Stand) -> None:
    await stand.found_on()
    assert stand.current_a < 0.0
    await stand.device.connect()
    await stand.device.arm(LIMITS)
    assert stand.at_rest()


@pytest.mark.fault("H3")
@on_every(CYCLER)
async def test_the_device_itself_ends_what_passes_its_armed_current(stand: Stand) -> None:
    """In both directions, each with a threshold of its own."""
    for setpoints in (CHARGE, DISCHARGE):
        await ready(stand, replace(LIMITS, over_current_a=5.0))
        await stand.device.apply(setpoints)
        with pytest.raises(DeviceError) as tripped:
            await stand.device.output(on=True)
        assert "over-current" in str(tripped.value)
        assert stand.at_rest()
    assert stand.plant.totals("1").charged_ah == pytest.approx(0.0, abs=1e-3)
    assert stand.plant.totals("1").discharged_ah == pytest.approx(0.0, abs=1e-3)


@pytest.mark.fault("H1")
@on_every(CYCLER)
async def test_the_device_itself_ends_what_passes_its_armed_voltage(stand: Stand) -> None:
    limit_v = round(stand.terminal.cell_voltage_v + 0.05, 2)
    await ready(stand, replace(LIMITS, over_voltage_v=limit_v))
    await stand.device.apply(replace(CHARGE, source_current_a=5.0))
    async with asyncio.timeout(3600.0):
        await stand.device.output(on=True)
        while stand.terminal.setting.on:
            await asyncio.sleep(1.0)
            await stand.device.read()
    assert stand.at_rest()
    assert "over-voltage" in await stand.device.alarms()
    assert stand.terminal.cell_voltage_v < limit_v


@on_every(CYCLER)
async def test_set_values_out_of_range_are_refused_and_change_nothing(stand: Stand) -> None:
    await stand.energise()
    before = stand.state()
    for over in (
        replace(DISCHARGE, voltage_v=1.2 * RATING["voltage_v"]),
        replace(DISCHARGE, sink_current_a=1.2 * RATING["current_a"]),
    ):
        with pytest.raises(DeviceRefused) as refused:
            await stand.device.apply(over)
        assert (refused.value.device, refused.value.doing) == (NAME, "setting")
        assert stand.state() == before
    heard = len(stand.heard)
    for nonsense in (-1.0, math.nan, math.inf):
        for quantity in ("voltage_v", "source_current_a", "sink_current_a", "source_power_w", "sink_power_w"):
            with pytest.raises(ValueError, match="set value"):
                await stand.device.apply(replace(DISCHARGE, **{quantity: nonsense}))
    assert len(stand.heard) == heard
    assert stand.state() == before


@on_every(CYCLER)
async def test_limits_out_of_range_are_refused_with_the_output_off(stand: Stand) -> None:
    await stand.device.connect()
    maximum_s = driver_model(stand.case.model).watchdog_max_s
    assert maximum_s is not None
    for seconds in (0.0, 0.4, maximum_s + 0.5, math.nan):
        with pytest.raises(ValueError, match="watchdog"):
            await stand.device.arm(replace(LIMITS, watchdog_s=seconds))
    for limits in (
        replace(LIMITS, over_voltage_v=2 * RATING["voltage_v"]),
        replace(LIMITS, over_current_a=2 * RATING["current_a"]),
    ):
        with pytest.raises(DeviceRefused):
            await stand.device.arm(limits)
        assert stand.at_rest()


@on_every(CYCLER)
async def test_from_charge_to_discharge_nothing_else_is_passed_through(stand: Stand) -> None:
    """Seen by the plant: never both directions at once, never more than the old or the new set values allow."""
    await stand.energise()
    seen: list[tuple[float, float, float]] = []
    terminal = stand.terminal
    regulate = terminal.regulate

    def watched(**setting: float) -> None:
        seen.append((setting["voltage_v"], setting["source_a"], setting["sink_a"]))
        regulate(**setting)

    terminal.regulate = watched
    draw = Random(11)
    old = DISCHARGE
    for _ in range(30):
        amperes = float(draw.randrange(1, 20))
        charging = draw.random() < 0.5
        new = replace(CHARGE, source_current_a=amperes) if charging else replace(DISCHARGE, sink_current_a=amperes)
        seen.clear()
        await stand.device.apply(new)
        for volts, source_a, sink_a in seen:
            assert not (source_a > 0.0 and sink_a > 0.0)
            assert source_a <= max(old.source_current_a, new.source_current_a)
            assert sink_a <= max(old.sink_current_a, new.sink_current_a)
            assert volts in (old.voltage_v, new.voltage_v)
        old = new
    terminal.regulate = regulate


@pytest.mark.fault("H4")
@on_every(CYCLER)
async def test_a_host_that_falls_silent_loses_the_current(stand: Stand) -> None:
    """Polled, the output stays on for as long as it likes; not polled, the device ends it by itself."""
    await stand.energise()
    for _ in range(15):
        await asyncio.sleep(WATCHDOG_S / 2)
        await stand.device.read()
        assert stand.current_a < 0.0
    await asyncio.sleep(WATCHDOG_S - 0.5)
    assert stand.current_a < 0.0
    await asyncio.sleep(1.0)
    assert stand.at_rest()
    moved_ah = stand.plant.totals("1").discharged_ah
    await asyncio.sleep(60.0)
    assert stand.plant.totals("1").discharged_ah == moved_ah


@pytest.mark.fault("H4")
@on_every(CYCLER)
async def test_a_cut_wire_loses_the_current_too(stand: Stand) -> None:
    await stand.energise()
    stand.scene.cut(NAME)
    await asyncio.sleep(WATCHDOG_S + 0.5)
    assert stand.at_rest()
    await stand.scene.restore(NAME)
    await stand.device.make_safe()
    assert stand.at_rest()


@on_every(CYCLER)
async def test_make_safe_works_when_remote_control_was_lost(stand: Stand) -> None:
    """Someone took the unit out of remote at its panel and left the output on."""
    await stand.energise()
    stand.panel("POW:STAG:AFT:REM AUTO", "SYST:LOCK OFF")
    assert stand.current_a < 0.0
    await stand.device.make_safe()
    assert stand.at_rest()


@on_every(CYCLER)
async def test_make_safe_does_not_take_remote_control_for_nothing(stand: Stand) -> None:
    await stand.energise()
    await asyncio.sleep(WATCHDOG_S + 0.5)
    assert stand.at_rest()
    await stand.device.make_safe()
    assert not stand.twin.remote


@pytest.mark.fault("F15")
@on_every(CYCLER)
async def test_output_on_whose_reply_is_lost_is_not_sent_again(stand: Stand) -> None:
    """The command was carried out, its confirmation lost: the caller is told, and reading decides what is true."""
    await ready(stand)
    await stand.device.apply(DISCHARGE)
    stand.heard.clear()
    stand.twin.faults.push(no_reply)
    with pytest.raises(WireError) as lost:
        await stand.device.output(on=True)
    assert lost.value.device == NAME
    assert "output on" in lost.value.doing
    await asyncio.sleep(1.0)
    _, amperes = await measured(stand)
    assert amperes == pytest.approx(stand.current_a, abs=MEASURED_A)
    assert amperes == pytest.approx(-10.0, abs=MEASURED_A)
    assert await stand.device.energised()
    assert [request for request in stand.written() if b"ON" in request] == [b"OUTP ON"]
    await stand.device.make_safe()
    assert stand.at_rest()


@pytest.mark.fault("F15")
@on_every(CYCLER)
async def test_output_on_that_is_lost_itself_is_not_sent_again(stand: Stand) -> None:
    await ready(stand)
    await stand.device.apply(DISCHARGE)
    stand.heard.clear()
    stand.scene.cut(NAME)
    with pytest.raises(WireError):
        await stand.device.output(on=True)
    await stand.scene.restore(NAME)
    await asyncio.sleep(1.0)  # an attempt that failed meanwhile is not repeated at once
    _, amperes = await measured(stand)
    assert abs(amperes) <= MEASURED_A
    assert not await stand.device.energised()
    assert stand.written() == []
    assert stand.at_rest()


@pytest.mark.fault("F15")
@on_every(CYCLER)
async def test_output_on_is_sent_once_whichever_of_the_replies_is_lost(stand: Stand) -> None:
    """One after the other, each reply of the exchange is the one that is lost."""
    await ready(stand)
    await stand.device.apply(DISCHARGE)
    answered: list[int] = []

    for lost in range(10):
        count = 0

        def one_lost(delay_s: float, frame: bytes, nth: int = lost) -> tuple[tuple[float, bytes], ...]:
            nonlocal count
            count += 1
            return () if count == nth + 1 else ((delay_s, frame),)

        stand.heard.clear()
        stand.twin.faults.always = one_lost
        try:
            await stand.device.output(on=True)
        except WireError:
            answered.append(lost)
        stand.twin.faults.clear()
        assert stand.written().count(b"OUTP ON") == 1
        await stand.device.read()
        await stand.device.output(on=False)
        assert stand.at_rest()
    assert answered


@on_every(CYCLER)
async def test_release_is_refused_under_current_and_gives_control_back_after(stand: Stand) -> None:
    await stand.energise()
    with pytest.raises(DeviceRefused):
        await stand.device.release()
    assert stand.current_a < 0.0
    await stand.device.make_safe()
    await stand.device.release()
    assert not stand.twin.remote
    assert stand.at_rest()


@on_every(CYCLER)
async def test_zero_is_a_set_value(stand: Stand) -> None:
    await ready(stand)
    await stand.device.apply(Setpoints(0.0, 0.0, 0.0, 0.0, 0.0))
    await stand.device.output(on=True)
    assert stand.current_a == 0.0

"""What every chamber promises. The plant's air is the oracle."""

from __future__ import annotations

import asyncio
import math

import pytest

from drivers import DeviceRefused, WireError
from drivers.capabilities import DeviceKind
from simulators.faults import no_reply
from tests.contracts.stands import HOT_C, NAME, RATING, Stand, on_every

CHAMBER = DeviceKind.CHAMBER
AMBIENT_C = (20.0, 25.0)


@on_every(CHAMBER)
async def test_the_air_comes_to_the_setpoint_below_zero_too(stand: Stand) -> None:
    await stand.device.connect()
    for wanted_c in (45.0, -20.0):
        await stand.device.run_at(wanted_c)
        async with asyncio.timeout(3 * 3600.0):
            while abs(stand.plant.chamber("box").air_c - wanted_c) > 0.5:  # noqa: ASYNC110 - the air has no event
                await asyncio.sleep(10.0)
        air, setpoint = await stand.device.read()
        assert air.value == pytest.approx(stand.plant.chamber("box").air_c, abs=0.25)
        assert setpoint.value == pytest.approx(wanted_c, abs=0.05)


@on_every(CHAMBER)
async def test_a_setpoint_out_of_range_is_refused_and_changes_nothing(stand: Stand) -> None:
    await stand.energise()
    before = stand.state()
    for wanted_c in (RATING["high_c"] + 5.0, RATING["low_c"] - 5.0):
        with pytest.raises(DeviceRefused) as refused:
            await stand.device.run_at(wanted_c)
        assert refused.value.device == NAME
        assert f"{wanted_c:g}" in refused.value.doing
        assert stand.state() == before
    heard = len(stand.heard)
    for nonsense in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match="temperature"):
            await stand.device.run_at(nonsense)
    assert len(stand.heard) == heard
    assert stand.state() == before


@on_every(CHAMBER)
async def test_safe_is_ambient_with_the_air_running_and_off_after_fire(stand: Stand) -> None:
    await stand.energise()
    await stand.device.make_safe()
    chamber = stand.plant.chamber("box")
    assert chamber.running
    assert AMBIENT_C[0] <= chamber.setpoint_c <= AMBIENT_C[1]
    await stand.device.make_safe(fire=True)
    assert not stand.plant.chamber("box").running


@on_every(CHAMBER)
async def test_stop_ends_conditioning(stand: Stand) -> None:
    await stand.energise()
    await stand.device.stop()
    assert not stand.plant.chamber("box").running


@pytest.mark.fault("F15")
@on_every(CHAMBER)
async def test_heating_whose_reply_is_lost_is_not_sent_again(stand: Stand) -> None:
    """Whichever of the replies is lost: no command is repeated, and reading decides what is true."""
    await stand.device.connect()
    errors: list[WireError] = []
    for lost in range(4):
        stand.heard.clear()
        count = 0

        def one_lost(delay_s: float, frame: bytes, nth: int = lost) -> tuple[tuple[float, bytes], ...]:
            nonlocal count
            count += 1
            return () if count == nth + 1 else ((delay_s, frame),)

        stand.twin.faults.always = one_lost
        try:
            await stand.device.run_at(HOT_C)
        except WireError as error:
            errors.append(error)
        stand.twin.faults.clear()
        commands = stand.written()
        assert len(set(commands)) == len(commands)
        _, setpoint = await stand.device.read()
        assert setpoint.value == pytest.approx(stand.plant.chamber("box").setpoint_c, abs=0.05)
        assert await stand.device.energised() is stand.plant.chamber("box").running
        await stand.device.stop()
        assert not stand.plant.chamber("box").running
    assert [error.device for error in errors] == [NAME] * 4


@on_every(CHAMBER)
async def test_commands_in_a_row_keep_the_quiet_that_the_controller_needs(stand: Stand) -> None:
    """The simulated controller loses what comes too early, so anything sent too early would be an error here."""
    await stand.device.connect()
    for step in range(30):
        await asyncio.gather(stand.device.read(), stand.device.run_at(20.0 + step), stand.device.read())
        assert stand.plant.chamber("box").setpoint_c == 20.0 + step


@pytest.mark.fault("F39")
@on_every(CHAMBER)
async def test_a_locked_panel_refuses_and_reading_goes_on(stand: Stand) -> None:
    await stand.energise()
    before = stand.state()
    stand.twin.panel_locked = True
    with pytest.raises(DeviceRefused):
        await stand.device.run_at(30.0)
    with pytest.raises(DeviceRefused):
        await stand.device.make_safe()
    assert stand.state() == before
    await stand.device.read()
    stand.twin.panel_locked = False
    stand.twin.faults.push(no_reply)
    await stand.device.make_safe()
    assert stand.at_rest()

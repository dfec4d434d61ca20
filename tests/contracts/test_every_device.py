"""What every driver promises, whatever it drives."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from drivers import DeviceError, DeviceRefused, Quality, WireError, WireTimeout, WrongDevice, unit_of
from drivers.capabilities import Chamber, Cycler, Device, DeviceKind, PointKind, Rig, Switches
from drivers.models import driver_model, model_names
from simulators.faults import no_reply
from tests.contracts.stands import NAME, RATING, Case, Stand, cases, equipped, on_every, stand_up

ENERGETIC = (DeviceKind.CYCLER, DeviceKind.CHAMBER, DeviceKind.SWITCHES)
#: How long a run waits for a device to prove that it is safe; a chamber's controller wants quiet after each command.
SAFE_WITHIN_S = {DeviceKind.CYCLER: 2.0, DeviceKind.SWITCHES: 2.0, DeviceKind.CHAMBER: 6.0}


def test_every_registered_model_is_held_to_this_suite() -> None:
    assert {case.model for case in cases()} == set(model_names())
    assert {"tcp", "visa"} <= {case.scheme for case in cases(DeviceKind.CYCLER)}
    assert {"serial", "modbus-rtu"} <= {case.scheme for case in cases()}


@on_every()
async def test_it_has_the_protocol_of_its_kind(stand: Stand) -> None:
    kinds: dict[DeviceKind, Any] = {
        DeviceKind.CYCLER: Cycler,
        DeviceKind.CHAMBER: Chamber,
        DeviceKind.SWITCHES: Switches,
        DeviceKind.RIG: Rig,
    }
    assert isinstance(stand.device, Device)
    assert isinstance(stand.device, kinds.get(stand.case.kind, Device))
    assert stand.device.name == NAME


@on_every()
async def test_connect_and_read_change_nothing(stand: Stand) -> None:
    """A device that was left on stays on, and what reaches it are questions only."""
    await stand.found_on()
    before = stand.state()
    identity = await stand.device.connect()
    await stand.device.read()
    assert stand.state() == before
    assert stand.heard
    assert stand.written() == []
    assert identity.maker
    assert identity.model


@on_every()
async def test_channels_are_what_read_gives_in_this_order(stand: Stand) -> None:
    await stand.device.connect()
    channels = stand.device.channels
    assert len(set(channels)) == len(channels) > 0
    for _ in range(3):
        readings = await stand.device.read()
        assert tuple(reading.channel for reading in readings) == channels
        assert {reading.mono_s for reading in readings} == {stand.loop.time()}
        for reading in readings:
            assert reading.quality is Quality.GOOD
            assert math.isfinite(reading.value)
    for channel in channels:
        device, point, quantity = channel.split(".")
        assert device == NAME
        kind = equipped(stand.case.model).points[point]
        assert (
            unit_of(channel)
            or (quantity == "on" and kind in (PointKind.INPUT, PointKind.OUTPUT))
            or quantity == "state"
        )


@pytest.mark.fault("F40")
@on_every()
async def test_another_serial_number_is_another_device(stand: Stand) -> None:
    with pytest.raises(WrongDevice) as refused:
        await stand.driver(serial="4711").connect()
    assert refused.value.device == NAME
    assert "4711" in str(refused.value) or "serial" in str(refused.value)
    assert stand.written() == []


def _rated(cases_of: list[Case]) -> pytest.MarkDecorator:
    """The test runs for every key of each case's rating."""
    return pytest.mark.parametrize(
        ("case", "key"),
        [(case, key) for case in cases_of for key in driver_model(case.model).rating_keys],
        ids=str,
    )


@pytest.mark.fault("F40", "F29")
@_rated([case for case in cases() if case.kind is not DeviceKind.RIG])
def test_another_rating_is_another_device(case: Case, key: str) -> None:
    async def check(stand: Stand) -> None:
        rating = dict(stand.spec.rating)
        with pytest.raises(WrongDevice) as refused:
            await stand.driver(rating=rating | {key: rating[key] * 1.1}).connect()
        assert f"{RATING[key] * 1.1:g}" in str(refused.value)
        assert stand.written() == []

    stand_up(case, check)


@_rated(cases(DeviceKind.RIG))
def test_the_rating_of_a_rig_is_the_bench_files_word_and_only_binds(case: Case, key: str) -> None:
    """No register of a rig's PLC tells its rating, so connect cannot compare it. What it is for is the span that a
    stroke is checked against before a run; the PLC refuses by itself what is beyond its own."""

    async def check(stand: Stand) -> None:
        rating = dict(stand.spec.rating) | {key: RATING[key] * 1.1}
        await stand.driver(rating=rating).connect()
        assert stand.written() == []
        spans = equipped(case.model).spans(rating)
        tops = {"stroke_mm": "position_mm", "speed_mm_s": "speed_mm_s", "force_n": "force_n"}
        for own, quantity in tops.items():
            assert (spans[quantity].low, spans[quantity].high) == (0.0, rating[own])

    stand_up(case, check)


def _mistaken() -> list[tuple[Case, str]]:
    """A case, and another model that can hang on the same wire."""
    return [
        (case, other.model)
        for case in cases()
        for other in cases()
        if other.model != case.model and other.scheme == case.scheme
    ]


@pytest.mark.fault("F40", "F19")
@pytest.mark.parametrize(("case", "other"), _mistaken(), ids=lambda value: str(value))
def test_another_model_at_the_address_is_never_adopted(case: Case, other: str) -> None:
    """On Modbus each module says who it is; a line of text may also just not be understood.

    What a page describes says nothing but its registers: where one of the two is such a device, that it refuses one of
    them may be all there is to tell.
    """
    described = any(driver_model(name).with_profile is not None for name in (case.model, other))

    async def check(stand: Stand) -> None:
        with pytest.raises(DeviceError) as refused:
            await stand.device.connect()
        assert refused.value.device == NAME
        if case.scheme.startswith("modbus"):
            assert isinstance(refused.value, WrongDevice | DeviceRefused if described else WrongDevice)
        assert stand.written() == []

    stand_up(case, check, model=other, points={})


@pytest.mark.fault("F1")
@on_every()
async def test_a_lost_reply_is_an_error_that_names_device_and_action(stand: Stand) -> None:
    await stand.device.connect()
    stand.twin.faults.push(no_reply)
    with pytest.raises(WireTimeout) as lost:
        await stand.device.read()
    assert lost.value.device == NAME
    assert "read" in lost.value.doing
    (fault,) = lost.value.faults
    assert fault.where == NAME
    assert lost.value.doing in fault.error
    assert fault.fix
    readings = await stand.device.read()
    assert len(readings) == len(stand.device.channels)


@pytest.mark.fault("F2", "T11", "T21")
@on_every()
async def test_a_cut_wire_is_an_error_until_it_is_mended(stand: Stand) -> None:
    await stand.device.connect()
    stand.scene.cut(NAME)
    for _ in range(3):
        with pytest.raises(WireError) as cut:
            await stand.device.read()
        assert (cut.value.device, bool(cut.value.doing)) == (NAME, True)
    await stand.scene.restore(NAME)
    await asyncio.sleep(1.0)  # the third attempt may be 0.5 s after the second
    readings = await stand.device.read()
    assert all(reading.quality is Quality.GOOD for reading in readings)


@on_every(*ENERGETIC)
async def test_make_safe_takes_energy_away_and_may_be_repeated(stand: Stand) -> None:
    await stand.energise()
    for _ in range(3):
        await stand.device.make_safe()
        assert stand.at_rest()
    for _ in range(2):
        await stand.device.make_safe(fire=True)
        assert stand.at_rest()


@on_every(DeviceKind.INPUTS)
async def test_make_safe_of_inputs_needs_no_wire(stand: Stand) -> None:
    await stand.device.connect()
    stand.scene.cut(NAME)
    stand.heard.clear()
    await stand.device.make_safe()
    await stand.device.make_safe(fire=True)
    assert stand.heard == []


@pytest.mark.fault("F24")
@on_every(*ENERGETIC)
async def test_make_safe_that_cannot_be_confirmed_is_an_error(stand: Stand) -> None:
    await stand.energise()
    stand.scene.cut(NAME)
    with pytest.raises(DeviceError) as unproved:
        await stand.device.make_safe()
    assert unproved.value.device == NAME
    assert unproved.value.doing
    await stand.scene.restore(NAME)
    await stand.device.make_safe()
    assert stand.at_rest()


@pytest.mark.fault("F24")
@on_every(*ENERGETIC)
async def test_make_safe_survives_a_reply_that_is_lost(stand: Stand) -> None:
    await stand.energise()
    stand.twin.faults.push(no_reply)
    await stand.device.make_safe()
    assert stand.at_rest()


@pytest.mark.fault("F25")
@on_every(*ENERGETIC)
async def test_make_safe_overtakes_polls_while_one_hangs(stand: Stand) -> None:
    await stand.energise()
    stand.twin.faults.push(no_reply)
    stand.overhearing.clear()
    polls = [asyncio.ensure_future(stand.device.read()) for _ in range(4)]
    await stand.overhearing.wait()
    begun_s = stand.loop.time()
    await stand.device.make_safe()
    assert stand.loop.time() - begun_s <= SAFE_WITHIN_S[stand.case.kind]
    assert stand.at_rest()
    results = await asyncio.gather(*polls, return_exceptions=True)
    assert isinstance(results[0], WireError)
    assert not any(isinstance(result, BaseException) for result in results[1:])
    poll = stand.heard[0]
    stop = stand.heard.index(stand.written()[0])
    assert stand.heard[:stop].count(poll) == 1


@pytest.mark.fault("T2", "T6")
@on_every(*ENERGETIC)
async def test_a_poll_that_is_given_up_leaves_the_next_exchange_its_own_reply(stand: Stand) -> None:
    await stand.energise()
    for _ in range(20):
        poll = asyncio.ensure_future(stand.device.read())
        await asyncio.sleep(0.002)
        poll.cancel()
        await asyncio.gather(poll, return_exceptions=True)
        readings = await stand.device.read()
        assert tuple(reading.channel for reading in readings) == stand.device.channels
    await stand.device.make_safe()
    assert stand.at_rest()

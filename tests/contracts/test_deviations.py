"""What a device says about itself is compared with how it was armed and set, for as long as it is in use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from drivers.capabilities import DeviceKind, OnCommLoss, TellsDeviations
from drivers.models import driver_model, model_names
from simulators.faults import no_reply
from tests.contracts.stands import CHARGE, DISCHARGE, NAME, Case, Stand, cases, equipped, on_every, stand_up
from tests.contracts.test_rigs import Enclosure, enclosed

#: The longest round of any driver, in calls.
ROUND = 8


async def told(stand: Stand) -> tuple[str, ...]:
    """The first deviations within one round; the call after it must tell them too."""
    for _ in range(ROUND):
        found: tuple[str, ...] = await stand.device.deviations()
        if found:
            assert await stand.device.deviations() == found
            return found
    return ()


@on_every()
async def test_a_healthy_device_has_none_and_is_only_asked(stand: Stand) -> None:
    assert isinstance(stand.device, TellsDeviations)
    await stand.energise()
    for _ in range(3 * ROUND):
        stand.heard.clear()
        assert await stand.device.deviations() == ()
        assert len(stand.heard) <= 3
        assert stand.written() == []


@on_every(DeviceKind.CYCLER, DeviceKind.CHAMBER, DeviceKind.SWITCHES)
async def test_before_it_is_set_nothing_is_wrong_and_after_make_safe_neither(stand: Stand) -> None:
    await stand.device.connect()
    assert await told(stand) == ()
    await stand.energise()
    await stand.device.make_safe()
    assert await told(stand) == ()


@on_every(DeviceKind.CYCLER, DeviceKind.CHAMBER, DeviceKind.SWITCHES)
async def test_a_device_that_does_not_answer_is_a_wire_error_and_the_round_goes_on(stand: Stand) -> None:
    await stand.energise()
    for _ in range(ROUND):
        stand.twin.faults.push(no_reply)
        with pytest.raises(Exception, match=NAME):
            await stand.device.deviations()
        assert await stand.device.deviations() == ()
        await asyncio.sleep(0.5)  # no more than five connections are made in a second


def at_panel(*lines: str) -> Callable[[Stand], None]:
    return lambda stand: stand.panel(*lines)


def reboot(stand: Stand) -> None:
    stand.twin._leave_remote()
    stand.twin._restore_defaults()


def over_current(stand: Stand) -> None:
    """The cell gives more than was armed: the unit's own business (its threshold is crossed in the plant)."""
    stand.panel("SINK:CURR:PROT 5", "MEAS:CURR?", "SINK:CURR:PROT 30")


CYCLER_FAULTS: dict[str, tuple[Callable[[Stand], None], str, list[str]]] = {
    "set voltage": (at_panel("VOLT 3.5"), "VOLT reads 3.5 V where 2.8 V was set", ["F23", "I7"]),
    "set current": (at_panel("SINK:CURR 12"), "SINK:CURR reads 12 A where 10 A was set", ["F23"]),
    "set power": (at_panel("SINK:POW 20"), "SINK:POW reads 20 W", ["F23"]),
    "own limit": (at_panel("VOLT:PROT 60"), "VOLT:PROT reads 60 V where 4.3 V was set", ["F30"]),
    "own limit of current": (at_panel("CURR:PROT 100"), "CURR:PROT reads 100 A where 30 A was set", ["F30"]),
    "watchdog time": (at_panel("SYST:COMM:MON:TIM 3600"), "SYST:COMM:MON:TIM reads 3600 s", ["F30"]),
    "watchdog": (at_panel("SYST:COMM:MON:ACT OFF"), "its watchdog is off", ["F30"]),
    "state after remote": (at_panel("POW:STAG:AFT:REM AUTO"), "would stay on after remote", ["F30"]),
    "remote control": (at_panel("POW:STAG:AFT:REM AUTO", "SYST:LOCK OFF"), "remote control is lost", ["F39"]),
    "own protection": (over_current, "switched its output off by itself, alarms: over-current", ["F41"]),
    "reboot": (reboot, "switched its output off by itself", ["F38"]),
    "output": (at_panel("OUTP OFF"), "switched its output off by itself, alarms: none", ["F41"]),
}


def _faulty(table: dict[str, tuple[Any, str, list[str]]], *kinds: DeviceKind) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("case", "what"),
        [
            pytest.param(case, what, id=f"{case}-{what}", marks=pytest.mark.fault(*entry[2]))
            for case in cases(*kinds)
            for what, entry in table.items()
        ],
    )


def _struck(case: Case, entry: tuple[Callable[[Stand], None], str, list[str]]) -> None:
    strike, words, _ = entry

    async def check(stand: Stand) -> None:
        await stand.energise()
        assert await told(stand) == ()
        strike(stand)
        assert words in "; ".join(await told(stand))

    stand_up(case, check)


@_faulty(CYCLER_FAULTS, DeviceKind.CYCLER)
def test_a_cycler_that_is_no_longer_as_it_was_set(case: Case, what: str) -> None:
    _struck(case, CYCLER_FAULTS[what])


@pytest.mark.fault("F42", "F15")
@on_every(DeviceKind.CYCLER)
async def test_an_output_that_nobody_here_switched_on(stand: Stand) -> None:
    await stand.energise()
    await stand.device.output(on=False)
    assert await told(stand) == ()
    stand.panel("OUTP ON")
    assert "the output is on, and nobody here switched it on" in await told(stand)


@on_every(DeviceKind.CYCLER)
async def test_a_setting_under_way_is_no_deviation(stand: Stand) -> None:
    """The poller looks whenever it looks: half of the new set values and half of the old ones are nobody's fault."""
    await stand.energise()
    for setpoints in (CHARGE, DISCHARGE) * 3:
        setting = asyncio.ensure_future(stand.device.apply(setpoints))
        while not setting.done():
            assert await stand.device.deviations() == ()
            await asyncio.sleep(0.003)
        await setting
        assert await told(stand) == ()


CHAMBER_FAULTS: dict[str, tuple[Callable[[Stand], None], str, list[str]]] = {
    "setpoint": (at_panel("TEMP, S80.0"), "the setpoint reads 80 degC where 60 degC was set", ["F23", "I7"]),
    "mode": (at_panel("MODE,STANDBY"), "the mode reads STANDBY where CONSTANT was set", ["F39"]),
    "alarm": (lambda stand: stand.twin.raise_alarm(14), "ALARM? gives '1,14'", ["F41"]),
    "own limit": (at_panel("TEMP, H149.0"), "its limits are 149 and -40 degC, they were 150 and -40 degC", ["F30"]),
}


@_faulty(CHAMBER_FAULTS, DeviceKind.CHAMBER)
def test_a_chamber_that_is_no_longer_as_it_was_set(case: Case, what: str) -> None:
    strike, words, names = CHAMBER_FAULTS[what]

    def later(stand: Stand) -> None:
        ready_s, stand.twin._ready_s = stand.twin._ready_s, 0.0  # at the panel itself there is no pacing
        strike(stand)
        stand.twin._ready_s = ready_s

    _struck(case, (later, words, names))


def drop(stand: Stand) -> None:
    stand.twin._drive(0 if stand.case.model == "icpdas-m-7002" else stand.twin.page.points["do0"], **_off(stand))


def _off(stand: Stand) -> dict[str, Any]:
    return {"value": 0} if stand.case.model == "icpdas-m-7002" else {"on": False}


@pytest.mark.fault("F23", "F38")
@on_every(DeviceKind.SWITCHES)
async def test_an_output_that_drops_by_itself(stand: Stand) -> None:
    await stand.energise()
    assert await told(stand) == ()
    drop(stand)
    assert "do0 reads OFF where ON was set" in await told(stand)


def watchdog_off(stand: Stand) -> None:
    stand.twin.module.watchdog.disarm()


def longer(stand: Stand) -> None:
    stand.twin.module._timeout.value = 250


def mode_1(stand: Stand) -> None:
    stand.twin.module.watchdog_mode.value = 1


def safe_on(stand: Stand) -> None:
    stand.twin.safe[0].value = 1


def restarted(stand: Stand) -> None:
    stand.twin.module._first_read = True


def exchanged(stand: Stand) -> None:
    stand.twin.module.reads |= {40483: lambda: 0x1700, 40484: lambda: 0x0070}


MODULE_FAULTS: dict[str, tuple[Callable[[Stand], None], str, list[str]]] = {
    "watchdog": (watchdog_off, "its host watchdog is off", ["F30"]),
    "watchdog time": (longer, "its host watchdog reads 25 s where 4 s was set", ["F30"]),
    "watchdog mode": (mode_1, "host watchdog is in mode 1", ["F30"]),
    "safe value": (safe_on, "the safe value of an output reads ON", ["F30"]),
    "restart": (restarted, "the module has started anew", ["F38"]),
    "another module": (exchanged, "calls itself 00701700 (hex) now", ["F19", "F40"]),
}
MODULES = [case for case in cases(DeviceKind.SWITCHES) if case.model == "icpdas-m-7002"]


@pytest.mark.parametrize("case", MODULES, ids=str)
@pytest.mark.parametrize(
    "what", [pytest.param(what, marks=pytest.mark.fault(*entry[2])) for what, entry in MODULE_FAULTS.items()]
)
def test_a_module_that_is_no_longer_as_it_was_armed(case: Case, what: str) -> None:
    _struck(case, MODULE_FAULTS[what])


@pytest.mark.fault("F30")
@pytest.mark.parametrize("case", [case for case in cases() if case.model == "modbus-points"], ids=str)
def test_a_listed_watchdog_that_was_changed(case: Case) -> None:
    def change(stand: Stand) -> None:
        stand.twin._timeout_raw = 250

    _struck(case, (change, "its watchdog reads 25 s where 4 s was set", []))


def shown(number: int, value: int) -> Callable[[Stand], None]:
    """A register or coil of the maker's map (printed number) reads this from now on."""

    def change(stand: Stand) -> None:
        stand.twin.module.reads[number] = lambda: value

    return change


INPUT_FAULTS: dict[str, tuple[Callable[[Stand], None], str, list[str]]] = {
    "data format": (shown(269, 1), "its data format is engineering now, it was hexadecimal", ["F30"]),
    "type code": (shown(40487, 0x05), "type code 0x05", ["F30"]),
    "channel": (shown(40490, 0x00), "disabled in the module", ["F30"]),
    "filter": (shown(259, 0), "it filters 60 Hz", ["F30"]),
    "another module": (shown(40483, 0x0200), "now, not an M-70", ["F19", "F40"]),
}


@_faulty(INPUT_FAULTS, DeviceKind.INPUTS)
def test_inputs_that_are_no_longer_set_as_at_connect(case: Case, what: str) -> None:
    _struck(case, INPUT_FAULTS[what])


def local(stand: Enclosure) -> None:
    stand.plc.remote = False


def standing_still(stand: Enclosure) -> None:
    clock_ms = stand.plc.clock_ms()
    stand.plc.clock_ms = lambda: clock_ms


def deeper(stand: Enclosure) -> None:
    register = stand.twin.profile.parameters["depth_mm"]
    stand.twin._kept |= dict(zip(register.addresses, register.raw_words(register.raw(14.5)), strict=True))


def cycled(stand: Enclosure) -> None:
    stand.twin.power_off()
    stand.twin.power_on()


RIG_FAULTS: dict[str, tuple[Callable[[Enclosure], None], str, list[str]]] = {
    "key switch": (local, "its key switch is no longer on remote", ["F39"]),
    "program": (standing_still, "the PLC's heartbeat stands at", ["F38"]),
    "stroke": (deeper, "depth_mm reads 14.5 where 13.5 was set", ["F23", "F30"]),
    "power": (cycled, "the PLC started anew", ["F38"]),
}


@pytest.mark.parametrize(
    "what", [pytest.param(what, marks=pytest.mark.fault(*entry[2])) for what, entry in RIG_FAULTS.items()]
)
def test_an_armed_rig_that_is_no_longer_as_it_was_prepared(what: str) -> None:
    strike, words, _ = RIG_FAULTS[what]

    async def check(stand: Enclosure) -> None:
        await stand.rig.connect()
        assert await stand.rig.deviations() == ()
        await stand.armed()
        for _ in range(20):
            assert await stand.rig.deviations() == ()
            await asyncio.sleep(0.3)
        strike(stand)
        found: list[str] = []
        for _ in range(4):
            found += await stand.rig.deviations()
            await asyncio.sleep(0.6)
        assert words in "; ".join(found)
        stand.plc.remote = True

    enclosed(check)


def test_every_model_says_what_takes_its_energy_away_when_the_host_is_gone() -> None:
    for name in model_names():
        model = equipped(name)
        assert isinstance(model.on_comm_loss, OnCommLoss)
        has_watchdog = model.on_comm_loss is OnCommLoss.DEVICE_WATCHDOG
        if model.kind is not DeviceKind.RIG:
            assert has_watchdog == (model.watchdog_max_s is not None)
        if driver_model(name).kind in (DeviceKind.CYCLER, DeviceKind.RIG):
            assert has_watchdog

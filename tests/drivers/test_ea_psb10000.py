"""The PSB 10000 driver: replies that others recorded, and a small unit of the test's own on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import DeviceError, DeviceRefused, FrameError, Quality, ReadbackMismatch, WrongDevice, system_clock
from drivers.capabilities import Cycler, DeviceSettings, Setpoints, TerminalLimits
from drivers.ea_psb10000 import MODEL, EaPsb10000
from tests.drivers.peers import TcpPeer, line_wire, opened, tcp_peer
from tests.golden import transcript

GOLDEN = transcript("ea_psb10000")
RATING = {"voltage_v": 60.0, "current_a": 170.0, "power_w": 5000.0}
LIMITS = TerminalLimits(over_voltage_v=4.5, over_current_a=65.0, watchdog_s=4.0)


class Unit:
    """The least of a PSB: set values that keep their unit, a lock, an output and an error queue."""

    def __init__(self) -> None:
        self.values = {
            "VOLT": "0.00V",
            "CURR": "0.00A",
            "POW": "0W",
            "SINK:CURR": "0.00A",
            "SINK:POW": "0W",
            "VOLT:PROT": "66.00V",
            "CURR:PROT": "187.00A",
            "SINK:CURR:PROT": "187.00A",
            "OUTP": "OFF",
            "SYST:LOCK": "OFF",
            "SYST:CONF:MODE": "U/I/R",
            "POW:STAG:AFT:REM": "AUTO",
            "SYST:COMM:MON:TIM": "5",
            "SYST:COMM:MON:ACT": "OFF",
        }
        self.fixed = {
            "*IDN?": GOLDEN["*IDN?"][0].decode().strip(),
            "SYST:NOM:VOLT?": "60 V",
            "SYST:NOM:CURR?": "170 A",
            "SYST:NOM:POW?": "5000 W",
        }
        self.local = False
        self.errors: list[str] = []
        self.measured = (3.45, 0.0)
        self.ignores: set[str] = set()
        self.refuses: dict[str, str] = {}

    def __call__(self, line: str) -> bytes | None:
        if "?" in line:
            return f"{self.answer(line)}\n".encode()
        self.command(line)
        return None

    def answer(self, line: str) -> str:
        if line in self.fixed:
            return self.fixed[line]
        if line == "SYST:ERR?":
            return self.errors.pop(0) if self.errors else '0,"No error"'
        if line == "SYST:LOCK:OWN?":
            return "LOCAL" if self.local else "REMOTE" if self.values["SYST:LOCK"] == "ON" else "NONE"
        if line == "STAT:QUES:COND?":
            return "9"
        voltage_v, current_a = self.measured
        if line == "MEAS:ARR?":
            return f"{voltage_v:.2f} V, {current_a:.2f} A, {voltage_v * current_a:.0f} W"
        if line == "MEAS:CURR?":
            return f"{current_a:.2f}A"
        return self.values[line.removesuffix("?")]

    def command(self, line: str) -> None:
        name, _, value = line.partition(" ")
        if line in self.refuses or name in self.refuses:
            self.errors.append(self.refuses.get(line) or self.refuses[name])
        elif self.local or (name != "SYST:LOCK" and self.values["SYST:LOCK"] != "ON"):
            self.errors.append('-201,"Invalid while in local"')
        elif name in self.ignores:
            return
        elif name.startswith("SYST:COMM") or not value[0].isdigit():
            self.values[name] = value
        else:
            unit = "W" if name.endswith("POW") else "V" if name.startswith("VOLT") else "A"
            digits = 0 if unit == "W" else 2
            self.values[name] = f"{float(value):.{digits}f}{unit}"


@contextlib.asynccontextmanager
async def bench(
    answer: Callable[[str], Any], serial: str | None = None, rating: dict[str, float] = RATING
) -> AsyncIterator[tuple[EaPsb10000, TcpPeer]]:
    async with tcp_peer(answer) as peer, opened(line_wire(peer.url)) as wire:
        clock = system_clock(asyncio.get_running_loop().time)
        driver = MODEL.create(DeviceSettings(name="psb", wire=wire, clock=clock, serial=serial, rating=rating))
        assert isinstance(driver, EaPsb10000)
        yield driver, peer


def settings_only(heard: list[str]) -> list[str]:
    return [line for line in heard if "?" not in line]


def test_it_is_a_cycler() -> None:
    driver = MODEL.create(DeviceSettings(name="psb", wire=None, clock=system_clock(lambda: 0.0), rating=RATING))
    assert isinstance(driver, Cycler)
    assert driver.channels == ("psb.out.voltage_v", "psb.out.current_a")


async def test_connect_reads_who_answers_and_writes_nothing() -> None:
    async with bench(Unit()) as (driver, peer):
        identity = await driver.connect()
        assert (identity.maker, identity.model, identity.serial, identity.firmware) == (
            "EA ELEKTRO-AUTOMATIK",
            "PSB 10060-60 2U",
            "1",
            "KE 3.10",
        )
        assert settings_only(peer.heard) == []


async def test_connect_refuses_another_model() -> None:
    unit = Unit()
    unit.fixed["*IDN?"] = "EA Elektro-Automatik,PS 9080-60 T,123,3.06"
    async with bench(unit) as (driver, _):
        with pytest.raises(WrongDevice, match="PS 9080-60 T"):
            await driver.connect()


@pytest.mark.fault("F40")
async def test_connect_refuses_another_serial_number() -> None:
    async with bench(Unit(), serial="2816340002") as (driver, _):
        with pytest.raises(WrongDevice, match="2816340002"):
            await driver.connect()


@pytest.mark.fault("F40", "F29")
@pytest.mark.parametrize("key", ["voltage_v", "current_a", "power_w"])
async def test_connect_refuses_another_rating(key: str) -> None:
    async with bench(Unit(), rating=RATING | {key: RATING[key] * 1.1}) as (driver, _):
        with pytest.raises(WrongDevice, match="rated"):
            await driver.connect()


@pytest.mark.parametrize(
    ("reply", "wanted"), list(zip(GOLDEN["MEAS:ARR?"], [(3.45, 20), (3.45, -20), (48, 2)], strict=True))
)
async def test_recorded_measurements(reply: bytes, wanted: tuple[float, float]) -> None:
    """With a blank before the unit, without one, and with the sink's sign."""
    async with bench(lambda line: reply) as (driver, peer):
        voltage, current = await driver.read()
        assert (voltage.value, current.value) == wanted
        assert (voltage.channel, current.channel) == driver.channels
        assert voltage.quality is current.quality is Quality.GOOD
        assert voltage.mono_s == current.mono_s
        assert peer.raw == b"MEAS:ARR?\r\n"


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "3.45 V",
        "3.45 V, 20.00 A",
        "3.45, 20.00, 69",
        "20.00 A, 3.45 V, 69 W",
        "3.45 mV, 20.00 A, 69 W",
        "nan V, nan A, nan W",
        "inf V, 20.00 A, 69 W",
        "3.45 V, 20.00 A, 69 W, 1 V",
        "--- V, --- A, --- W",
        "REMOTE",
        '0,"No error"',
    ],
)
async def test_what_is_no_measurement_is_refused_and_the_wire_resynchronised(reply: str) -> None:
    async with bench(lambda line: f"{reply}\n".encode()) as (driver, peer):
        with pytest.raises(FrameError, match="no answer to 'MEAS:ARR\\?'"):
            await driver.read()
        peer.answer = Unit()
        await driver.read()
        assert peer.connections == 2


@given(st.text(st.sampled_from("0123456789.,+- VAWkeEnaif"), max_size=40) | st.text(max_size=40))
async def test_any_reply_is_three_numbers_or_refused(text: str) -> None:
    """Parser property: what is taken for a measurement is finite and written with its units."""

    class Wire:
        async def query(self, *_: object, **__: object) -> str:
            return text.strip()

        def distrust(self) -> None:
            return

    driver = EaPsb10000(DeviceSettings(name="psb", wire=Wire(), clock=system_clock(lambda: 0.0)))
    try:
        readings = await driver.read()
    except FrameError:
        return
    assert all(math.isfinite(reading.value) for reading in readings)
    assert "V" in text
    assert "A" in text


@pytest.mark.fault("F27")
async def test_beyond_what_the_unit_can_measure_is_no_value() -> None:
    async with bench(lambda line: b"3.45 V, 999.99 A, 69 W\n") as (driver, _):
        voltage, current = await driver.read()
        assert (voltage.value, voltage.quality) == (3.45, Quality.GOOD)
        assert math.isnan(current.value)
        assert current.quality is Quality.IMPLAUSIBLE


@pytest.mark.fault("F42")
async def test_found_energised() -> None:
    unit = Unit()
    async with bench(unit) as (driver, peer):
        assert not await driver.energised()
        unit.values["OUTP"] = "ON"
        await driver.connect()
        assert await driver.energised()
        assert settings_only(peer.heard) == []


async def test_arm_sets_everything_with_the_output_off() -> None:
    unit = Unit()
    async with bench(unit) as (driver, peer):
        await driver.connect()
        await driver.arm(LIMITS)
    assert unit.values["SYST:LOCK"] == "ON"
    assert unit.values["SYST:CONF:MODE"] == "UIP"
    assert unit.values["POW:STAG:AFT:REM"] == "OFF"
    assert (unit.values["VOLT:PROT"], unit.values["CURR:PROT"], unit.values["SINK:CURR:PROT"]) == (
        "4.50V",
        "65.00A",
        "65.00A",
    )
    assert (unit.values["SYST:COMM:MON:TIM"], unit.values["SYST:COMM:MON:ACT"]) == ("4", "ON")
    assert unit.values["OUTP"] == "OFF"
    assert "OUTP ON" not in peer.heard
    heard = settings_only(peer.heard)
    assert heard[0] == "SYST:LOCK ON"
    assert heard.index("POW:STAG:AFT:REM OFF") < heard.index("SYST:COMM:MON:ACT ON")


async def test_every_setting_is_followed_by_a_look_at_the_error_queue() -> None:
    async with bench(Unit()) as (driver, peer):
        await driver.arm(LIMITS)
        await driver.apply(Setpoints(4.3, 20.0, 0.0, 5000.0, 5000.0))
        await driver.output(on=True)
    for line, following in zip(peer.heard, peer.heard[1:], strict=False):
        if "?" not in line:
            assert following == "SYST:ERR?"


async def test_an_output_found_on_is_off_after_arming() -> None:
    unit = Unit()
    unit.values["OUTP"] = "ON"
    async with bench(unit) as (driver, _):
        await driver.arm(LIMITS)
    assert unit.values["OUTP"] == "OFF"


async def test_old_errors_are_not_blamed_on_the_first_setting() -> None:
    unit = Unit()
    unit.errors = ['-100,"Command unknown"', '-222,"Data out of range"']
    async with bench(unit) as (driver, _):
        await driver.arm(LIMITS)


@pytest.mark.fault("F39")
async def test_a_unit_in_local_is_not_fought_for() -> None:
    unit = Unit()
    unit.local = True
    async with bench(unit) as (driver, peer):
        with pytest.raises(DeviceRefused, match="Local"):
            await driver.arm(LIMITS)
        assert settings_only(peer.heard) == []


async def test_remote_control_that_another_interface_holds() -> None:
    unit = Unit()
    unit.refuses["SYST:LOCK"] = '-200,"Execution error"'
    async with bench(unit) as (driver, _):
        with pytest.raises(DeviceRefused, match="Execution error"):
            await driver.arm(LIMITS)


@pytest.mark.fault("F23")
@pytest.mark.parametrize("name", ["VOLT:PROT", "CURR:PROT", "SINK:CURR:PROT"])
async def test_a_limit_that_does_not_read_back_is_no_limit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.ea_scpi.SETTLE_S", 0.05)
    unit = Unit()
    unit.ignores.add(name)
    async with bench(unit) as (driver, _):
        with pytest.raises(ReadbackMismatch, match=name):
            await driver.arm(LIMITS)


@pytest.mark.fault("F23")
@pytest.mark.parametrize("name", ["SYST:COMM:MON:TIM", "SYST:COMM:MON:ACT", "POW:STAG:AFT:REM", "SYST:CONF:MODE"])
async def test_a_watchdog_or_mode_that_does_not_read_back_is_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.ea_scpi.SETTLE_S", 0.05)
    unit = Unit()
    unit.ignores.add(name)
    async with bench(unit) as (driver, _):
        with pytest.raises(ReadbackMismatch):
            await driver.arm(LIMITS)


async def test_a_unit_without_a_threshold_of_its_own_for_the_sink() -> None:
    unit = Unit()
    unit.refuses["SINK:CURR:PROT"] = '-100,"Command unknown"'
    async with bench(unit) as (driver, _):
        await driver.arm(LIMITS)
    assert unit.values["CURR:PROT"] == "65.00A"


@pytest.mark.parametrize("watchdog_s", [0.0, 0.5, 5.1, 60.0, math.nan])
async def test_the_watchdog_is_one_to_five_seconds(watchdog_s: float) -> None:
    async with bench(Unit()) as (driver, peer):
        with pytest.raises(ValueError, match="watchdog"):
            await driver.arm(TerminalLimits(4.5, 65.0, watchdog_s))
        assert peer.heard == []


async def test_set_values_are_written_as_in_the_guide() -> None:
    unit = Unit()
    async with bench(unit) as (driver, peer):
        await driver.arm(LIMITS)
        await driver.apply(Setpoints(12.0, 2.0, 0.0, 5000.0, 5000.0))
        for golden in ("VOLT 12.000", "CURR 2.000"):
            assert golden in GOLDEN
            assert golden in peer.heard
    assert (unit.values["VOLT"], unit.values["CURR"], unit.values["SINK:CURR"]) == ("12.00V", "2.00A", "0.00A")


async def test_from_charge_to_discharge_nothing_flows_that_nobody_meant() -> None:
    """The old source current goes before the voltage falls, the new sink current comes after it; and back."""
    async with bench(Unit()) as (driver, peer):
        await driver.arm(LIMITS)
        await driver.apply(Setpoints(4.3, 20.0, 0.0, 5000.0, 5000.0))
        peer.heard.clear()
        await driver.apply(Setpoints(2.5, 0.0, 20.0, 5000.0, 5000.0))
        heard = settings_only(peer.heard)
        assert heard.index("CURR 0.000") < heard.index("VOLT 2.500") < heard.index("SINK:CURR 20.000")
        peer.heard.clear()
        await driver.apply(Setpoints(4.3, 20.0, 0.0, 5000.0, 5000.0))
        heard = settings_only(peer.heard)
        assert heard.index("SINK:CURR 0.000") < heard.index("VOLT 4.300") < heard.index("CURR 20.000")


@pytest.mark.parametrize("error", [reply for reply in GOLDEN["SYST:ERR?"] if not reply.startswith(b"0")])
async def test_a_recorded_refusal_is_told_with_its_code(error: bytes) -> None:
    unit = Unit()
    async with bench(unit) as (driver, _):
        await driver.arm(LIMITS)
        unit.refuses["CURR"] = error.decode().strip()
        with pytest.raises(DeviceRefused) as refused:
            await driver.apply(Setpoints(4.3, 20.0, 0.0, 5000.0, 5000.0))
        assert error.decode().split(",")[0] in str(refused.value)


@pytest.mark.fault("F39")
async def test_remote_control_lost_is_a_refusal_of_the_next_setting() -> None:
    unit = Unit()
    async with bench(unit) as (driver, _):
        await driver.arm(LIMITS)
        unit.values["SYST:LOCK"] = "OFF"
        with pytest.raises(DeviceRefused, match="-201"):
            await driver.output(on=True)
    assert unit.values["OUTP"] == "OFF"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0])
async def test_no_set_value_is_sent_that_is_not_one(bad: float) -> None:
    async with bench(Unit()) as (driver, peer):
        await driver.arm(LIMITS)
        peer.heard.clear()
        with pytest.raises(ValueError, match="not a set value"):
            await driver.apply(Setpoints(4.3, bad, 0.0, 5000.0, 5000.0))
        assert peer.heard == []


@pytest.mark.fault("F15", "F23")
async def test_an_output_that_does_not_come_on_is_switched_once_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.ea_scpi.SETTLE_S", 0.05)
    unit = Unit()
    async with bench(unit) as (driver, peer):
        await driver.arm(LIMITS)
        unit.ignores.add("OUTP")
        with pytest.raises(ReadbackMismatch, match="not ON, alarms: over-voltage, over-temperature"):
            await driver.output(on=True)
        assert peer.heard.count("OUTP ON") == 1


async def test_make_safe_takes_the_current_away_and_looks() -> None:
    unit = Unit()
    async with bench(unit) as (driver, peer):
        await driver.arm(LIMITS)
        await driver.apply(Setpoints(4.3, 20.0, 0.0, 5000.0, 5000.0))
        await driver.output(on=True)
        peer.heard.clear()
        await driver.make_safe()
        assert settings_only(peer.heard) == ["CURR 0", "SINK:CURR 0", "OUTP OFF"]
        assert peer.heard[-2:] == ["OUTP?", "MEAS:CURR?"]
        await driver.make_safe(fire=True)  # idempotent
    assert unit.values["OUTP"] == "OFF"


async def test_make_safe_after_the_watchdog_took_remote_control_and_the_output() -> None:
    unit = Unit()
    async with bench(unit) as (driver, peer):
        await driver.arm(LIMITS)
        unit.values["SYST:LOCK"], unit.values["OUTP"] = "OFF", "OFF"
        await driver.make_safe()
        assert peer.heard.count("SYST:LOCK ON") == 1  # that of arm: an output that is off is left in peace


async def test_make_safe_takes_lost_remote_control_back_when_the_output_is_on() -> None:
    unit = Unit()
    async with bench(unit) as (driver, _):
        await driver.arm(LIMITS)
        await driver.output(on=True)
        unit.values["SYST:LOCK"] = "OFF"
        await driver.make_safe()
    assert unit.values["OUTP"] == "OFF"


@pytest.mark.fault("F24")
async def test_make_safe_that_is_not_confirmed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.ea_psb10000.SETTLE_S", 0.05)
    unit = Unit()
    async with bench(unit) as (driver, peer):
        await driver.arm(LIMITS)
        unit.measured = (3.45, -20.0)  # off, by its word, and yet 20 A flow
        with pytest.raises(ReadbackMismatch, match="current still flows"):
            await driver.make_safe()
        assert peer.heard.count("OUTP OFF") == 4  # one of arm, three of make_safe


@pytest.mark.fault("F24")
async def test_make_safe_survives_a_reply_that_never_came() -> None:
    unit = Unit()
    silent = 1

    def answer(line: str) -> bytes | None:
        nonlocal silent
        if line == "OUTP?" and silent:
            silent -= 1
            return None
        return unit(line)

    async with bench(answer) as (driver, peer):
        await driver.make_safe()
        assert peer.connections == 2
        assert peer.heard.count("OUTP OFF") == 2


async def test_make_safe_of_a_device_that_is_gone_says_so() -> None:
    async with bench(Unit()) as (driver, peer):
        await peer.close()
        with pytest.raises(DeviceError):
            await driver.make_safe()


async def test_release_stops_the_watchdog_and_gives_control_back() -> None:
    unit = Unit()
    async with bench(unit) as (driver, _):
        await driver.arm(LIMITS)
        await driver.release()
        assert (unit.values["SYST:COMM:MON:ACT"], unit.values["SYST:LOCK"]) == ("OFF", "OFF")
        await driver.release()


async def test_release_is_refused_while_the_output_is_on() -> None:
    unit = Unit()
    async with bench(unit) as (driver, _):
        await driver.arm(LIMITS)
        await driver.output(on=True)
        with pytest.raises(DeviceRefused, match="still on"):
            await driver.release()
    assert unit.values["SYST:LOCK"] == "ON"


async def test_alarms_by_their_bits() -> None:
    async with bench(Unit()) as (driver, _):
        assert await driver.alarms() == ("over-voltage", "over-temperature")


async def test_through_visa_the_same() -> None:
    unit = Unit()
    async with tcp_peer(unit) as peer, opened(line_wire(peer.visa_url)) as wire:
        clock = system_clock(asyncio.get_running_loop().time)
        driver = EaPsb10000(DeviceSettings(name="psb", wire=wire, clock=clock, rating=RATING))
        await driver.connect()
        await driver.arm(LIMITS)
        assert [reading.value for reading in await driver.read()] == [3.45, 0.0]
        await driver.make_safe()
    assert unit.values["VOLT:PROT"] == "4.50V"


def test_spans_say_where_the_makers_advice_begins() -> None:
    spans = MODEL.spans(RATING)
    assert spans["voltage_v"].usable_from == 6.0
    assert spans["current_a"].usable_from == 17.0
    assert (spans["voltage_v"].low, spans["voltage_v"].high) == (0.0, 60.0)

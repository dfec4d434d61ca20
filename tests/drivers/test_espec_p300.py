"""The P-300 driver: replies that others recorded, and a small chamber of the test's own on a pseudo-terminal."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import DeviceError, DeviceRefused, FrameError, Quality, ReadbackMismatch, WrongDevice, system_clock
from drivers.capabilities import Chamber, DeviceSettings
from drivers.espec_p300 import MODEL, EspecP300
from tests.drivers.peers import PtyPeer, line_wire, opened, pty_peer, tcp_peer
from tests.golden import transcript

GOLDEN = transcript("espec_p300")
RATING = {"high_c": 155.0, "low_c": -45.0}


class Controller:
    """The least of a P-300: a setpoint, a mode, limits, and no for whatever it does not know."""

    def __init__(self) -> None:
        self.air_c = 23.4
        self.setpoint_c = 25.0
        self.high_c, self.low_c = 155.0, -45.0
        self.mode = "STANDBY"
        self.protected = False
        self.ignores: set[str] = set()
        self.said: dict[str, str] = {}
        self.when: list[tuple[float, str]] = []

    def __call__(self, line: str) -> bytes:
        self.when.append((asyncio.get_running_loop().time(), line))
        return f"{self.said.get(line) or self.answer(line)}\r\n".encode()

    def answer(self, line: str) -> str:
        if line == "TEMP?":
            return f"{self.air_c:.1f},{self.setpoint_c:.1f},{self.high_c:.1f},{self.low_c:.1f}"
        if line == "MODE?":
            return self.mode
        if line == "TYPE?":
            return GOLDEN["TYPE?"][0].decode().strip()
        if line == "ROM?":
            return "P300 V1.23"
        if self.protected:
            return "NA:PROTECT ON"
        if line.startswith("TEMP, S"):
            wanted_c = float(line[7:])
            if not self.low_c <= wanted_c <= self.high_c:
                return "NA:DATA OUT OF RANGE"
            if "TEMP" not in self.ignores:
                self.setpoint_c = wanted_c
            return f"OK:{line}"
        if line.startswith("MODE,"):
            if "MODE" not in self.ignores:
                self.mode = line[5:]
            return f"OK:{line}"
        return "NA:CMD ERR"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the controller's quiet times; they have a test of their own."""
    monkeypatch.setattr("drivers.espec_p300.MONITOR_PAUSE_S", 0.0)
    monkeypatch.setattr("drivers.espec_p300.SETTING_PAUSE_S", 0.0)


@contextlib.asynccontextmanager
async def bench(
    answer: Callable[[str], Any], serial: str | None = None, rating: dict[str, float] = RATING
) -> AsyncIterator[tuple[EspecP300, PtyPeer]]:
    async with pty_peer(answer) as peer, opened(line_wire(peer.url)) as wire:
        clock = system_clock(asyncio.get_running_loop().time)
        driver = MODEL.create(DeviceSettings(name="ch1", wire=wire, clock=clock, serial=serial, rating=rating))
        assert isinstance(driver, EspecP300)
        yield driver, peer


def test_it_is_a_chamber() -> None:
    driver = MODEL.create(DeviceSettings(name="ch1", wire=None, clock=system_clock(lambda: 0.0)))
    assert isinstance(driver, Chamber)
    assert driver.channels == ("ch1.air.temperature_c", "ch1.air.setpoint_c")


@pytest.mark.usefixtures("quick")
async def test_connect_reads_who_answers_and_changes_nothing() -> None:
    controller = Controller()
    async with bench(controller) as (driver, peer):
        identity = await driver.connect()
        assert (identity.maker, identity.model, identity.firmware) == ("ESPEC", "S2", "P300 V1.23")
        assert all(line.endswith("?") for line in peer.heard)


@pytest.mark.usefixtures("quick")
async def test_connect_refuses_what_is_no_such_controller() -> None:
    controller = Controller()
    controller.said["TYPE?"] = "EA Elektro-Automatik,PSB 10060-60"
    async with bench(controller) as (driver, _):
        with pytest.raises(FrameError, match="TYPE"):
            await driver.connect()
    controller.said["TYPE?"] = "NA:CMD ERR"
    async with bench(controller) as (driver, _):
        with pytest.raises(DeviceRefused, match="CMD ERR"):
            await driver.connect()


@pytest.mark.fault("F40")
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("rating", [{"high_c": 150.0, "low_c": -45.0}, {"high_c": 155.0, "low_c": -40.0}])
async def test_connect_refuses_another_rating(rating: dict[str, float]) -> None:
    async with bench(Controller(), rating=rating) as (driver, _):
        with pytest.raises(WrongDevice, match="limit is"):
            await driver.connect()


@pytest.mark.usefixtures("quick")
async def test_a_serial_number_that_cannot_be_read_cannot_be_demanded() -> None:
    async with bench(Controller(), serial="123") as (driver, _):
        with pytest.raises(WrongDevice, match="no serial number") as refused:
            await driver.connect()
    assert "take `serial` out" in str(refused.value)


@pytest.mark.parametrize(
    ("reply", "wanted"),
    list(zip([*GOLDEN["TEMP?"], b"-39.8,-40.0,155.0,-45.0\r\n"], [(23.4, 25), (26.4, 0), (-39.8, -40)], strict=True)),
)
async def test_recorded_temperatures_and_one_below_zero(reply: bytes, wanted: tuple[float, float]) -> None:
    """A public library's pattern has no minus sign and fails below 0 degC."""
    async with bench(lambda line: reply) as (driver, peer):
        air, setpoint = await driver.read()
        assert (air.value, setpoint.value) == wanted
        assert (air.channel, setpoint.channel) == driver.channels
        assert air.quality is setpoint.quality is Quality.GOOD
        assert peer.raw == b"TEMP?\r\n"


@pytest.mark.parametrize(
    "reply", ["", "23.4", "23.4,25.0,155.0", "23.4,OFF,155.0,-45.0", "nan,25.0,155.0,-45.0", "OK:TEMP,S25", "CONSTANT"]
)
@pytest.mark.usefixtures("quick")
async def test_what_is_no_temperature_is_refused(reply: str) -> None:
    async with bench(lambda line: f"{reply}\r\n".encode()) as (driver, peer):
        with pytest.raises(FrameError, match="no answer to 'TEMP\\?'"):
            await driver.read()
        peer.answer = Controller()
        await driver.read()


@given(st.text(st.sampled_from("0123456789.,+- enaif"), max_size=40) | st.text(max_size=40))
async def test_any_reply_is_four_numbers_or_refused(text: str) -> None:
    """Parser property: what is taken for a temperature is finite."""

    class Wire:
        async def query(self, *_: object, **__: object) -> str:
            return text.strip()

        def distrust(self) -> None:
            return

    driver = EspecP300(DeviceSettings(name="ch1", wire=Wire(), clock=system_clock(lambda: 0.0)))
    try:
        readings = await driver.read()
    except DeviceError:
        return
    assert all(math.isfinite(r.value) or r.quality is Quality.IMPLAUSIBLE for r in readings)
    assert text.count(",") == 3


async def test_no_chamber_is_that_hot() -> None:
    async with bench(lambda line: b"850.0,25.0,155.0,-45.0\r\n") as (driver, _):
        air, setpoint = await driver.read()
    assert math.isnan(air.value)
    assert air.quality is Quality.IMPLAUSIBLE
    assert setpoint.value == 25.0


@pytest.mark.parametrize("temperature_c", [45.0, -20.0, 0.0, -0.5])
@pytest.mark.usefixtures("quick")
async def test_going_to_a_temperature(temperature_c: float) -> None:
    controller = Controller()
    async with bench(controller) as (driver, peer):
        await driver.run_at(temperature_c)
        assert await driver.energised()
        assert peer.heard[:4] == [f"TEMP, S{temperature_c:.1f}", "TEMP?", "MODE,CONSTANT", "MODE?"]
    assert (controller.setpoint_c, controller.mode) == (temperature_c, "CONSTANT")


@pytest.mark.parametrize("echo", [reply for reply in GOLDEN["TEMP, S25.0"] if reply.startswith(b"OK")])
@pytest.mark.usefixtures("quick")
async def test_recorded_echoes(echo: bytes) -> None:
    controller = Controller()
    controller.said["TEMP, S25.0"] = echo.decode().strip()
    async with bench(controller) as (driver, _):
        await driver.run_at(25.0)


@pytest.mark.parametrize("reply", [reply for reply in GOLDEN["TEMP, S25.0"] if reply.startswith(b"NA")])
@pytest.mark.usefixtures("quick")
async def test_recorded_refusals(reply: bytes) -> None:
    controller = Controller()
    controller.said["TEMP, S25.0"] = reply.decode().strip()
    async with bench(controller) as (driver, _):
        with pytest.raises(DeviceRefused) as refused:
            await driver.run_at(25.0)
    assert reply.decode().strip()[3:] in str(refused.value)
    assert controller.mode == "STANDBY"


@pytest.mark.usefixtures("quick")
async def test_the_echo_of_another_setting_is_no_acknowledgement() -> None:
    controller = Controller()
    controller.said["TEMP, S25.0"] = "OK:MODE,CONSTANT"
    async with bench(controller) as (driver, _):
        with pytest.raises(FrameError):
            await driver.run_at(25.0)


@pytest.mark.fault("F23")
@pytest.mark.parametrize(("word", "match"), [("TEMP", "setpoint reads 25"), ("MODE", "mode reads STANDBY")])
@pytest.mark.usefixtures("quick")
async def test_what_was_acknowledged_but_not_done(word: str, match: str) -> None:
    controller = Controller()
    controller.ignores.add(word)
    async with bench(controller) as (driver, _):
        with pytest.raises(ReadbackMismatch, match=match):
            await driver.run_at(45.0)


@pytest.mark.usefixtures("quick")
async def test_no_setpoint_is_sent_that_is_none() -> None:
    async with bench(Controller()) as (driver, peer):
        with pytest.raises(ValueError, match="not a temperature"):
            await driver.run_at(math.nan)
        assert peer.heard == []


@pytest.mark.usefixtures("quick")
async def test_stop() -> None:
    controller = Controller()
    controller.mode = "CONSTANT"
    async with bench(controller) as (driver, _):
        await driver.stop()
        assert not await driver.energised()
    assert controller.mode == "STANDBY"


@pytest.mark.usefixtures("quick")
async def test_safe_after_conditioning_is_ambient_with_the_air_running() -> None:
    controller = Controller()
    controller.setpoint_c, controller.mode = 45.0, "CONSTANT"
    async with bench(controller) as (driver, _):
        await driver.make_safe()
        await driver.make_safe()
    assert 23.0 <= controller.setpoint_c <= 25.0
    assert controller.mode == "CONSTANT"


@pytest.mark.usefixtures("quick")
async def test_safe_after_fire_is_off() -> None:
    controller = Controller()
    controller.setpoint_c, controller.mode = 45.0, "CONSTANT"
    async with bench(controller) as (driver, peer):
        await driver.make_safe(fire=True)
        assert peer.heard == ["MODE,OFF", "MODE?"]
    assert controller.mode == "OFF"


@pytest.mark.fault("F24")
@pytest.mark.usefixtures("quick")
async def test_make_safe_survives_a_reply_that_never_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.espec_p300.DEADLINE_S", 0.05)
    controller = Controller()
    silent = 1

    def answer(line: str) -> bytes | None:
        nonlocal silent
        if line == "MODE?" and silent:
            silent -= 1
            return None
        return controller(line)

    async with bench(answer) as (driver, _):
        await driver.make_safe()
    assert controller.mode == "CONSTANT"


@pytest.mark.usefixtures("quick")
async def test_make_safe_that_is_not_confirmed_says_so() -> None:
    controller = Controller()
    controller.protected = True
    async with bench(controller) as (driver, _):
        with pytest.raises(DeviceRefused) as refused:
            await driver.make_safe()
    assert "panel" in str(refused.value)


async def test_the_controller_gets_its_quiet_times() -> None:
    """0.2 s after a monitor command, 0.5 s after a setting."""
    controller = Controller()
    async with bench(controller) as (driver, _):
        await driver.run_at(45.0)
        await driver.read()
    times = [at_s for at_s, _ in controller.when]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert [line for _, line in controller.when] == ["TEMP, S45.0", "TEMP?", "MODE,CONSTANT", "MODE?", "TEMP?"]
    for gap_s, least_s in zip(gaps, (0.5, 0.2, 0.5, 0.2), strict=True):
        assert gap_s >= least_s - 0.01


@pytest.mark.usefixtures("quick")
async def test_through_a_serial_server_the_same() -> None:
    controller = Controller()
    async with tcp_peer(controller) as peer, opened(line_wire(peer.url)) as wire:
        clock = system_clock(asyncio.get_running_loop().time)
        driver = EspecP300(DeviceSettings(name="ch1", wire=wire, clock=clock, rating=RATING))
        await driver.connect()
        await driver.run_at(-20.0)
    assert controller.setpoint_c == -20.0

"""The simulated ESPEC P-300 against the public command tables and against the plant's chamber."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.personalities.espec_p300 import EspecP300
from simulators.plant.plant import Plant
from simulators.virtual_time import VirtualLoop, run_virtual, virtual_loop
from tests.simulators.clients import chamber, scene_of


class Bench:
    def __init__(self, loop: VirtualLoop, **changes: Any) -> None:
        spec = chamber(**changes)
        self.loop = loop
        self.plant = Plant(scene_of(spec))
        self.plant.advance(loop.time())
        self.device = EspecP300(spec, self.plant, 1, loop)

    async def ask(self, line: str, wait_s: float = 0.6) -> str | None:
        """One command after a wait that is long enough by default; None if it was lost."""
        await asyncio.sleep(wait_s)
        reply = self.device.answer(line.encode(), self.loop.time())
        if not reply:
            return None
        ((delay_s, data),) = reply
        assert data.endswith(b"\r\n")
        await asyncio.sleep(delay_s)
        return data[:-2].decode()


def on_bench(check: Callable[[Bench], Awaitable[None]], **changes: Any) -> None:
    async def main() -> None:
        await check(Bench(virtual_loop(), **changes))

    run_virtual(main())


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("MODE?", "STANDBY"),
        ("MODE?,DETAIL", "STANDBY"),
        ("ALARM?", "0"),
        ("CONSTANT SET?,TEMP", "23.0,ON"),
        ("KEYPROTECT?", "OFF"),
        ("TYPE?", "T,T,P300,150.0"),
        ("TEMP, S25.0", "OK:TEMP, S25.0"),
        ("TEMP,S-20.5", "OK:TEMP,S-20.5"),
        ("TEMP, S25.0 H150.0 L-40.0", "OK:TEMP, S25.0 H150.0 L-40.0"),
        ("MODE,CONSTANT", "OK:MODE,CONSTANT"),
        ("MODE, STANDBY", "OK:MODE, STANDBY"),
        ("MODE,OFF", "OK:MODE,OFF"),
        ("POWER,ON", "OK:POWER,ON"),
        ("KEYPROTECT,ON", "OK:KEYPROTECT,ON"),
        ("TEMP, S150.1", "NA:DATA OUT OF RANGE"),
        ("TEMP, S-40.1", "NA:DATA OUT OF RANGE"),
        ("TEMP, S25.0 H20.0", "NA:DATA OUT OF RANGE"),
        ("TEMP, Swarm", "NA:PARA ERR"),
        ("TEMP, X25", "NA:PARA ERR"),
        ("TEMP", "NA:PARA ERR"),
        ("MODE,DANCE", "NA:PARA ERR"),
        ("MODE,RUN1", "NA:INVALID REQ"),
        ("PRGM MON?", "NA:DATA NOT READY"),
        ("HUMI?", "NA:CMD ERR"),
        ("FROB,1", "NA:CMD ERR"),
        ("", "NA:CMD ERR"),
    ],
)
def test_replies(command: str, answer: str) -> None:
    async def check(bench: Bench) -> None:
        assert await bench.ask(command) == answer

    on_bench(check)


def test_temperature_and_monitor_have_the_documented_fields() -> None:
    async def check(bench: Bench) -> None:
        await bench.ask("TEMP, S-12.5 H140.0 L-35.0")
        air, setpoint, high, low = (await bench.ask("TEMP?") or "").split(",")
        assert float(air) == pytest.approx(23.0, abs=0.2)
        assert (setpoint, high, low) == ("-12.5", "140.0", "-35.0")
        air, humidity, mode, alarms = (await bench.ask("MON?") or "").split(",")
        assert float(air) == pytest.approx(23.0, abs=0.3)
        assert (humidity, mode, alarms) == ("", "STANDBY", "0")

    on_bench(check)


def test_constant_operation_brings_the_air_to_a_negative_setpoint() -> None:
    async def check(bench: Bench) -> None:
        await bench.ask("TEMP, S-10.0")
        await bench.ask("MODE,CONSTANT")
        assert bench.plant.chamber("box").running
        await asyncio.sleep(4 * 3600.0)
        text = await bench.ask("TEMP?") or ""
        assert text.startswith("-")
        assert float(text.split(",")[0]) == pytest.approx(-10.0, abs=1.0)
        await bench.ask("MODE,STANDBY")
        assert not bench.plant.chamber("box").running

    on_bench(check)


def test_a_setting_without_constant_operation_moves_nothing() -> None:
    async def check(bench: Bench) -> None:
        await bench.ask("TEMP, S60.0")
        await asyncio.sleep(3600.0)
        assert float((await bench.ask("TEMP?") or "").split(",")[0]) == pytest.approx(23.0, abs=0.5)

    on_bench(check)


@pytest.mark.parametrize(("first", "wait_s"), [("TEMP?", 0.2), ("TEMP, S25.0", 0.5)])
def test_a_command_within_the_minimum_wait_is_lost_and_not_obeyed(first: str, wait_s: float) -> None:
    async def check(bench: Bench) -> None:
        await bench.ask(first)
        assert await bench.ask("MODE,CONSTANT", wait_s - 0.01) is None
        assert bench.device.mode == "STANDBY"
        assert await bench.ask("MODE,CONSTANT", 0.0101) == "OK:MODE,CONSTANT"

    on_bench(check)


def test_an_alarm_stops_the_chamber_and_is_told() -> None:
    async def check(bench: Bench) -> None:
        await bench.ask("MODE,CONSTANT")
        bench.device.raise_alarm(7)
        assert await bench.ask("ALARM?") == "1,7"
        assert (await bench.ask("MON?") or "").endswith(",STANDBY,1")
        assert not bench.plant.chamber("box").running
        assert await bench.ask("MODE,CONSTANT") == "NA:CONT NOT READY-1"
        bench.device.clear_alarms()
        assert await bench.ask("MODE,CONSTANT") == "OK:MODE,CONSTANT"

    on_bench(check)


def test_a_locked_panel_refuses_settings_and_answers_monitors() -> None:
    async def check(bench: Bench) -> None:
        bench.device.panel_locked = True
        assert await bench.ask("TEMP, S30.0") == "NA:PROTECT ON"
        assert (await bench.ask("TEMP?") or "").split(",")[1] == "23.0"

    on_bench(check)


def test_a_stuck_sensor_repeats_itself() -> None:
    async def check(bench: Bench) -> None:
        first = await bench.ask("TEMP?")
        bench.device.stuck = True
        assert {await bench.ask("TEMP?") for _ in range(20)} == {first}

    on_bench(check)


@settings(max_examples=200)
@given(st.binary(max_size=40))
def test_no_line_of_bytes_upsets_it(line: bytes) -> None:
    async def check(bench: Bench) -> None:
        reply = bench.device.answer(line, 0.0)
        assert reply
        assert reply[0][1].endswith(b"\r\n")

    on_bench(check)

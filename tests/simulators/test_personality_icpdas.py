"""The simulated ICP DAS modules against the printed maps and type code tables, and against the plant."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from dataclasses import replace
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.personalities.icpdas import ENGINEERING, HEX
from simulators.personalities.icpdas_m7002 import M7002
from simulators.personalities.icpdas_m7017 import M7017
from simulators.personalities.icpdas_m7017 import RANGES as VOLTAGE_RANGES
from simulators.personalities.icpdas_m7018 import M7018
from simulators.personalities.icpdas_m7018 import RANGES as THERMOCOUPLE_RANGES
from simulators.plant.plant import Plant
from simulators.virtual_time import VirtualLoop, run_virtual, virtual_loop
from tests.simulators.clients import CELL, scene_of, switches, thermocouples, voltmeter

COILS, DISCRETE, HOLDING, INPUT = 1, 2, 3, 4


class ModbusRefusalError(Exception):
    """An exception answer; its argument is the code."""


class Bench:
    """The three modules on one plant; numbers are the printed, 1-based ones without their table digit."""

    def __init__(self, loop: VirtualLoop, **cell: Any) -> None:
        self.loop = loop
        specs = (thermocouples(), voltmeter(), switches())
        self.plant = Plant(scene_of(*specs, cell=replace(CELL, **cell)))
        self.plant.advance(loop.time())
        self.th = M7018(specs[0], self.plant, 1, loop)
        self.v = M7017(specs[1], self.plant, 1, loop)
        self.io = M7002(specs[2], self.plant, 1, loop)

    def ask(self, device: M7018 | M7017 | M7002, pdu: bytes) -> bytes:
        reply = device.answer(pdu, self.loop.time())
        assert reply
        ((_, answer),) = reply
        if answer[0] & 0x80:
            raise ModbusRefusalError(answer[1])
        assert answer[0] == pdu[0]
        return answer

    def words(self, device: M7018 | M7017 | M7002, function: int, number: int, count: int = 1) -> list[int]:
        answer = self.ask(device, struct.pack(">BHH", function, number - 1, count))
        assert answer[1] == 2 * count == len(answer) - 2
        return list(struct.unpack(f">{count}h", answer[2:]))

    def bits(self, device: M7018 | M7017 | M7002, function: int, number: int, count: int = 1) -> list[int]:
        answer = self.ask(device, struct.pack(">BHH", function, number - 1, count))
        return [answer[2 + at // 8] >> at % 8 & 1 for at in range(count)]

    def coil(self, device: M7018 | M7017 | M7002, number: int, on: int) -> None:
        request = struct.pack(">BHH", 5, number - 1, 0xFF00 if on else 0)
        assert self.ask(device, request) == request

    def register(self, device: M7018 | M7017 | M7002, number: int, value: int) -> None:
        request = struct.pack(">BHH", 6, number - 1, value)
        assert self.ask(device, request) == request


def on_bench(check: Callable[[Bench], Awaitable[None]], **cell: Any) -> None:
    async def main() -> None:
        bench = Bench(virtual_loop(), **cell)
        await check(bench)
        for device in (bench.th, bench.v, bench.io):
            device.close()

    run_virtual(main())


# Printed in ICP DAS's analog input tables (+F.S., -F.S. as two's complement hexadecimal).
@pytest.mark.parametrize(
    ("code", "top", "bottom", "top_word", "bottom_word"),
    [(0x0F, 1372.0, -270.0, 0x7FFF, 0xE6D0), (0x0E, 760.0, -210.0, 0x7FFF, 0xDCA2)],
)
def test_thermocouple_full_scales_in_hexadecimal(
    code: int, top: float, bottom: float, top_word: int, bottom_word: int
) -> None:
    spread = THERMOCOUPLE_RANGES[code]
    assert spread.word(top, HEX) & 0xFFFF == top_word
    assert spread.word(bottom, HEX) & 0xFFFF == pytest.approx(bottom_word, abs=1)
    assert spread.word(top, ENGINEERING) == round(top * 10)
    assert spread.word(bottom, ENGINEERING) == round(bottom * 10)
    assert spread.word(0.0, HEX) == spread.word(0.0, ENGINEERING) == 0


# Worked examples of the same two's complement format for +-5 V and +-10 V (ADLINK ND-6017 manual, p.88-89).
@pytest.mark.parametrize(
    ("code", "volts", "word"), [(0x09, 1.0, 0x1999), (0x09, -2.0, 0xCCCD), (0x08, 4.0, 0x3333), (0x09, 0.0, 0)]
)
def test_voltages_in_hexadecimal(code: int, volts: float, word: int) -> None:
    assert VOLTAGE_RANGES[code].word(volts, HEX) & 0xFFFF == pytest.approx(word, abs=1)


@pytest.mark.parametrize("data_format", [HEX, ENGINEERING])
@pytest.mark.parametrize("code", sorted(VOLTAGE_RANGES))
def test_beyond_a_range_the_ends_of_16_bits(code: int, data_format: int) -> None:
    spread = VOLTAGE_RANGES[code]
    assert spread.word(spread.high * 1.01, data_format) == 0x7FFF
    assert spread.word(spread.low * 1.01, data_format) == -0x8000
    assert spread.word(spread.high, data_format) > 0


@given(st.sampled_from(sorted(THERMOCOUPLE_RANGES)), st.floats(-270, 1372), st.sampled_from([HEX, ENGINEERING]))
def test_a_word_decodes_to_its_temperature_within_one_step(code: int, value: float, data_format: int) -> None:
    spread = THERMOCOUPLE_RANGES[code]
    word = spread.word(value, data_format)
    if not spread.low <= value <= spread.high:
        assert word in (0x7FFF, -0x8000)
        return
    step = spread.step if data_format == ENGINEERING else spread.full_scale / 0x7FFF
    assert word * step == pytest.approx(value, abs=step * 0.51)


@pytest.mark.parametrize(("device", "number"), [("th", 7018), ("v", 7017), ("io", 7002)])
def test_every_module_has_the_common_map(device: str, number: int) -> None:
    async def check(bench: Bench) -> None:
        module = getattr(bench, device)
        low, high = bench.words(module, HOLDING, 483, 2)
        assert f"{high & 0xFFFF:04x}{low & 0xFFFF:04x}" == f"00{number}00"
        assert bench.ask(module, b"\x46\x00") == bytes.fromhex(f"46 00 00 {number // 100} {number % 100:02d} 00")
        assert bench.words(module, HOLDING, 485) == [module.module.reads[40485]()]
        assert bench.bits(module, COILS, 257) == [1]
        assert bench.bits(module, COILS, 259) == [1]  # 50 Hz
        assert [bench.bits(module, COILS, 273) for _ in range(3)] == [[1], [0], [0]]  # reset status
        assert bench.bits(module, COILS, 270) == [0]
        bench.coil(module, 269, 1)
        assert bench.bits(module, COILS, 269) == [1]

    on_bench(check)


def test_thermocouples_show_the_plant_and_unwired_inputs_are_open() -> None:
    async def check(bench: Bench) -> None:
        assert bench.words(bench.th, HOLDING, 487) == [0x0F]
        words = bench.words(bench.th, INPUT, 1, 8)
        assert words == pytest.approx(bench.words(bench.th, HOLDING, 1, 8), abs=10)
        assert words[0] * 1372 / 0x7FFF == pytest.approx(23.0, abs=0.5)
        assert [word for at, word in enumerate(words) if at not in (0, 3)] == [0x7FFF] * 6
        bench.coil(bench.th, 269, 1)
        assert bench.words(bench.th, INPUT, 4)[0] / 10 == pytest.approx(23.0, abs=0.5)
        assert bench.words(bench.th, INPUT, 129)[0] / 100 == pytest.approx(28.0)

    on_bench(check)


@pytest.mark.parametrize("data_format", [HEX, ENGINEERING])
def test_a_broken_hot_or_cold_thermocouple_is_never_a_plausible_number(data_format: int) -> None:
    async def check(bench: Bench) -> None:
        bench.coil(bench.th, 269, data_format)
        bench.th.open_sensor("ai0")
        assert bench.words(bench.th, INPUT, 1) == [0x7FFF]
        bench.th.force("ai0", 1400.0)
        assert bench.words(bench.th, INPUT, 1) == [0x7FFF]
        bench.th.force("ai0", -271.0)
        assert bench.words(bench.th, INPUT, 1) == [-0x8000]
        bench.th.force("ai0", 900.0)
        assert 0 < bench.words(bench.th, INPUT, 1)[0] < 0x7FFF
        bench.th.mend("ai0")
        assert bench.words(bench.th, INPUT, 1)[0] < 1000
        with pytest.raises(ValueError, match="ai0 to ai7"):
            bench.th.open_sensor("ai8")

    on_bench(check)


def test_a_disabled_channel_reads_nothing_and_a_wrong_type_code_is_refused() -> None:
    async def check(bench: Bench) -> None:
        bench.register(bench.th, 490, 0x08)
        assert bench.words(bench.th, INPUT, 1, 2) == [0, 0]
        with pytest.raises(ModbusRefusalError, match="3"):
            bench.register(bench.th, 487, 0x7F)
        bench.register(bench.th, 487, 0x0E)
        assert bench.words(bench.th, HOLDING, 487) == [0x0E]

    on_bench(check)


@pytest.mark.parametrize(("reversed_", "sign"), [(False, 1), (True, -1)])
def test_cell_voltage_has_its_sign_whatever_the_contactor_does(*, reversed_: bool, sign: int) -> None:
    async def check(bench: Bench) -> None:
        for closed in (False, True, False):
            bench.plant.contactor("1", closed=closed)
            volts = bench.words(bench.v, INPUT, 1)[0] * 5.0 / 0x7FFF
            assert 3.0 < sign * volts < 4.3
            assert volts == pytest.approx(bench.plant.terminal("1").cell_voltage_v, abs=0.005)
        bench.coil(bench.v, 269, 1)
        assert bench.words(bench.v, INPUT, 1)[0] / 1000 == pytest.approx(volts, abs=0.005)
        assert bench.words(bench.v, INPUT, 2, 7) == [0] * 7

    on_bench(check, reversed_=reversed_)


def test_an_output_drives_the_contactor_and_its_feedback_comes_back() -> None:
    async def check(bench: Bench) -> None:
        assert bench.bits(bench.io, DISCRETE, 33, 5) == [0, 1, 0, 1, 0]
        bench.coil(bench.io, 1, 1)
        assert bench.plant.terminal("1").closed
        assert bench.bits(bench.io, COILS, 1, 4) == [1, 0, 0, 0]
        assert bench.bits(bench.io, DISCRETE, 33) == [1]
        bench.plant.stick_contactor("1", closed=True)
        bench.coil(bench.io, 1, 0)
        assert bench.bits(bench.io, COILS, 1) == [0]
        assert bench.bits(bench.io, DISCRETE, 33) == [1]
        bench.plant.set_input("box", "smoke", 0.0)
        assert bench.bits(bench.io, DISCRETE, 36) == [0]
        bench.io.force("di1", on=False)
        assert bench.bits(bench.io, DISCRETE, 34) == [0]
        bench.io.mend("di1")
        assert bench.bits(bench.io, DISCRETE, 34) == [1]

    on_bench(check)


def test_several_coils_and_registers_in_one_write() -> None:
    async def check(bench: Bench) -> None:
        assert bench.ask(bench.io, bytes.fromhex("0F 0000 0004 01 0B")) == bytes.fromhex("0F 0000 0004")
        assert bench.io.outputs == [1, 1, 0, 1]
        request = struct.pack(">BHHBHH", 16, 488, 1, 2, 40, 0)[:8]
        assert bench.ask(bench.io, request) == request[:5]
        assert bench.words(bench.io, HOLDING, 489) == [40]

    on_bench(check)


def _armed(bench: Bench, tenths: int = 40, mode: int = 0) -> None:
    bench.coil(bench.io, 260, mode)
    bench.register(bench.io, 489, tenths)
    bench.coil(bench.io, 261, 1)
    bench.coil(bench.io, 1, 1)
    bench.coil(bench.io, 2, 1)
    bench.coil(bench.io, 130, 1)  # the safe value of the second output is on


def test_a_silent_host_opens_the_contactor_though_nobody_asks() -> None:
    async def check(bench: Bench) -> None:
        _armed(bench)
        assert bench.bits(bench.io, COILS, 261) == [1]
        for _ in range(10):
            await asyncio.sleep(3.0)
            assert bench.bits(bench.io, DISCRETE, 33) == [1]
        await asyncio.sleep(3.9)
        assert bench.plant.terminal("1").closed
        await asyncio.sleep(0.2)
        assert not bench.plant.terminal("1").closed
        assert bench.io.outputs == [0, 1, 0, 0]
        assert bench.bits(bench.io, COILS, 270) == [1]
        assert bench.words(bench.io, HOLDING, 492) == [1]
        assert bench.bits(bench.io, COILS, 261) == [0]

    on_bench(check)


def test_after_a_timeout_outputs_ignore_writes_until_the_status_is_cleared() -> None:
    async def check(bench: Bench) -> None:
        _armed(bench)
        await asyncio.sleep(5.0)
        bench.coil(bench.io, 1, 1)
        assert bench.bits(bench.io, COILS, 1) == [0]
        assert not bench.plant.terminal("1").closed
        bench.coil(bench.io, 270, 1)
        assert bench.bits(bench.io, COILS, 270) == [0]
        bench.coil(bench.io, 1, 1)
        assert bench.plant.terminal("1").closed

    on_bench(check)


def test_in_mode_1_a_write_to_an_output_clears_the_status() -> None:
    async def check(bench: Bench) -> None:
        _armed(bench, mode=1)
        await asyncio.sleep(5.0)
        assert bench.bits(bench.io, COILS, 270) == [1]
        bench.coil(bench.io, 1, 1)
        assert bench.bits(bench.io, COILS, 270) == [0]
        assert bench.plant.terminal("1").closed

    on_bench(check)


def test_a_disabled_watchdog_does_nothing() -> None:
    async def check(bench: Bench) -> None:
        _armed(bench)
        bench.coil(bench.io, 261, 0)
        await asyncio.sleep(1000.0)
        assert bench.plant.terminal("1").closed
        bench.register(bench.io, 489, 0)
        bench.coil(bench.io, 261, 1)
        assert bench.bits(bench.io, COILS, 261) == [0]

    on_bench(check)


@pytest.mark.parametrize(
    ("pdu", "code"),
    [
        ("07", 1),
        ("03 0000 0000", 3),
        ("03 0000 007E", 3),
        ("03 2000 0001", 2),
        ("02 0000 0001", 2),
        ("01 0004 0001", 2),
        ("05 0000 1234", 3),
        ("05 0FFF FF00", 2),
        ("06 01E8 0100", 3),  # watchdog timeout above 255
        ("06 01E2 0001", 2),  # the module's name
        ("46 99", 2),
        ("03 00", 3),
    ],
)
def test_what_cannot_be_is_an_exception(pdu: str, code: int) -> None:
    async def check(bench: Bench) -> None:
        with pytest.raises(ModbusRefusalError) as refusal:
            bench.ask(bench.io, bytes.fromhex(pdu))
        assert refusal.value.args == (code,)
        assert bench.io.outputs == [0, 0, 0, 0]

    on_bench(check)


@settings(max_examples=300)
@given(st.binary(min_size=1, max_size=30))
def test_no_request_upsets_a_module(pdu: bytes) -> None:
    async def check(bench: Bench) -> None:
        for device in (bench.th, bench.v, bench.io):
            reply = device.answer(pdu, 0.0)
            assert reply
            assert reply[0][1][0] & 0x7F == pdu[0] & 0x7F

    on_bench(check)


def test_points_that_a_module_does_not_have_are_refused() -> None:
    async def check(bench: Bench) -> None:
        points = {"di9": switches().points["di0"]}
        with pytest.raises(ValueError, match="di9"):
            M7002(switches(points=points), bench.plant, 1, bench.loop)

    on_bench(check)


@pytest.mark.parametrize("data_format", [ENGINEERING, HEX])
def test_a_burnt_thermocouple_reads_like_an_open_one(data_format: int) -> None:
    """A plant that has lost a sensor says NaN; the module's open code is 7FFF in either format."""
    kind_k = THERMOCOUPLE_RANGES[0x0F]
    assert kind_k.word(nan, data_format) == kind_k.word(inf, data_format) == 0x7FFF

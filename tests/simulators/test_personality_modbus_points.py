"""The simulated point-list module against its page, bit by bit, and against the plant."""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import drivers.profiles
from simulators.personalities.modbus_points import ModbusPoints, parse_point_list
from simulators.personalities.registers import Register
from simulators.plant.plant import Plant
from simulators.spec import ChannelSpec, DeviceSpec, PlaceSpec, SceneSpec, Signal
from simulators.virtual_time import VirtualLoop, run_virtual, virtual_loop
from tests.simulators.clients import CELL

PAGE = (Path(drivers.profiles.__file__).parent / "rig1-points.toml").read_text()
COILS, DISCRETE, HOLDING, INPUT = 1, 2, 3, 4
SAMPLE, SHORT, EXHAUST = range(3)
WIRES = {
    "sample": Signal("contactor", "1"),
    "sample_closed": Signal("feedback", "1"),
    "short": Signal("short", "1"),
    "short_closed": Signal("short_feedback", "1"),
    "exhaust": Signal("exhaust", "rig1"),
    "exhaust_flow": Signal("exhaust_flow", "rig1"),
    "smoke_clear": Signal("smoke", "rig1"),
    "flame_clear": Signal("flame", "rig1"),
    "gas_clear": Signal("gas", "rig1"),
    "pressure": Signal("pressure", "rig1"),
    "not_on_the_page": Signal("heater", "rig1"),
}


class PointRefusalError(Exception):
    """An exception answer; its argument is the code."""


class Bench:
    """The module with everything of one enclosure wired to it."""

    def __init__(self, loop: VirtualLoop, page: str = PAGE) -> None:
        self.loop = loop
        spec = DeviceSpec("io2", "modbus-points", "modbus-tcp", "a", points=WIRES, profile=page)
        self.plant = Plant(
            SceneSpec((spec,), (PlaceSpec("rig1", rig="rig"),), (ChannelSpec("1", "rig1", CELL),), seed=1)
        )
        self.plant.advance(loop.time())
        self.io = ModbusPoints(spec, self.plant, 1, loop)

    def ask(self, pdu: bytes) -> bytes:
        reply = self.io.answer(pdu, self.loop.time())
        assert reply
        ((_, answer),) = reply
        if answer[0] & 0x80:
            raise PointRefusalError(answer[1])
        return answer

    def bits(self, function: int, address: int, count: int = 1) -> list[int]:
        answer = self.ask(struct.pack(">BHH", function, address, count))
        return [answer[2 + at // 8] >> at % 8 & 1 for at in range(count)]

    def words(self, function: int, address: int, count: int = 1) -> list[int]:
        return list(struct.unpack(f">{count}H", self.ask(struct.pack(">BHH", function, address, count))[2:]))

    def coil(self, address: int, *, on: bool) -> None:
        request = struct.pack(">BHH", 5, address, 0xFF00 if on else 0)
        assert self.ask(request) == request


def on_bench(check: Callable[[Bench], Awaitable[None]], page: str = PAGE) -> None:
    async def main() -> None:
        bench = Bench(virtual_loop(), page)
        await check(bench)
        bench.io.close()

    run_virtual(main())


def test_outputs_drive_what_is_wired_to_them_and_inputs_show_it() -> None:
    async def check(bench: Bench) -> None:
        # contactors open, detectors' contacts open (they close on alarm), no flow while the fan is off
        assert bench.bits(DISCRETE, 0, 5) == [0, 0, 0, 0, 0]
        bench.coil(SAMPLE, on=True)
        bench.coil(EXHAUST, on=True)
        assert bench.bits(COILS, 0, 3) == [1, 0, 1]
        assert bench.bits(DISCRETE, 0, 5) == [1, 0, 0, 0, 1]
        assert bench.plant.signal(Signal("feedback", "1")) == 1.0
        bench.ask(struct.pack(">BHHBB", 15, 0, 2, 1, 0b10))
        assert bench.bits(COILS, 0, 3) == [0, 1, 1]
        assert bench.bits(DISCRETE, 0, 2) == [0, 1]
        bench.plant.set_input("rig1", "smoke", 0.0)
        bench.plant.set_input("rig1", "flame", 0.0)
        bench.plant.set_input("rig1", "exhaust_flow", 0.0)
        assert bench.bits(DISCRETE, 2, 3) == [1, 1, 0]

    on_bench(check)


def test_numbers_are_scaled_and_an_alarm_is_past_its_limit() -> None:
    async def check(bench: Bench) -> None:
        gas, pressure = bench.words(INPUT, 0, 2)
        assert gas == 0
        assert pressure * 0.01 == pytest.approx(101.325, abs=0.1)
        bench.plant.set_input("rig1", "gas", 0.0)
        assert bench.words(INPUT, 0)[0] * 0.1 >= 10.0
        bench.plant.set_input("rig1", "gas", 1.0)
        bench.io.force("gas_clear", on=False)
        assert bench.words(INPUT, 0)[0] * 0.1 >= 10.0
        bench.io.force_raw("gas_clear", 65535)
        bench.io.force("smoke_clear", on=False)
        assert bench.words(INPUT, 0) == [65535]
        assert bench.bits(DISCRETE, 2) == [1]
        bench.io.mend("gas_clear")
        bench.io.mend("smoke_clear")
        assert bench.words(INPUT, 0) == [0]
        assert bench.bits(DISCRETE, 2) == [0]

    on_bench(check)


def test_what_is_not_on_the_page_is_refused() -> None:
    async def check(bench: Bench) -> None:
        for pdu, code in [
            (struct.pack(">BHH", 1, 0, 4), 2),
            (struct.pack(">BHH", 2, 5, 1), 2),
            (struct.pack(">BHH", 3, 0, 1), 2),
            (struct.pack(">BHH", 4, 0, 126), 3),
            (struct.pack(">BHH", 5, 3, 0xFF00), 2),
            (struct.pack(">BHH", 5, 0, 1), 3),
            (struct.pack(">BHH", 6, 100, 251), 3),  # 25.1 s, past the page's limit
            (struct.pack(">BHH", 6, 99, 1), 2),
            (b"\x2b\x0e\x01\x00", 1),
        ]:
            with pytest.raises(PointRefusalError) as refused:
                bench.ask(pdu)
            assert refused.value.args == (code,), pdu.hex()

    on_bench(check)


def test_its_watchdog_drops_the_outputs_to_safe_by_itself() -> None:
    async def check(bench: Bench) -> None:
        assert bench.words(HOLDING, 100) == [0]
        bench.coil(SAMPLE, on=True)
        bench.coil(SHORT, on=True)
        await asyncio.sleep(60.0)
        assert bench.bits(COILS, 0, 3) == [1, 1, 0]  # it is off
        bench.ask(struct.pack(">BHH", 6, 100, 40))
        assert bench.words(HOLDING, 100) == [40]
        for _ in range(4):
            await asyncio.sleep(3.9)
            assert bench.bits(COILS, 0, 3) == [1, 1, 0]
        await asyncio.sleep(4.1)
        assert bench.io.outputs == {"sample": False, "short": False, "exhaust": True}
        assert bench.plant.signal(Signal("feedback", "1")) == 0.0
        assert bench.plant.signal(Signal("exhaust", "rig1")) == 1.0
        bench.coil(SAMPLE, on=True)
        await asyncio.sleep(4.1)
        assert not bench.io.outputs["sample"]
        bench.ask(struct.pack(">BHH", 6, 100, 0))
        bench.coil(SAMPLE, on=True)
        await asyncio.sleep(60.0)
        assert bench.io.outputs["sample"]

    on_bench(check)


OTHER = """
schema = "cellbench/point-list/1"
word_order = "CDAB"
[points]
valve = { kind = "output", table = "holding", address = 10, bit = 3, invert = true, safe = false }
siren = { kind = "output", table = "holding", address = 10, bit = 0, safe = false }
door = { kind = "input", table = "holding", address = 0, bit = 5 }
exhaust_flow = { kind = "input", table = "input", address = 1, above = 2.0, scale = 0.5 }
pressure = { kind = "pressure", table = "holding", address = 2, type = "f32", offset = -1.0 }
balance = { kind = "mass", table = "input", address = 8, type = "s32", scale = 0.001, invalid = -1 }
"""


def test_bits_in_registers_floats_and_offsets() -> None:
    async def check(bench: Bench) -> None:
        assert bench.words(HOLDING, 10) == [0b1000]  # the valve is off, and its bit inverted
        bench.ask(struct.pack(">BHH", 6, 10, 0b0001))
        assert bench.io.outputs == {"valve": True, "siren": True}
        assert bench.words(HOLDING, 10) == [0b0001]
        assert bench.words(HOLDING, 0) == [0]
        bench.io.force("door", on=True)
        assert bench.words(HOLDING, 0) == [0b100000]
        low, high = bench.words(HOLDING, 2, 2)
        assert struct.unpack(">f", struct.pack(">HH", high, low))[0] == pytest.approx(102.325, abs=0.1)
        assert bench.words(INPUT, 8, 2) == [0xFFFF, 0xFFFF]  # nothing is on the balance's wire
        assert bench.words(INPUT, 1)[0] * 0.5 <= 2.0
        bench.plant.exhaust("rig1", on=True)
        assert bench.words(INPUT, 1)[0] * 0.5 > 2.0

    on_bench(check, OTHER)


@pytest.mark.parametrize(
    "text",
    ["", 'schema = "cellbench/point-list/2"', OTHER.replace('"s32"', '"s64"'), OTHER.replace('"input",', '"x",')],
)
def test_what_is_no_point_list_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError, match="not a point list: here"):
        parse_point_list(text, "here")


# 0x12345678 and pi as IEEE 754 single (0x40490FDB), high word first and low word first.
@pytest.mark.parametrize(
    ("kind", "order", "raw", "words"),
    [
        ("u32", "ABCD", 0x12345678, [0x1234, 0x5678]),
        ("u32", "CDAB", 0x12345678, [0x5678, 0x1234]),
        ("s32", "CDAB", -2, [0xFFFE, 0xFFFF]),
        ("s16", "CDAB", -2, [0xFFFE]),
        ("f32", "ABCD", 3.14159274, [0x4049, 0x0FDB]),
        ("f32", "CDAB", 3.14159274, [0x0FDB, 0x4049]),
    ],
)
def test_numbers_in_registers(kind: str, order: str, raw: float, words: list[int]) -> None:
    register = Register(0, kind, order)
    assert register.raw_words(raw) == words
    assert register.raw_of(words) == pytest.approx(raw)


@given(st.sampled_from(["u16", "s16", "u32", "s32"]), st.sampled_from(["ABCD", "CDAB"]), st.floats(-1e12, 1e12))
def test_a_number_comes_back_or_stands_at_the_end_of_its_range(kind: str, order: str, value: float) -> None:
    register = Register(0, kind, order, scale=0.1, offset=-5.0)
    bits = int(kind[1:])
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if kind[0] == "s" else (0, 2**bits - 1)
    nearest = min(max(value, low * 0.1 - 5.0), high * 0.1 - 5.0)
    got = register.value(register.words(value))
    assert got is not None
    assert math.isclose(got, nearest, rel_tol=1e-9, abs_tol=0.0501)
